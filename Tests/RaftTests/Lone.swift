import Mesh
import Raft
import Record

/// Cores spoken to letter by letter.
struct Lone {
    var raft: Raft
    var now = Instant.zero
    static let peers = [NodeID(1), NodeID(2), NodeID(3)]

    init(
        _ seat: UInt64, hardState: HardState = HardState(), entries: [Entry] = [],
        settings: RaftSettings = RaftSettings(), learners: [NodeID] = [],
        preferred: [NodeID] = [], voters: Electorate = Electorate(data: Self.peers),
        seed: UInt64 = 1
    ) throws {
        let membership = Membership(voters: voters, learners: learners, preferred: preferred)
        let restored = try Restored(
            hardState: hardState, base: Base(position: .zero, membership: membership, state: []),
            entries: entries)
        raft = Raft(
            seat: NodeID(seat), isWitness: voters.witness == NodeID(seat), group: Cluster.group,
            settings: settings, restored: restored, random: SeededRandom(seed: seed), at: .zero)
    }

    init(raft: Raft) { self.raft = raft }

    mutating func give(_ event: Event) -> [Effect] {
        var effects: [Effect] = []
        raft.handle(event, at: now, &effects)
        return effects
    }

    mutating func receive(_ from: UInt64, _ term: UInt64, _ body: Letter.Body) -> [Effect] {
        give(
            .received(
                Letter(
                    from: NodeID(from), to: raft.seat, group: Cluster.group, term: Term(term),
                    body: body)))
    }

    /// Elected by node 2 in the next term, everything so far saved.
    mutating func elect() {
        now = now + .seconds(2)
        _ = give(.deadlineReached)
        let term = raft.term.next
        _ = receive(2, term.rawValue, .preVoteAnswer(granted: true))
        saveAll()
        _ = receive(2, term.rawValue, .voteAnswer(granted: true))
    }

    mutating func saveAll() {
        // A barrier tells the newest number: whatever is asked of a past term is answered behind it.
        let other: UInt64 = raft.seat == NodeID(3) ? 1 : 3
        let effects = receive(other, raft.term.rawValue, .vote(last: .zero))
        if let number = effects.writes.last?.number { _ = give(.saved(through: number)) }
    }
}

extension [Effect] {
    var writes: [Write] { compactMap { if case .save(let write) = $0 { write } else { nil } } }
    var sent: [Letter] { compactMap { if case .send(let letter) = $0 { letter } else { nil } } }
    /// The snapshot messages to a node.
    func chunks(to node: UInt64) -> [Letter.SnapshotChunk] {
        sent.filter { $0.to == NodeID(node) }.compactMap { letter in
            if case .snapshot(let chunk) = letter.body { chunk } else { nil }
        }
    }
    /// The entries in the letters to a node.
    func fed(_ node: UInt64) -> [Entry] {
        sent.filter { $0.to == NodeID(node) }.flatMap { letter -> [Entry] in
            guard case .append(_, _, let entries) = letter.body else { return [] }
            return entries
        }
    }
    var bodies: [Letter.Body] { sent.map(\.body) + writes.flatMap(\.releases).map(\.body) }
}

func entry(_ index: UInt64, _ term: UInt64, _ byteCount: Int = 8) -> Entry {
    Draft(.command, epoch: Epoch(1), payload: [UInt8](repeating: UInt8(term), count: byteCount))
        .sealed(
            at: Position(index: LogIndex(index), term: Term(term)), group: Cluster.group,
            time: WallTime(index))
}

func position(_ index: UInt64, _ term: UInt64) -> Position {
    Position(index: LogIndex(index), term: Term(term))
}
