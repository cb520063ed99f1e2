import Mesh
import Raft
import Record
import Testing

/// Cores spoken to letter by letter.
struct Lone {
    var raft: Raft
    var now = Instant.zero
    static let peers = [NodeID(1), NodeID(2), NodeID(3)]

    init(
        _ seat: UInt64, hardState: HardState = HardState(), entries: [Entry] = [],
        settings: RaftSettings = RaftSettings(), learners: [NodeID] = []
    ) throws {
        let membership = Membership(voters: Electorate(data: Self.peers), learners: learners)
        let restored = try Restored(
            hardState: hardState, base: Base(position: .zero, membership: membership, state: []),
            entries: entries)
        raft = Raft(
            seat: NodeID(seat), group: Cluster.group, settings: settings, restored: restored,
            random: SeededRandom(seed: 1), at: .zero)
    }

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
        let effects = receive(3, raft.term.rawValue, .vote(last: .zero))
        if let number = effects.writes.last?.number { _ = give(.saved(through: number)) }
    }
}

extension [Effect] {
    var writes: [Write] { compactMap { if case .save(let write) = $0 { write } else { nil } } }
    var sent: [Letter] { compactMap { if case .send(let letter) = $0 { letter } else { nil } } }
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

@Suite struct `Replication (Raft §5.3)` {
    @Test func `an entry of an earlier term is not committed by counting (fig. 8)`() throws {
        var core = try Lone(
            1, hardState: HardState(term: Term(2)), entries: [entry(1, 1), entry(2, 2)])
        core.elect()
        #expect(core.raft.role == .leader)
        #expect(core.raft.term == Term(3))
        _ = core.receive(2, 3, .appended(through: LogIndex(2)))
        #expect(core.raft.commitIndex == .zero)
        core.saveAll()
        _ = core.receive(2, 3, .appended(through: LogIndex(3)))
        #expect(core.raft.commitIndex == LogIndex(3))
    }

    @Test func `the leader counts its own copy only once it is saved`() throws {
        var core = try Lone(1)
        core.elect()
        _ = core.receive(2, 1, .appended(through: LogIndex(1)))
        #expect(core.raft.commitIndex == .zero)
        core.saveAll()
        #expect(core.raft.commitIndex == LogIndex(1))
    }

    @Test func `two followers commit before the leader's own disk`() throws {
        var core = try Lone(1)
        core.elect()
        _ = core.receive(2, 1, .appended(through: LogIndex(1)))
        let effects = core.receive(3, 1, .appended(through: LogIndex(1)))
        #expect(core.raft.commitIndex == LogIndex(1))
        let applies = effects.contains { if case .apply = $0 { true } else { false } }
        #expect(!applies, "what isn't on this disk isn't applied here")
    }

    @Test func `a late save does not count for bytes that a later write replaces (ABA)`() throws {
        var core = try Lone(1)
        func append(_ from: UInt64, _ term: UInt64, _ entries: [Entry]) -> [Write] {
            core.receive(from, term, .append(previous: .zero, commit: .zero, entries: entries))
                .writes
        }
        let first = append(2, 1, [entry(1, 1)])
        _ = append(3, 2, [entry(1, 2)])
        // A new leader that holds the first entry puts it back.
        let third = append(2, 3, [entry(1, 1)])
        guard let one = first.first, let three = third.first else {
            Issue.record("each append is a write")
            return
        }
        _ = core.give(.saved(through: one.number))
        #expect(core.raft.durableIndex == .zero)
        _ = core.give(.saved(through: three.number))
        #expect(core.raft.durableIndex == LogIndex(1))
    }

    @Test func `a heartbeat's answer never claims what is not saved`() throws {
        var core = try Lone(1)
        _ = core.receive(
            2, 1, .append(previous: .zero, commit: .zero, entries: [entry(1, 1)]))
        let beat = Letter.Heartbeat(
            previous: position(1, 1), commit: .zero, round: 4, measured: .zero)
        let answer = core.receive(2, 1, .heartbeat(beat))
        #expect(answer.sent.isEmpty, "its term could still be forgotten")
        #expect(answer.bodies == [.heard(round: 4, holds: true, through: .zero)])
    }

