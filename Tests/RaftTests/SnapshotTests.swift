import Mesh
import Record
import Testing

@testable import Raft

@Suite struct `Snapshots that meet other things (Raft §7)` {
    private static let membership = Membership(voters: Electorate(data: Lone.peers))

    private func sealed(_ index: UInt64, _ term: UInt64, byte: UInt8 = 7, count: Int = 250)
        -> SealedBase
    {
        SealedBase(
            Base(
                position: position(index, term), membership: Self.membership,
                state: [UInt8](repeating: byte, count: count)))
    }

    private func whole(_ sealed: SealedBase) -> Letter.Body {
        .snapshot(sealed.chunk(from: 0, bytesMax: .max / 2))
    }

    private func restored(_ effects: [Effect]) -> [Position] {
        effects.compactMap { if case .restore(let base) = $0 { base.position } else { nil } }
    }

    @Test func `entries that conflict at its index go, those that agree stay (nasty case 36)`()
        throws
    {
        let cases: [(term: UInt64, last: Position, bases: [Position?])] = [
            // Its log has the base's entry, so only the commit index was missing.
            (1, position(4, 1), []), (2, position(3, 2), [position(3, 2)]),
        ]
        for (term, last, bases) in cases {
            var core = try Lone(
                1, hardState: HardState(term: Term(2)), entries: (1...4).map { entry($0, 1) })
            let effects = core.receive(2, 2, whole(sealed(3, term)))
            #expect(core.raft.lastPosition == last)
            #expect(effects.writes.map(\.change.base?.position) == bases)
        }
    }

    @Test func `what is handed out stands for the log to who lost it, applied or not`() throws {
        var core = try Lone(
            1, hardState: HardState(term: Term(1)), entries: (1...6).map { entry($0, 1) })
        _ = core.receive(
            2, 1, .append(previous: position(6, 1), commit: LogIndex(4), entries: []))
        #expect(core.raft.handedIndex == LogIndex(4) && core.raft.appliedIndex == .zero)
        func given(_ least: UInt64, _ applied: UInt64) -> Base? {
            core.raft.base(atLeast: LogIndex(least), handedOut: LogIndex(applied), state: [7])
        }
        let base = Base(position: position(4, 1), membership: Self.membership, state: [7])
        #expect(given(3, 4) == base && given(4, 4) == base)
        #expect(given(5, 4) == nil, "it does not reach so far")
        #expect(given(3, 5) == nil, "of that nobody knows yet that it is committed")
        let more = Letter.Body.append(
            previous: position(6, 1), commit: LogIndex(7), entries: [entry(7, 1)])
        _ = core.receive(2, 1, more)
        #expect(core.raft.commitIndex == LogIndex(7))
        #expect(given(3, 7) == nil, "that is not on the disk here")
    }

    @Test func `pieces of two snapshots never mix (nasty case 37)`() throws {
        var core = try Lone(1)
        let (first, second) = (sealed(5, 1, byte: 1), sealed(5, 1, byte: 2))
        func send(_ base: SealedBase, from offset: Int) -> [Letter.Body] {
            core.receive(2, 1, .snapshot(base.chunk(from: offset, bytesMax: 100))).bodies
        }
        func heard(_ offset: Int) -> [Letter.Body] {
            [.snapshotHeard(position: position(5, 1), offset: offset)]
        }
        #expect(send(first, from: 0) == heard(100))
        #expect(send(second, from: 100) == heard(0), "its beginning is missing")
        #expect(send(first, from: 100) == heard(0), "and the other's was let go")
        #expect(send(second, from: 0) == heard(100))
        #expect(send(second, from: 100) == heard(200))
        #expect(core.raft.basePosition == .zero)
    }

    @Test func `a second one before the first is saved is restored, once (nasty cases 37, 40)`()
        throws
    {
        var core = try Lone(1)
        let first = core.receive(2, 1, whole(sealed(5, 1)))
        let second = core.receive(2, 1, whole(sealed(9, 1)))
        let numbers = (first + second).writes.map(\.number)
        try #require(numbers.count == 2)
        #expect(restored(first + second).isEmpty, "the log has to have it first")
        #expect(restored(core.give(.saved(through: numbers[0]))).isEmpty)
        #expect(core.raft.appliedIndex == .zero)
        #expect(restored(core.give(.saved(through: numbers[1]))) == [position(9, 1)])
        #expect(core.raft.appliedIndex == LogIndex(9))
        #expect(restored(core.give(.saved(through: numbers[1]))).isEmpty)
    }

