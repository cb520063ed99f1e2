package import Mesh

/// Those whose majority decides: the nodes with data, and the witness where it has a vote.
package struct Electorate: Hashable, Sendable {
    /// Sorted, each once.
    package let data: [NodeID]
    /// The witness, only where its vote counts.
    package let witness: NodeID?

    package init(data: [NodeID], witness: NodeID? = nil) {
        self.data = Set(data).sorted()
        self.witness = witness
    }

    package var all: [NodeID] { (data + (witness.map { [$0] } ?? [])).sorted() }
    package var count: Int { data.count + (witness == nil ? 0 : 1) }
    package var quorum: Int { count / 2 + 1 }
    package func contains(_ node: NodeID) -> Bool { data.contains(node) || witness == node }

    func isQuorum(_ contains: (NodeID) -> Bool) -> Bool {
        let those = data.count(where: contains) + (witness.map { contains($0) ? 1 : 0 } ?? 0)
        return count > 0 && those >= quorum
    }

    /// With so many data voters that hold an entry, every majority that contains the witness has
    /// one of them: D − q + 2 (ADR 2, rule 1).
    package var copiesToForget: Int { data.count - quorum + 2 }

    /// With so many data voters that hold all that the log forgot, every majority has one of them.
    var copiesToOutlast: Int { data.count - quorum + (witness == nil ? 1 : 2) }

    /// The highest value that `count` data voters have reached; 0 if there are not so many.
    func dataFloor(_ count: Int, _ value: (NodeID) -> UInt64) -> UInt64 {
        guard count > 0, count <= data.count else { return 0 }
        return floor(of: count, data, nil, value)
    }

    /// The highest value that a majority has reached.
    func majorityFloor(_ value: (NodeID) -> UInt64) -> UInt64 {
        guard count > 0 else { return 0 }
        return floor(of: quorum, data, witness, value)
    }

    /// Counts for each value how many have reached it: among so few that is sooner done than to sort
    /// them, and a leader does it with every acknowledgement. Each is asked once, for that is a search.
    private func floor(
        of count: Int, _ data: [NodeID], _ witness: NodeID?, _ value: (NodeID) -> UInt64
    ) -> UInt64 {
        let all = data.count + (witness == nil ? 0 : 1)
        // No array where so few vote as ever do: its memory would cost more than all the rest.
        guard all <= 8 else {
            return Self.floor(of: count, (data + (witness.map { [$0] } ?? [])).map(value))
        }
        var reached = InlineArray<8, UInt64>(repeating: 0)
        for at in data.indices { reached[at] = value(data[at]) }
        if let witness { reached[all - 1] = value(witness) }
        var floor: UInt64 = 0
        for at in 0..<all where reached[at] > floor {
            var those = 0
            for other in 0..<all where reached[other] >= reached[at] { those += 1 }
            if those >= count { floor = reached[at] }
        }
        return floor
    }

    private static func floor(of count: Int, _ reached: [UInt64]) -> UInt64 {
        reached.sorted()[reached.count - count]
    }
}

/// Who votes and who listens from one log entry on (Raft §6). While `outgoing` is there the
/// configuration is joint, and every decision needs a majority of both halves.
package struct Membership: Hashable, Sendable, CustomStringConvertible {
    package static let membersMax = 64

    package let voters: Electorate
    package let outgoing: Electorate?
    package var isJoint: Bool { outgoing != nil }
    /// Receive committed entries and count for nothing; sorted.
    package let learners: [NodeID]
    /// Data voters in the order in which they should lead; those not named come last.
    package let preferred: [NodeID]

    package init(
        voters: Electorate, outgoing: Electorate? = nil, learners: [NodeID] = [],
        preferred: [NodeID] = []
    ) {
        self.voters = voters
        self.outgoing = outgoing
        self.learners = Set(learners).sorted()
        self.preferred = preferred
    }

    package var description: String {
        func names(_ nodes: [NodeID]) -> String {
            nodes.map { "\($0)" }.joined(separator: ", ")
        }
        func half(_ half: Electorate) -> String {
            names(half.data) + (half.witness.map { " with witness \($0)" } ?? "")
        }
        return half(voters) + (outgoing.map { ", coming from \(half($0))" } ?? "")
            + (learners.isEmpty ? "" : ", learning \(names(learners))")
    }

    /// Everyone the leader talks to, sorted.
    package var members: [NodeID] {
        Set(voters.all + (outgoing?.all ?? []) + learners).sorted()
    }

    package var hasWitness: Bool { voters.witness != nil || outgoing?.witness != nil }

    func forEachHalf(_ body: (Electorate) -> Void) {
        body(voters)
        if let outgoing { body(outgoing) }
    }

    package func votes(_ node: NodeID) -> Bool {
        voters.contains(node) || outgoing?.contains(node) == true
    }

    package func isData(_ node: NodeID) -> Bool {
        voters.data.contains(node) || outgoing?.data.contains(node) == true
    }

    /// Votes, and holds data in neither half.
    package func isWitness(_ node: NodeID) -> Bool { votes(node) && !isData(node) }

    package func isLearner(_ node: NodeID) -> Bool { learners.contains(node) }
    package func isMember(_ node: NodeID) -> Bool { votes(node) || isLearner(node) }

    /// 0 leads before 1, and so on.
    package func rank(_ node: NodeID) -> Int { preferred.firstIndex(of: node) ?? preferred.count }

    /// The highest value that a quorum has reached; joint, the lower of both halves (Raft §6).
    package func quorumFloor(_ value: (NodeID) -> UInt64) -> UInt64 {
        let floor = voters.majorityFloor(value)
        return outgoing.map { min(floor, $0.majorityFloor(value)) } ?? floor
    }

    package func isQuorum(_ nodes: [NodeID]) -> Bool { isQuorum { nodes.contains($0) } }

    package func isQuorum(_ contains: (NodeID) -> Bool) -> Bool {
        voters.isQuorum(contains) && outgoing.map { $0.isQuorum(contains) } ?? true
    }
}
