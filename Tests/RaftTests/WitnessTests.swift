import Mesh
import Record
import Testing

@testable import Raft

/// The rules on the side of the witness, node 3 of a group with data on 1 and 2.
@Suite struct `A witness by itself (ADR 2)` {
    private static let voters = Electorate(data: [NodeID(1), NodeID(2)], witness: NodeID(3))

    /// Holds entries 1 to `count` of term 1.
    private func witness(
        _ count: UInt64 = 4, commit: UInt64 = 0, settings: RaftSettings = RaftSettings()
    ) throws -> Lone {
        try Lone(
            3, hardState: HardState(term: Term(1), commit: LogIndex(commit)),
            entries: count == 0 ? [] : (1...count).map { entry($0, 1) }, settings: settings,
            voters: Self.voters)
    }

    private func move(to position: Position) -> Letter.Body {
        let base = Base(
            position: position, membership: Membership(voters: Self.voters), state: [])
        return .snapshot(SealedBase(base).chunk(from: 0, bytesMax: base.contents.count))
    }

    @Test func `a base move of an older term changes nothing (rule 3)`() throws {
        var core = try witness()
        _ = core.receive(1, 5, .timeoutNow)
        let effects = core.receive(2, 4, move(to: position(3, 1)))
        #expect(effects.bodies == [.outdated])
        #expect(core.raft.basePosition == .zero)
        #expect(core.raft.term >= Term(5))
    }

    @Test func `a base never moves back, and what stands above it stays (rule 4)`() throws {
        var core = try witness()
        _ = core.receive(1, 1, move(to: position(2, 1)))
        let late = core.receive(1, 1, move(to: position(1, 1)))
        #expect(core.raft.basePosition == position(2, 1))
        #expect(core.raft.lastPosition == position(4, 1))
        #expect(late.writes.map(\.change.isEmpty) == [true])
    }