    @Test func `who is behind gets the next leader's when the first one dies (nasty case 38)`()
        throws
    {
        var settings = RaftSettings()
        settings.snapshotChunkBytesMax = 100
        var cluster = Cluster(3, preferred: [NodeID(1), NodeID(2)], settings: settings)
        let isLed = cluster.run(upTo: 3_000) { $0.leaders == [NodeID(1)] }
        try #require(isLed)
        cluster.run(50)
        cluster.crash(3)
        for _ in 0..<20 {
            cluster.propose(1)
            cluster.run(10)
        }
        cluster.run(100)
        for (node, byte) in [(1, 1), (2, 2)] as [(UInt64, UInt8)] {
            let raft = cluster[node]
            let end = Position(index: raft.appliedIndex, term: raft.term)
            let state = [UInt8](repeating: byte, count: 5_000)
            cluster.give(node, .checkpointed(Base(position: end, contents: state)))
        }
        cluster.propose(1)
        cluster.run(50)
        cluster.restart(3)
        let begun = cluster.run(upTo: 500) { now in
            now.effects.contains { $0.1.carriesSnapshot(to: 3) }
        }
        #expect(begun)
        cluster.run(20)
        #expect(cluster[3].basePosition == .zero, "it has a part of it")
        cluster.crash(1)
        let whole = cluster.run(upTo: 10_000) { now in
            now.leader == 2 && now[3].appliedIndex == now[2].lastPosition.index
        }
        #expect(whole, "\(cluster.summary)")
        let states = cluster.effects.compactMap { node, effect in
            if case .restore(let base) = effect, node == NodeID(3) { base.contents } else { nil }
        }
        #expect(states == [[UInt8](repeating: 2, count: 5_000)])
        #expect(cluster.violations == [])
    }

    @Test func `a piece whose answer is lost is sent again with the next round (nasty case 39)`()
        throws
    {
        var core = try Lone(1)
        core.elect()
        core.saveAll()
        _ = core.receive(2, 1, .appended(through: LogIndex(1)))
        _ = core.give(.applied(LogIndex(1)))
        _ = core.give(.checkpointed(Base(position: position(1, 1), contents: [7])))
        func beat() -> [Letter.SnapshotChunk] {
            core.now = core.now + core.raft.settings.heartbeat
            _ = core.give(.deadlineReached)
            for node in [2, 3] as [UInt64] {
                let answer = Letter.Body.heard(
                    round: core.raft.round, holds: true, through: node == 2 ? LogIndex(1) : .zero,
                    base: .zero)
                let chunks = core.receive(node, 1, answer).chunks(to: 3)
                if node == 3 { return chunks }
            }
            return []
        }
        let first = beat()
        #expect(first.map(\.position) == [position(1, 1)])
        #expect(beat() == first && beat() == first)
        _ = core.receive(3, 1, .appended(through: LogIndex(1)))
        #expect(beat().isEmpty)
    }

    @Test func `one that is there already is acknowledged again (nasty case 39)`() throws {
        var core = try Lone(1)
        let body = whole(sealed(5, 1))
        let installed = core.receive(2, 1, body)
        #expect(installed.bodies == [.appended(through: LogIndex(5))])
        let again = core.receive(2, 1, body)
        #expect(again.bodies == [.appended(through: LogIndex(5))])
        #expect(again.writes.allSatisfy { $0.change.isEmpty })
    }

    @Test func `a flipped bit in a snapshot installs nothing, and all is asked anew (nasty 41)`()
        throws
    {
        let good = sealed(5, 1).chunk(from: 0, bytesMax: .max / 2)
        for offset in stride(from: 0, to: good.bytes.count, by: 17) {
            var core = try Lone(1)
            var bad = good
            bad.bytes[offset] ^= 4
            let effects = core.receive(2, 1, .snapshot(bad))
            #expect(effects.bodies == [.snapshotHeard(position: position(5, 1), offset: 0)])
            #expect(core.raft.basePosition == .zero && core.raft.commitIndex == .zero)
            _ = core.receive(2, 1, .snapshot(good))
            #expect(core.raft.basePosition == position(5, 1))
        }
    }
}

extension Effect {
    fileprivate func carriesSnapshot(to node: UInt64) -> Bool {
        guard case .send(let letter) = self, case .snapshot = letter.body else { return false }
        return letter.to == NodeID(node)
    }
}
