import Mesh
import Raft
import Record
import Testing

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
            previous: position(1, 1), commit: .zero, floor: .zero, round: 4, measured: .zero)
        let answer = core.receive(2, 1, .heartbeat(beat))
        #expect(answer.sent.isEmpty, "its term could still be forgotten")
        #expect(answer.bodies == [.heard(round: 4, holds: true, through: .zero, base: .zero)])
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
        _ = core.receive(2, 1, .heard(round: beat, holds: true, through: .zero, base: .zero))
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
        _ = core.receive(9, 1, .heard(round: 1, holds: true, through: .zero, base: .zero))
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

    @Test func `the base may follow only what every data voter and learner holds`() throws {
        var core = try Lone(1, learners: [NodeID(9)])
        core.elect()
        let draft = Draft(.command, epoch: Epoch(1))
        _ = core.give(.propose([draft, draft], time: .zero))
        core.saveAll()
        for node in [2, 3] as [UInt64] {
            _ = core.receive(node, 1, .appended(through: LogIndex(3)))
        }
        #expect(core.raft.commitIndex == LogIndex(3))
        _ = core.receive(9, 1, .appended(through: LogIndex(1)))
        #expect(core.raft.compactionFloor == .zero, "who is whole is not known")
        for node in [2, 3] as [UInt64] {
            _ = core.receive(
                node, 1,
                .heard(
                    round: 1, holds: true, isWhole: true, through: LogIndex(3), base: .zero))
        }
        #expect(core.raft.compactionFloor == LogIndex(1), "the learner is behind")
        _ = core.receive(9, 1, .appended(through: LogIndex(2)))
        #expect(core.raft.compactionFloor == LogIndex(2))
        core.now = core.raft.deadline
        let floors = core.give(.deadlineReached).bodies.compactMap {
            if case .heartbeat(let beat) = $0 { beat.floor } else { nil }
        }
        #expect(floors == [LogIndex(2), LogIndex(2), LogIndex(2)])
    }

    @Test func `a follower remembers the floor, but none above its own commit`() throws {
        var core = try Lone(1)
        func beat(_ floor: UInt64, commit: UInt64) -> Letter.Body {
            .heartbeat(
                Letter.Heartbeat(
                    previous: position(3, 1), commit: LogIndex(commit), floor: LogIndex(floor),
                    round: 1, measured: .zero))
        }
        _ = core.receive(
            2, 1, .append(previous: .zero, commit: .zero, entries: (1...3).map { entry($0, 1) }))
        _ = core.receive(2, 1, beat(3, commit: 2))
        #expect(core.raft.compactionFloor == LogIndex(2))
        _ = core.receive(2, 1, beat(0, commit: 3))
        #expect(core.raft.compactionFloor == LogIndex(2), "it never falls")
    }

    @Test func `a journal's positions and newest entries make the same core as the whole log`()
        throws
    {
        let entries = [entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 4)]
        let membership = Membership(voters: Electorate(data: Lone.peers))
        let base = Base(position: .zero, membership: membership, state: [])
        let state = HardState(term: Term(4))
        let whole = try Restored(hardState: state, base: base, entries: entries)
        for kept in 0...entries.count {
            let part = try Restored(
                hardState: state, base: base, positions: entries.map(\.position),
                configurations: [], time: WallTime(9), tail: Array(entries.suffix(kept)))
            #expect(part == whole)
            let raft = Raft(
                seat: NodeID(1), isWitness: false, group: Cluster.group, settings: RaftSettings(),
                restored: part, random: SeededRandom(seed: 1), at: .zero)
            #expect(raft.lastPosition == position(4, 4))
            let terms = (1...5).map { raft.term(at: LogIndex($0))?.rawValue }
            #expect(terms == [1, 1, 2, 4, nil])
        }
    }

    @Test func `a core with no entry in memory applies what it reads from disk`() throws {
        let entries = [entry(1, 1), entry(2, 1)]
        let base = Base(
            position: .zero, membership: Membership(voters: Electorate(data: Lone.peers)),
            state: [])
        let restored = try Restored(
            hardState: HardState(term: Term(1), commit: LogIndex(2)), base: base,
            positions: entries.map(\.position), configurations: [], time: .zero, tail: [])
        var core = Lone(
            raft: Raft(
                seat: NodeID(1), isWitness: false, group: Cluster.group,
                settings: RaftSettings(), restored: restored, random: SeededRandom(seed: 1),
                at: .zero))
        core.now = core.raft.deadline
        let fetches = core.give(.deadlineReached).compactMap {
            if case .fetch(let fetch) = $0 { fetch } else { nil }
        }
        #expect(fetches.map(\.first) == [LogIndex(1)])
        #expect(core.give(.fetched(fetches[0], entries)).contains(.apply(entries)))
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
