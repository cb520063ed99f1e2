import Mesh
import Record
import Testing

@testable import Raft

/// What a leader may say: of its own disk, of reads, and of who leads next.
@Suite struct `What a leader may promise` {
    /// Leads term 1 or the next, its blank committed and held by all; node 4 learns.
    private func leader() throws -> Lone {
        var core = try Lone(1, learners: [NodeID(4)])
        core.elect()
        core.saveAll()
        for node in 2...4 as ClosedRange<UInt64> {
            _ = core.receive(node, 1, .appended(through: LogIndex(1)))
        }
        #expect(core.raft.commitIndex == LogIndex(1))
        return core
    }

    private let draft = Draft(.command, epoch: Epoch(1), payload: [1, 2, 3])

    private func hears(_ core: inout Lone, _ node: UInt64, _ round: UInt64) -> [Effect] {
        core.receive(
            node, core.raft.term.rawValue,
            .heard(round: round, holds: true, through: .zero, base: .zero))
    }

    private func told(_ effects: [Effect]) -> [NodeID] {
        effects.sent.filter { $0.body == .timeoutNow }.map(\.to)
    }

    private func ready(_ effects: [Effect]) -> [LogIndex] {
        effects.compactMap { if case .readReady(7, let index) = $0 { index } else { nil } }
    }

    // MARK: Transfers

    @Test func `to itself, a learner or a stranger no transfer begins (nasty case 12)`() throws {
        var core = try leader()
        for target in [1, 4, 9] as [UInt64] {
            let effects = core.give(.transferLeadership(to: NodeID(target)))
            #expect(told(effects).isEmpty && !core.raft.isTransferring, "to \(target)")
        }
        #expect(core.give(.propose([draft], time: .zero)).contains { $0.isAccepted })
    }

    @Test func `of two transfers the first goes on, the second is none (nasty case 12)`() throws {
        var core = try leader()
        #expect(told(core.give(.transferLeadership(to: NodeID(2)))) == [NodeID(2)])
        #expect(told(core.give(.transferLeadership(to: NodeID(3)))).isEmpty)
        #expect(core.raft.transfer?.target == NodeID(2))
    }

    @Test func `one that lags is told to stand once it lacks nothing (nasty case 12)`() throws {
        var core = try leader()
        _ = core.give(.propose([draft], time: .zero))
        core.saveAll()
        #expect(told(core.give(.transferLeadership(to: NodeID(2)))).isEmpty)
        let refused = core.give(.propose([draft], time: .zero))
        #expect(refused.contains(.proposalsRefused(count: 1, .transferring)))
        #expect(told(core.receive(2, 1, .appended(through: LogIndex(2)))) == [NodeID(2)])
    }

    @Test func `one that never catches up is given up, and writes go on (nasty case 12)`() throws {
        var core = try leader()
        _ = core.give(.propose([draft], time: .zero))
        core.saveAll()
        _ = core.give(.transferLeadership(to: NodeID(2)))
        let (begun, patience) = (core.now, core.raft.electionTimeout)
        while core.raft.isTransferring, core.now < begun + .seconds(5) {
            core.now = core.now + core.raft.settings.heartbeat
            _ = core.give(.deadlineReached)
            for node in [2, 3] as [UInt64] { _ = hears(&core, node, core.raft.round) }
        }
        #expect(core.now.since(begun) <= patience + core.raft.settings.heartbeat)
        #expect(core.raft.role == .leader)
        #expect(core.give(.propose([draft], time: .zero)).contains { $0.isAccepted })
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `a transfer under writes loses none that was accepted and committed (nasty case 12)`(
        seed: UInt64
    ) throws {
        var cluster = Cluster(3, seed: seed)
        (cluster.jitter, cluster.lossPercent) = (.milliseconds(5), 5)
        let isLed = cluster.run(upTo: 2_000) { $0.leader != nil }
        try #require(isLed)
        for step in 0..<40 {
            guard let leader = cluster.leader else { continue }
            for _ in 0..<3 { cluster.propose(leader) }
            if step % 4 == 0 {
                cluster.give(leader, .transferLeadership(to: NodeID(UInt64(step) % 3 + 1)))
            }
            cluster.run(40)
        }
        #expect(cluster.violations == [] && cluster.logMismatch() == nil)
        #expect(cluster.leadersByTerm.count > 3, "leadership moved")
    }

    // MARK: The own disk

    @Test func `a lone node commits nothing before its disk has it (nasty case 19)`() {
        var cluster = Cluster(1)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        cluster.run(50)
        let before = (cluster[1].commitIndex, cluster.nodes[0].applied.count)
        cluster.stalled = [NodeID(1)]
        cluster.propose(1)
        cluster.run(300)
        #expect(cluster[1].commitIndex == before.0 && cluster.nodes[0].applied.count == before.1)
        cluster.stalled = []
        cluster.run(10)
        #expect(cluster[1].commitIndex == before.0.next)
    }

    @Test func `after a failed write nothing more is written in that term (nasty case 20)`() throws
    {
        var core = try leader()
        _ = core.give(.propose([draft], time: .zero))
        #expect(core.give(.storageFailed).contains(.steppedDown(.disk(since: .zero))))
        let refused = core.give(.propose([draft], time: .zero))
        #expect(refused == [.proposalsRefused(count: 1, .notLeader(leader: nil))])
    }

    @Test func `a leader that lost what it sent never writes in that term again (nasty case 20)`()
        throws
    {
        var cluster = Cluster(3, preferred: [NodeID(1)])
        let isLed = cluster.run(upTo: 2_000) { $0.leaders == [NodeID(1)] }
        try #require(isLed)
        cluster.run(200)
        cluster.isCut = { from, to in from == NodeID(3) || to == NodeID(3) }
        cluster.stalled = [NodeID(1)]
        cluster.propose(1, [7, 7])
        cluster.run(20)
        let lost = cluster[1].lastPosition
        #expect(cluster[2].lastPosition == lost && cluster[1].commitIndex < lost.index)
        cluster.crash(1)
        cluster.crash(2)
        cluster.stalled = []
        cluster.isCut = { _, _ in false }
        cluster.restart(1)
        #expect(cluster[1].lastPosition.index < lost.index)
        let isBack = cluster.run(upTo: 8_000) { $0.leader == 1 }
        try #require(isBack, "\(cluster.summary)")
        cluster.propose(1, [8, 8])
        cluster.run(50)
        let other = cluster.nodes[0].disk.entries.first { $0.index == lost.index }
        #expect(try #require(other).term > lost.term)
        cluster.restart(2)
        let same = cluster.run(upTo: 2_000) { now in
            now.nodes.allSatisfy { $0.disk.entries == now.nodes[0].disk.entries }
        }
        #expect(same && cluster.violations == [], "\(cluster.summary)")
    }

    /// Data on 1 and 2, the witness 3.
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a disk that hangs for 30 s, whoever's, costs two seconds at most (nasty case 51)`(
        node: UInt64
    ) throws {
        var settings = RaftSettings()
        settings.followsPreference = false
        var cluster = Cluster(2, preferred: [NodeID(1)], hasWitness: true, settings: settings)
        let isLed = cluster.run(upTo: 5_000) { $0.leaders == [NodeID(1)] }
        try #require(isLed)
        cluster.run(500)
        cluster.stalled = [NodeID(node)]
        var (silence, longest) = (0, 0)
        for _ in 0..<300 {
            let before = cluster.promisedIndex
            if let leader = cluster.leader { cluster.propose(leader) }
            cluster.run(100)
            silence = cluster.promisedIndex > before ? 0 : silence + 100
            longest = max(longest, silence)
        }
        #expect(longest <= (node == 1 ? 2_500 : 200), "\(longest) ms without a commit")
        cluster.stalled = []
        let whole = cluster.run(upTo: 5_000) { now in
            guard let leader = now.leader else { return false }
            return now.nodes.allSatisfy { $0.raft.lastPosition == now[leader].lastPosition }
        }
        #expect(whole && cluster.violations == [], "\(cluster.summary)")
    }