    @Test func `entries above a base stay if it is of their log, else they go (rule 5)`() throws {
        for (term, last) in [(1, position(4, 1)), (2, position(2, 2))] as [(UInt64, Position)] {
            var core = try witness()
            let effects = core.receive(1, 3, move(to: position(2, term)))
            #expect(core.raft.lastPosition == last)
            #expect(effects.writes.map(\.change.base?.position) == [position(2, term)])
            #expect(
                effects.writes.flatMap(\.releases).map(\.body) == [
                    .appended(through: LogIndex(2))
                ])
            #expect(effects.sent.isEmpty, "nothing is acknowledged before it is durable")
        }
    }

    @Test func `a base may move below what is known to be committed`() throws {
        var core = try witness(4, commit: 4)
        _ = core.receive(1, 1, move(to: position(3, 1)))
        #expect(core.raft.basePosition == position(3, 1))
        #expect(core.raft.commitIndex == LogIndex(4))
    }

    @Test func `contents that are damaged or come in pieces move no base`() throws {
        var core = try witness()
        guard case .snapshot(var chunk) = move(to: position(3, 1)) else { return }
        chunk.checksum ^= 1
        _ = core.receive(1, 1, .snapshot(chunk))
        chunk.checksum ^= 1
        chunk.bytes.removeLast()
        _ = core.receive(1, 1, .snapshot(chunk))
        #expect(core.raft.basePosition == .zero)
    }

    @Test func `it votes by its last entry, or by its base (rule 6)`() throws {
        var core = try witness()
        _ = core.receive(1, 1, move(to: position(4, 1)))
        let less = core.receive(2, 2, .vote(last: position(3, 1)))
        #expect(less.bodies == [.voteAnswer(granted: false)])
        let equal = core.receive(1, 2, .vote(last: position(4, 1)))
        #expect(equal.bodies == [.voteAnswer(granted: true)])
    }

    @Test func `it stands after all data voters had their time, and only with entries`() throws {
        let settings = RaftSettings()
        for seed in 1...50 as ClosedRange<UInt64> {
            let voters = Electorate(data: (1...6).map { NodeID($0) }, witness: NodeID(7))
            let ranks = (2...5).map { NodeID($0) }
            let last = try Lone(1, preferred: ranks, voters: voters, seed: seed)
            let core = try Lone(7, preferred: ranks, voters: voters, seed: seed)
            #expect(core.raft.deadline >= last.raft.deadline + settings.electionFloor)
        }
        for count in [0, 4] as [UInt64] {
            var core = try witness(count)
            core.now = core.raft.deadline
            let asks = core.give(.deadlineReached).bodies
            #expect(asks.isEmpty == (count == 0))
        }
    }

    @Test func `as caretaker it appends nothing and promises nothing (rule 7)`() throws {
        var core = try witness()
        core.elect()
        #expect(core.raft.role == .leader)
        #expect(core.raft.lastPosition == position(4, 1))
        #expect(core.raft.termStartIndex == nil)
        let draft = Draft(.command, epoch: Epoch(1))
        let refused = core.give(.propose([draft], time: .zero))
        #expect(refused == [.proposalsRefused(count: 1, .transferring)])
        let read = core.give(.read(7))
        #expect(read == [.readRefused(7)])
        _ = core.receive(1, 2, .appended(through: LogIndex(4)))
        #expect(core.raft.commitIndex == .zero, "and commits nothing")
    }

    @Test func `as caretaker it feeds what it has and hands over to who has all (rule 7)`() throws {
        var core = try witness()
        _ = core.receive(1, 1, move(to: position(2, 1)))
        core.saveAll()
        core.elect()
        #expect(core.raft.role == .leader)
        let asked = core.receive(
            2, 2, .heard(round: core.raft.round, holds: false, through: .zero, base: .zero))
        #expect(
            asked.bodies.contains {
                $0 == .append(previous: position(4, 1), commit: LogIndex(2), entries: [])
            })
        let fed = core.receive(
            2, 2, .appendRefused(previous: LogIndex(4), hint: position(2, 1)))
        #expect(fed.fed(2).map(\.index) == [LogIndex(3), LogIndex(4)])
        let done = core.receive(2, 2, .appended(through: LogIndex(4)))
        #expect(done.bodies.contains(.timeoutNow))
        #expect(done.sent.filter { $0.body == .timeoutNow }.map(\.to).contains(NodeID(2)))
        _ = core.receive(2, 3, .vote(last: position(4, 1)))
        #expect(core.raft.role == .follower, "and steps down")
        #expect(core.raft.vote == NodeID(2))
    }

    @Test func `a caretaker whose hand-over came to nothing goes on caring`() throws {
        var core = try witness()
        core.elect()
        _ = core.receive(2, 2, .appended(through: LogIndex(4)))
        #expect(core.raft.transfer?.target == NodeID(2))
        let begun = core.now
        var again: [NodeID] = []
        while core.now < begun + core.raft.electionTimeout * 2 {
            core.now = core.now + core.raft.settings.heartbeat
            _ = core.give(.deadlineReached)
            let answer = Letter.Body.heard(
                round: core.raft.round, holds: true, through: LogIndex(4), base: .zero)
            let effects = core.receive(1, 2, answer) + core.receive(2, 2, answer)
            again += effects.sent.filter { $0.body == .timeoutNow }.map(\.to)
        }
        #expect(core.raft.role == .leader)
        #expect(again.contains(NodeID(1)), "and tries the other one")
    }

    @Test func `one who lacks what was forgotten gets no base and no hand-over (rule 7)`() throws {
        var core = try witness()
        _ = core.receive(1, 1, move(to: position(2, 1)))
        core.saveAll()
        core.elect()
        #expect(core.raft.role == .leader)
        _ = core.receive(
            2, 2, .heard(round: core.raft.round, holds: false, through: .zero, base: .zero))
        let after = core.receive(
            2, 2, .appendRefused(previous: LogIndex(4), hint: position(1, 1)))
        let sent =
            after.bodies
            + core.receive(
                2, 2, .heard(round: core.raft.round, holds: true, through: LogIndex(1), base: .zero)
            ).bodies
        #expect(
            sent.allSatisfy { body in
                switch body {
                case .append, .snapshot, .timeoutNow: false
                default: true
                }
            })
    }

    @Test func `it applies nothing, and what is on its disk leaves its memory`() throws {
        var settings = RaftSettings()
        settings.windowBytesMax = 1_000
        var core = try witness(0, settings: settings)
        var effects: [Effect] = []
        for index in 1...50 as ClosedRange<UInt64> {
            effects += core.receive(
                1, 1,
                .append(
                    previous: index == 1 ? .zero : position(index - 1, 1), commit: .zero,
                    entries: [entry(index, 1, 100)]))
        }
        #expect(core.raft.tailByteCount == 50 * 164, "nothing is durable yet")
        let last = effects.writes.map(\.number).max() ?? 0
        effects += core.give(.saved(through: last))
        #expect(core.raft.tailByteCount <= 1_000)
        effects += core.receive(
            1, 1, .append(previous: position(50, 1), commit: LogIndex(50), entries: []))
        #expect(core.raft.commitIndex == LogIndex(50))
        #expect(!effects.contains { if case .apply = $0 { true } else { false } })
        core.elect()
        let fetches = core.receive(
            2, core.raft.term.rawValue,
            .appendRefused(previous: LogIndex(50), hint: position(3, 1))
        ).compactMap { if case .fetch(let fetch) = $0 { fetch } else { nil } }
        #expect(fetches.map(\.purpose) == [.follower(NodeID(2))])
        #expect(fetches.map(\.first) == [LogIndex(4)])
    }

    @Test func `what its disk has no room for is not acknowledged`() throws {
        var settings = RaftSettings()
        settings.witnessBytesMax = 3 * 164
        var core = try witness(0, settings: settings)
        let effects = core.receive(
            1, 1,
            .append(
                previous: .zero, commit: .zero, entries: (1...5).map { entry($0, 1, 100) }))
        #expect(core.raft.lastPosition == position(3, 1))
        #expect(effects.bodies == [.appended(through: LogIndex(3))])
        _ = core.receive(1, 1, move(to: position(2, 1)))
        let more = core.receive(
            1, 1,
            .append(
                previous: position(3, 1), commit: .zero, entries: [entry(4, 1, 100)]))
        #expect(more.bodies == [.appended(through: LogIndex(4))])
    }

    @Test func `bytes above an index are exact in memory and never too few below`() throws {
        let membership = Membership(voters: Self.voters)
        let base = Base(position: .zero, membership: membership, state: [])
        var log = LogWindow(try Restored(hardState: HardState(), base: base, entries: []))
        var sizes: [Int] = []
        var chance = SeededRandom(seed: 3)
        for index in 1...400 as ClosedRange<UInt64> {
            let new = entry(index, 1, Int(chance.next() % 10_000))
            sizes.append(new.bytes.count)
            log.append([new])
            if index % 50 == 0 { log.evict(through: LogIndex(index), bytesMax: 20_000) }
            if index == 300 {
                let kept = log.rebase(to: position(100, 1), membership: membership)
                #expect(kept)
            }
            for above in stride(from: index > 299 ? 100 : 0, through: index, by: 7) {
                let exact = sizes[Int(above)...].reduce(0, +)
                let told = log.byteCount(above: LogIndex(above))
                #expect(told >= exact)
                let inMemory = LogIndex(above).next >= log.tailFirst
                #expect(told <= exact + (inMemory ? 0 : LogWeights.markBytes + 10_064))
            }
        }
        log.truncate(from: LogIndex(151))
        #expect(log.byteCount(above: LogIndex(100)) >= sizes[100..<150].reduce(0, +))
    }
}
