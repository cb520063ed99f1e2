import Mesh
import Record
import Testing

@testable import Raft

/// Node 1 leads term 1 with its blank as entry 1, and 2 and 3 follow.
@Suite struct `A follower that lost what it acknowledged, seen by its leader` {
    private static let blank = LogIndex(1)

    private func leader(voters: Electorate = Electorate(data: Lone.peers)) throws -> Lone {
        var core = try Lone(1, voters: voters)
        core.elect()
        core.saveAll()
        return core
    }

    /// The round that the next heartbeat begins, and what it asks of node 3.
    private func beat(_ core: inout Lone) throws -> (round: UInt64, asks: LogIndex) {
        core.now = core.now + core.raft.settings.heartbeat
        let sent = core.give(.deadlineReached).sent
        let asked = sent.filter { $0.to == NodeID(3) }.compactMap { letter in
            if case .heartbeat(let heartbeat) = letter.body { heartbeat } else { nil }
        }
        let heartbeat = try #require(asked.first)
        return (heartbeat.round, heartbeat.previous.index)
    }

    private func hears(
        _ core: inout Lone, _ node: UInt64, _ round: UInt64, holds: Bool = true, _ through: UInt64
    ) -> [Effect] {
        core.receive(
            node, 1,
            .heard(round: round, holds: holds, through: LogIndex(through), base: .zero))
    }

    /// Node 3 has acknowledged the blank, and then lost it.
    private func bereft() throws -> Lone {
        var core = try leader()
        _ = core.receive(3, 1, .appended(through: Self.blank))
        let (round, asks) = try beat(&core)
        #expect(asks == Self.blank)
        #expect(hears(&core, 3, round, holds: false, 0).losses == [NodeID(3)])
        return core
    }

    private func propose(_ core: inout Lone, _ count: Int = 1) {
        let drafts = (0..<count).map { _ in Draft(.write, epoch: Epoch(1), payload: [1]) }
        _ = core.give(.propose(drafts, time: .zero))
        core.saveAll()
    }

    @Test func `to lack what was acknowledged before it was asked for is a loss, told once`()
        throws
    {
        var core = try leader()
        _ = core.receive(3, 1, .appended(through: Self.blank))
        let first = try beat(&core)
        let second = try beat(&core)
        let effects = hears(&core, 3, first.round, holds: false, 0)
        #expect(effects.contains(.replicaLost(NodeID(3), acknowledged: Self.blank)))
        #expect(core.raft.progress[1].isForgetful)
        #expect(core.raft.progress[1].match == .zero)
        #expect(hears(&core, 3, first.round, holds: false, 0).losses == [])
        #expect(hears(&core, 3, second.round, holds: false, 0).losses == [])
        // Nor is it one that goes on lacking it while it is fed.
        let third = try beat(&core)
        #expect(hears(&core, 3, third.round, holds: false, 0).losses == [])
    }

    @Test func `what was asked for before it was acknowledged may be lacking`() throws {
        var core = try leader()
        _ = core.receive(3, 1, .appended(through: Self.blank))
        propose(&core)
        let (round, asks) = try beat(&core)
        #expect(asks == LogIndex(2))
        _ = core.receive(3, 1, .appended(through: asks))
        #expect(hears(&core, 3, round, holds: false, 1).losses == [])
        #expect(!core.raft.progress[1].isForgetful)
    }

    @Test func `a refusal names no round, so a late one is no sign`() throws {
        var core = try leader()
        _ = core.receive(3, 1, .appended(through: Self.blank))
        let late = Letter.Body.appendRefused(previous: Self.blank, hint: .zero)
        #expect(core.receive(3, 1, late).losses == [])
        #expect(!core.raft.progress[1].isForgetful)
    }

    @Test func `it is fed from where its log agrees`() throws {
        var core = try leader()
        propose(&core, 3)
        _ = core.receive(3, 1, .appended(through: LogIndex(4)))
        let (round, _) = try beat(&core)
        var effects = hears(&core, 3, round, holds: false, 0)
        #expect(effects.losses == [NodeID(3)])
        // It was rolled back to its second entry.
        effects = core.receive(
            3, 1, .appendRefused(previous: LogIndex(4), hint: position(2, 1)))
        #expect(effects.fed(3).map(\.index) == [LogIndex(3), LogIndex(4)])
    }

