package import Mesh
internal import Planted

extension Gossip {
    /// How a member stands; at one incarnation the later case wins (SWIM §4.2), and `left` is the
    /// last word: who left did not fail.
    package enum Liveness: UInt8, Hashable, Comparable, Sendable, CaseIterable,
        CustomStringConvertible
    {
        case alive, suspect, dead, left

        package var description: String {
            switch self {
            case .alive: "alive"
            case .suspect: "suspect"
            case .dead: "dead"
            case .left: "left"
            }
        }
        package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    /// What is said of one member. Claims form a join semilattice: whatever their order and
    /// however often they arrive, all members end with the same one.
    package struct Claim: Hashable, Sendable {
        package let node: NodeID
        package var standing: Liveness
        package var incarnation: Incarnation
        /// The start this speaks of; 0 while the member was never heard of.
        package var boot: BootID
        /// Who suspects on evidence of its own, sorted, at most `accusersMax` (Lifeguard §IV.B:
        /// only independent suspicions confirm). Empty unless suspect.
        package private(set) var accusers: [NodeID]

        package init(
            _ node: NodeID, _ standing: Liveness, _ incarnation: Incarnation, _ boot: BootID,
            accusers: [NodeID] = []
        ) {
            self.node = node
            self.standing = standing
            self.incarnation = incarnation
            self.boot = boot
            self.accusers = standing == .suspect ? Self.bounded(accusers) : []
        }

        /// The claim that both together amount to. The higher incarnation wins even between two
        /// claims of death: forgetting it would let an Alive between them raise the dead.
        package func joined(with other: Claim) -> Claim {
            invariant(node == other.node, "claims on two members do not join")
            if rank != other.rank { return rank < other.rank ? other : self }
            if other.accusers == accusers { return self }
            return Claim(
                node, standing, incarnation, boot, accusers: accusers + other.accusers)
        }

        /// Whether to join `other` surely changes nothing.
        func covers(_ other: Claim) -> Bool {
            rank == other.rank ? accusers == other.accusers : !(rank < other.rank)
        }

        private var rank: Rank { Rank(incarnation: incarnation, standing: standing, boot: boot) }

        private struct Rank: Hashable, Comparable {
            let incarnation: Incarnation
            let standing: Liveness
            let boot: BootID
            static func < (a: Self, b: Self) -> Bool {
                if isPlanted(.ignoresIncarnations) { return a.standing < b.standing }
                return (a.incarnation, a.standing, a.boot) < (b.incarnation, b.standing, b.boot)
            }
        }

        /// The smallest few of a union: still associative, commutative and idempotent.
        private static func bounded(_ accusers: [NodeID]) -> [NodeID] {
            if accusers.count <= 1 { return accusers }
            var kept: [NodeID] = []
            for accuser in accusers.sorted() where kept.last != accuser { kept.append(accuser) }
            return Array(kept.prefix(Limit.accusersMax))
        }
    }
}