    // MARK: Reads

    @Test func `a new leader's read waits for a commit of its own term (nasty case 25)`() throws {
        var core = try Lone(
            1, hardState: HardState(term: Term(1), commit: LogIndex(1)),
            entries: [entry(1, 1), entry(2, 1)])
        core.elect()
        // Its predecessor may have committed entry 2, and answered for it.
        var effects = core.give(.read(7))
        for node in [2, 3] as [UInt64] { effects += hears(&core, node, core.raft.round) }
        #expect(ready(effects).isEmpty)
        core.saveAll()
        effects = core.receive(2, 2, .appended(through: LogIndex(3)))
        #expect(ready(effects) == [LogIndex(3)])
    }

    @Test func `a doubled answer confirms no later read of the same name (nasty case 26)`() throws {
        var core = try leader()
        _ = core.give(.read(7))
        let round = core.raft.round
        _ = core.give(.read(7))
        #expect(ready(hears(&core, 2, round)) == [LogIndex(1)], "the first alone")
        #expect(ready(hears(&core, 2, round)).isEmpty)
        #expect(ready(hears(&core, 3, round)).isEmpty)
        #expect(core.raft.round == round + 1)
        #expect(ready(hears(&core, 2, round + 1)) == [LogIndex(1)])
    }

    // MARK: Logs that part

    @Test func `logs that part in a hundred terms meet after a refusal a term (nasty case 24)`() {
        var cluster = Cluster(3)
        for node in 1...3 as ClosedRange<UInt64> { cluster.crash(node) }
        // Four entries a term: even terms here, odd ones there, one entry in common.
        func log(_ odd: UInt64) -> [Entry] {
            [entry(1, 1)]
                + (0..<400).map { entry(UInt64($0) + 2, UInt64($0) / 4 * 2 + 2 + odd) }
        }
        for (at, odd) in [(0, 0), (1, 1)] as [(Int, UInt64)] {
            cluster.nodes[at].disk.entries = log(odd)
            cluster.nodes[at].disk.hardState = HardState(term: Term(210))
            cluster.restart(UInt64(at) + 1)
        }
        let met = cluster.run(upTo: 10_000) { now in
            now.leader == 2 && now[1].lastPosition == now[2].lastPosition
                && now.nodes[0].disk.entries == now.nodes[1].disk.entries
        }
        #expect(met, "\(cluster.summary)")
        let refusals = cluster.effects.count { _, effect in
            guard case .send(let letter) = effect, case .appendRefused = letter.body else {
                return false
            }
            return true
        }
        #expect(refusals > 50 && refusals <= 130, "\(refusals)")
        #expect(cluster.violations == [])
    }
}

extension Effect {
    fileprivate var isAccepted: Bool { if case .accepted = self { true } else { false } }
}