    @Test func `it counts for no commit, and what it said before its loss doesn't either`()
        throws
    {
        var core = try bereft()
        #expect(core.raft.commitIndex == Self.blank, "committed while it was there")
        propose(&core)
        _ = core.receive(3, 1, .appended(through: LogIndex(2)))
        _ = hears(&core, 3, core.raft.round, 2)
        #expect(core.raft.commitIndex == Self.blank)
        #expect(core.raft.progress[1].match == .zero, "an answer from before its loss")
        let (round, _) = try beat(&core)
        _ = hears(&core, 3, round, 2)
        #expect(core.raft.progress[1].match == LogIndex(2))
        #expect(core.raft.commitIndex == Self.blank, "node 2 may hold its forgotten vote")
        _ = core.receive(2, 1, .appended(through: LogIndex(2)))
        #expect(core.raft.commitIndex == LogIndex(2))
    }

    @Test func `it confirms no read`() throws {
        var core = try bereft()
        _ = core.give(.read(7))
        let effects = hears(&core, 3, core.raft.round, 1)
        #expect(!effects.contains(.readReady(7, Self.blank)))
        #expect(hears(&core, 2, core.raft.round, 1).contains(.readReady(7, Self.blank)))
    }

    @Test func `it keeps its leader in office, for its vote must stay bound`() throws {
        var core = try bereft()
        for _ in 0..<100 {
            let (round, _) = try beat(&core)
            _ = hears(&core, 3, round, 1)
        }
        #expect(core.raft.role == .leader)
    }

    @Test func `it is no heir until it counts again`() throws {
        var core = try bereft()
        let (round, _) = try beat(&core)
        _ = hears(&core, 3, round, 1)
        #expect(core.raft.progress[1].match == core.raft.lastPosition.index)
        #expect(!core.give(.transferLeadership(to: NodeID(3))).bodies.contains(.timeoutNow))
    }

    @Test func `it counts again once it holds all and every voter was heard after the loss`()
        throws
    {
        var core = try bereft()
        _ = hears(&core, 2, core.raft.round, 1)
        let before = core.raft.round
        let (round, _) = try beat(&core)
        _ = hears(&core, 3, round, 1)
        #expect(core.raft.progress[1].isForgetful, "node 2 answered round \(before) last")
        _ = hears(&core, 2, round, 1)
        #expect(!core.raft.progress[1].isForgetful)
        #expect(core.raft.progress[1].loss?.isMadeGood == true, "a person is told for long enough")
        propose(&core)
        _ = core.receive(3, 1, .appended(through: LogIndex(2)))
        #expect(core.raft.commitIndex == LogIndex(2))
    }

    @Test func `all voters heard don't help while it lacks what the log held at its loss`()
        throws
    {
        var core = try leader()
        _ = core.receive(3, 1, .appended(through: Self.blank))
        let asked = try beat(&core)
        propose(&core)
        _ = hears(&core, 3, asked.round, holds: false, 0)
        let (round, _) = try beat(&core)
        _ = hears(&core, 2, round, 2)
        _ = hears(&core, 3, round, 1)
        #expect(core.raft.progress[1].isForgetful, "it may have acknowledged entry 2 as well")
        _ = hears(&core, 3, try beat(&core).round, 2)
        #expect(!core.raft.progress[1].isForgetful)
    }

    @Test func `a second loss is told as well`() throws {
        var core = try bereft()
        var (round, _) = try beat(&core)
        _ = hears(&core, 3, round, 1)
        (round, _) = try beat(&core)
        #expect(hears(&core, 3, round, holds: false, 0).losses == [NodeID(3)])
    }

    @Test func `to a new leader everybody is new`() throws {
        var core = try bereft()
        _ = core.receive(2, 5, .outdated)
        core.saveAll()
        core.elect()
        #expect(core.raft.role == .leader)
        #expect(core.raft.progress.allSatisfy { !$0.isForgetful })
    }

    @Test func `beside a bereft data voter the witness gets the entries`() throws {
        var core = try leader(
            voters: Electorate(data: [NodeID(1), NodeID(3)], witness: NodeID(2)))
        _ = core.receive(3, 1, .appended(through: Self.blank))
        var (round, _) = try beat(&core)
        _ = hears(&core, 2, round, 0)
        #expect(core.raft.progress[0].witness?.streams == false)
        _ = hears(&core, 3, round, holds: false, 0)
        propose(&core)
        (round, _) = try beat(&core)
        _ = hears(&core, 2, round, 0)
        #expect(core.raft.progress[0].witness?.streams == true)
    }

    @Test func `a base that moved back is a loss, in an answer to what was asked since (rule 4)`() {
        var feed = WitnessFeed()
        let answers: [(base: UInt64, round: UInt64, newest: UInt64, isLost: Bool)] = [
            (0, 1, 1, false), (5, 2, 4, false),
            // Asked before it told of its base: the letters overtook each other.
            (3, 3, 4, false), (0, 4, 5, false),
            (5, 5, 5, false), (4, 6, 6, true),
        ]
        for answer in answers {
            let isLost = feed.lostBase(
                LogIndex(answer.base), in: answer.round, newest: answer.newest)
            #expect(isLost == answer.isLost, "\(answer)")
        }
    }