    @Test func `an acknowledgement of entries rides on their write`() throws {
        var core = try Lone(1)
        let effects = core.receive(
            2, 1, .append(previous: .zero, commit: .zero, entries: [entry(1, 1)]))
        #expect(effects.sent.isEmpty)
        #expect(effects.writes.map(\.change.entries) == [[entry(1, 1)]])
        #expect(effects.bodies == [.appended(through: LogIndex(1))])
        let again = core.receive(
            2, 1, .append(previous: .zero, commit: .zero, entries: [entry(1, 1)]))
        #expect(again.sent.isEmpty, "a repeated append waits for the same write")
        #expect(again.writes.map(\.change.isEmpty) == [true])
    }

    @Test func `a late append neither truncates nor shortens`() throws {
        var core = try Lone(1)
        let all = (1...4).map { entry($0, 1) }
        _ = core.receive(2, 1, .append(previous: .zero, commit: LogIndex(2), entries: all))
        _ = core.receive(2, 1, .append(previous: .zero, commit: .zero, entries: [all[0]]))
        #expect(core.raft.lastPosition == position(4, 1))
        #expect(core.raft.commitIndex == LogIndex(2))
        let old = core.receive(
            3, 0, .append(previous: .zero, commit: .zero, entries: [entry(1, 0)]))
        #expect(old.bodies == [.outdated])
        #expect(core.raft.lastPosition == position(4, 1))
    }

    @Test func `conflicting entries are replaced, and only from the conflict on`() throws {
        var core = try Lone(
            1, hardState: HardState(term: Term(2)),
            entries: [entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2)])
        let effects = core.receive(
            2, 3,
            .append(
                previous: position(1, 1), commit: .zero, entries: [entry(2, 1), entry(3, 3)]))
        #expect(effects.writes.map(\.change.entries) == [[entry(3, 3)]])
        #expect(core.raft.lastPosition == position(3, 3))
    }

    @Test func `a refusal skips a whole term`() throws {
        let own = (1...3).map { entry($0, 1) } + (4...50).map { entry($0, 2) }
        var core = try Lone(1, hardState: HardState(term: Term(2)), entries: own)
        let effects = core.receive(
            2, 5, .append(previous: position(50, 4), commit: .zero, entries: []))
        #expect(
            effects.bodies == [
                .appendRefused(previous: LogIndex(50), hint: position(50, 2))
            ])
        let lower = core.receive(
            2, 5, .append(previous: position(49, 1), commit: .zero, entries: []))
        #expect(
            lower.bodies == [.appendRefused(previous: LogIndex(49), hint: position(3, 1))])
    }

    @Test func `entries with a gap or of another group are dropped`() throws {
        var core = try Lone(1)
        for entries in [[entry(1, 1), entry(3, 1)], [entry(1, 2)], [entry(2, 1), entry(1, 1)]] {
            _ = core.receive(2, 1, .append(previous: .zero, commit: .zero, entries: entries))
            #expect(core.raft.lastPosition == .zero)
        }
    }

    @Test func `proposals beyond the uncommitted limit are refused`() throws {
        var settings = RaftSettings()
        settings.uncommittedBytesMax = 1_000
        var core = try Lone(1, settings: settings)
        core.elect()
        let draft = Draft(.command, epoch: Epoch(1), payload: [UInt8](repeating: 1, count: 400))
        _ = core.give(.propose([draft], time: .zero))
        let second = core.give(.propose([draft, draft], time: .zero))
        #expect(second.contains(.proposalsRefused(count: 2, .uncommittedBytes)))
        core.saveAll()
        _ = core.receive(2, 1, .appended(through: LogIndex(2)))
        let third = core.give(.propose([draft], time: .zero))
        #expect(third.contains(.accepted(first: position(3, 1), count: 1)))
    }

    @Test func `the leader's clock never runs backwards in its log`() throws {
        var core = try Lone(1)
        core.elect()
        let draft = Draft(.command, epoch: Epoch(1))
        _ = core.give(.propose([draft], time: WallTime(1_000)))
        let later = core.give(.propose([draft], time: WallTime(900)))
        #expect(later.writes.first?.change.entries.map(\.time) == [WallTime(1_000)])
    }

    @Test func `bytes in flight to a silent follower are bounded`() throws {
        var settings = RaftSettings()
        settings.inFlightBytesMax = 2_000
        settings.batchBytesMax = 500
        var core = try Lone(1, settings: settings)
        core.elect()
        let beat = core.raft.progress[0].round + 1
        _ = core.receive(2, 1, .heard(round: beat, holds: true, through: .zero))
        var sent = 0
        for _ in 0..<50 {
            let draft = Draft(
                .command, epoch: Epoch(1), payload: [UInt8](repeating: 1, count: 400))
            let effects = core.give(.propose([draft], time: .zero))
            for case .append(_, _, let entries) in effects.sent.filter({ $0.to == NodeID(2) }).map(
                \.body)
            {
                sent += entries.reduce(0) { $0 + $1.bytes.count }
            }
        }
        #expect(sent >= 2_000)
        #expect(sent <= 2_500)
        #expect(core.raft.progress[0].inFlightBytes <= 2_500)
    }

    @Test func `a learner gets committed entries only`() throws {
        var core = try Lone(1, learners: [NodeID(9)])
        core.elect()
        _ = core.receive(9, 1, .heard(round: 1, holds: true, through: .zero))
        let draft = Draft(.command, epoch: Epoch(1))
        let before = core.give(.propose([draft], time: .zero)).sent.filter { $0.to == NodeID(9) }
        #expect(before.isEmpty)
        core.saveAll()
        let after = core.receive(2, 1, .appended(through: LogIndex(2)))
        var entries: [Entry] = []
        for letter in after.sent where letter.to == NodeID(9) {
            if case .append(_, _, let carried) = letter.body { entries += carried }
        }
        #expect(entries.map(\.index) == [LogIndex(1), LogIndex(2)])
    }
}