    @Test func `a base is told of once it is on disk`() throws {
        let voters = Electorate(data: [NodeID(2), NodeID(3)], witness: NodeID(1))
        var core = try Lone(1, voters: voters)
        _ = core.receive(2, 1, .append(previous: .zero, commit: .zero, entries: []))
        core.saveAll()
        let membership = core.raft.membership
        let base = SealedBase(
            Base(position: position(7, 1), membership: membership, state: []))
        let moved = core.receive(2, 1, .snapshot(base.chunk(from: 0, bytesMax: 1 << 20)))
        #expect(core.raft.basePosition == position(7, 1))
        func told() -> [LogIndex] {
            let beat = Letter.Heartbeat(
                previous: position(7, 1), commit: .zero, floor: .zero, round: 1, measured: .zero)
            return core.receive(2, 1, .heartbeat(beat)).bodies.compactMap {
                if case .heard(_, _, _, _, let base) = $0 { base } else { nil }
            }
        }
        #expect(told() == [.zero])
        let number = try #require(moved.writes.last?.number)
        _ = core.give(.saved(through: number))
        #expect(told() == [LogIndex(7)])
    }

    @Test func `what a forgetful witness lacks lets nothing be forgotten (rule 2)`() {
        var feed = WitnessFeed()
        feed.asked(LogIndex(5), in: 1)
        feed.disregardPast()
        let isQuestion = feed.answered(1, holds: false)
        #expect(isQuestion && feed.absent == .zero)
        feed.asked(LogIndex(6), in: 2)
        _ = feed.answered(2, holds: false)
        #expect(feed.absent == LogIndex(6))
    }
}

@Suite struct `A leader that contradicts what is committed` {
    /// Entries 1 to 3 of term 1, committed; node 2 leads term 2.
    private func follower() throws -> Lone {
        try Lone(
            1, hardState: HardState(term: Term(2), commit: LogIndex(3)),
            entries: (1...3).map { entry($0, 1) })
    }

    private func beat(_ previous: Position) -> Letter.Body {
        .heartbeat(
            Letter.Heartbeat(
                previous: previous, commit: .zero, floor: .zero, round: 4, measured: .zero))
    }

    private static let letters: [Letter.Body] = [
        .append(previous: position(2, 1), commit: .zero, entries: [entry(3, 2)]),
        .append(previous: position(2, 1), commit: .zero, entries: [entry(3, 2), entry(4, 2)]),
        .append(previous: position(3, 2), commit: LogIndex(4), entries: [entry(4, 2)]),
        .snapshot(
            SealedBase(Base(position: position(3, 2), contents: [])).chunk(
                from: 0, bytesMax: 1)),
    ]

    @Test(arguments: letters)
    func `is told of once a term, and gets no answer`(body: Letter.Body) throws {
        var core = try follower()
        let effects = core.receive(2, 2, body)
        let found = Contradiction(
            leader: NodeID(2), term: Term(2), committed: position(3, 1), claimed: position(3, 2))
        #expect(effects.contradictions == [found] && effects.bodies == [])
        #expect(core.raft.contradiction == found)
        for body in [body, beat(position(3, 2))] {
            let effects = core.receive(2, 2, body)
            #expect(effects.contradictions == [] && effects.bodies == [])
        }
        #expect(core.raft.lastPosition == position(3, 1))
        #expect(core.receive(3, 3, body).contradictions.map(\.leader) == [NodeID(3)])
    }

    @Test func `what agrees, or lies above what is committed, contradicts nothing`() throws {
        for body in [
            beat(position(3, 1)), beat(position(4, 2)),
            .append(previous: position(1, 1), commit: .zero, entries: [entry(2, 1), entry(3, 1)]),
            .append(previous: position(3, 1), commit: .zero, entries: [entry(4, 2)]),
        ] {
            var core = try follower()
            let effects = core.receive(2, 2, body)
            #expect(effects.contradictions == [] && !effects.bodies.isEmpty)
            #expect(core.raft.contradiction == nil)
        }
    }

    @Test func `a later term is a clean sheet`() throws {
        var core = try follower()
        _ = core.receive(2, 2, beat(position(3, 2)))
        #expect(core.raft.contradiction != nil)
        _ = core.receive(3, 3, beat(position(3, 1)))
        #expect(core.raft.contradiction == nil)
    }
}

extension [Effect] {
    fileprivate var losses: [NodeID] {
        compactMap { if case .replicaLost(let node, _) = $0 { node } else { nil } }
    }
    fileprivate var contradictions: [Contradiction] {
        compactMap { if case .contradicted(let found) = $0 { found } else { nil } }
    }
}