@Suite struct `Reads, snapshots and memory` {
    @Test func `a read waits for a commit of this term and a round begun after it`() {
        var cluster = Cluster(3)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        guard let leader = cluster.leader else { return }
        cluster.give(leader, .read(1))
        #expect(cluster.readsReady.isEmpty)
        cluster.run(50)
        #expect(cluster.readsReady.map(\.1) == [1])
        let cut = NodeID(leader)
        cluster.isCut = { $0 == cut || $1 == cut }
        cluster.give(leader, .read(2))
        cluster.run(1_000)
        #expect(cluster.readsReady.map(\.1) == [1], "a leader cut off answers nobody")
        #expect(cluster.effects.contains { $0.1 == .readRefused(2) })
    }

    @Test func `a follower whose entries are gone gets the base in resumable pieces`() {
        var settings = RaftSettings()
        settings.snapshotChunkBytesMax = 100
        var cluster = Cluster(3, settings: settings)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        guard let leader = cluster.leader else { return }
        let away = leader % 3 + 1
        cluster.run(50)
        cluster.crash(away)
        for _ in 0..<20 {
            cluster.propose(leader)
            cluster.run(10)
        }
        let at = cluster[leader].appliedIndex
        let state = [UInt8](repeating: 7, count: 5_000)
        cluster.give(
            leader,
            .checkpointed(
                Base(position: Position(index: at, term: cluster[leader].term), contents: state)))
        cluster.propose(leader)
        cluster.lossPercent = 10
        cluster.restart(away)
        #expect(
            cluster.run(upTo: 20_000) { $0[away].appliedIndex.rawValue == at.rawValue + 1 })
        #expect(cluster.nodes[Int(away) - 1].restoredTo >= at)
        #expect(
            cluster.effects.contains {
                if case .restore(let base) = $0.1 { base.contents == state } else { false }
            })
        #expect(cluster.violations.isEmpty)
    }

    @Test func `old entries leave memory and come back from disk for a slow follower`() {
        var settings = RaftSettings()
        settings.windowBytesMax = 2_000
        var cluster = Cluster(3, settings: settings)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        guard let leader = cluster.leader else { return }
        let away = leader % 3 + 1
        cluster.run(50)
        cluster.crash(away)
        for _ in 0..<60 {
            cluster.propose(leader, [UInt8](repeating: 3, count: 200))
            cluster.run(5)
        }
        cluster.run(50)
        #expect(cluster[leader].tailByteCount <= 2_000)
        cluster.restart(away)
        #expect(cluster.run(upTo: 2_000) { $0[away].appliedIndex == $0[leader].appliedIndex })
        #expect(cluster.nodes[Int(away) - 1].applied.count == 61)
        #expect(
            cluster.effects.contains {
                if case .fetch(let fetch) = $0.1 {
                    fetch.purpose == .follower(NodeID(away))
                } else {
                    false
                }
            })
    }

    @Test func `a batch waits until the one before it is applied`() {
        var cluster = Cluster(1)
        cluster.appliesAtOnce = false
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        cluster.run(20)
        for _ in 0..<5 {
            cluster.propose(1)
            cluster.run(5)
        }
        #expect(cluster.nodes[0].applied.count == 1)
        cluster.give(1, .applied(LogIndex(1)))
        #expect(cluster.nodes[0].applied.count == 6)
    }
}
