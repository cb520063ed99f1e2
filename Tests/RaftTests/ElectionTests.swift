import Mesh
import Raft
import Record
import Testing

@Suite struct `Elections (Raft §5.2)` {
    @Test func `three nodes elect one leader and commit its blank entry`() {
        var cluster = Cluster(3)
        #expect(
            cluster.run(upTo: 1_000) { $0.nodes.allSatisfy { $0.raft.appliedIndex.rawValue == 1 } })
        #expect(cluster.leaders.count == 1)
        #expect(cluster.committed[LogIndex(1)]?.kind == .blank)
    }

    @Test func `a lone node leads itself only once its vote is saved`() {
        var cluster = Cluster(1)
        cluster.stalled = [NodeID(1)]
        let early = cluster.run(upTo: cluster.timeouts(2)) { $0[1].role == .candidate }
        #expect(early)
        cluster.run(30)
        #expect(cluster[1].role == .candidate)
        cluster.stalled = []
        #expect(cluster.run(upTo: 1_000) { $0[1].role == .leader })
    }

    @Test func `a vote leaves only after it is saved`() {
        var cluster = Cluster(3)
        let ask = Letter(
            from: NodeID(2), to: NodeID(1), group: Cluster.group, term: Term(5),
            body: .vote(last: .zero))
        let effects = cluster.give(1, .received(ask))
        guard case .save(let write)? = effects.first else {
            Issue.record("no write: \(effects)")
            return
        }
        #expect(write.change.hardState?.vote == NodeID(2))
        #expect(write.releases.map(\.body) == [.voteAnswer(granted: true)])
        #expect(!effects.contains { if case .send = $0 { true } else { false } })
    }

    @Test func `a node votes once in a term, also across a restart`() {
        var cluster = Cluster(3)
        func ask(_ from: UInt64) -> Event {
            .received(
                Letter(
                    from: NodeID(from), to: NodeID(1), group: Cluster.group, term: Term(5),
                    body: .vote(last: .zero)))
        }
        cluster.give(1, ask(2))
        cluster.save(1)
        cluster.crash(1)
        cluster.restart(1)
        let answers = cluster.give(1, ask(3)).compactMap {
            if case .send(let letter) = $0 { letter.body } else { nil }
        }
        #expect(answers == [.voteAnswer(granted: false)])
    }

    @Test func `a node cut off and healed disturbs nobody`() {
        var cluster = Cluster(3)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        guard let leader = cluster.leader else { return }
        cluster.run(100)
        let term = cluster[leader].term
        let lone = NodeID(leader % 3 + 1)
        cluster.isCut = { $0 == lone || $1 == lone }
        cluster.run(3_000)
        #expect(cluster[lone.rawValue].term == term)
        cluster.isCut = { _, _ in false }
        cluster.run(1_000)
        #expect(cluster.leader == leader)
        #expect(cluster[leader].term == term)
    }

    @Test func `a node that can send but not receive disturbs nobody`() {
        var cluster = Cluster(3)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        guard let leader = cluster.leader else { return }
        cluster.run(100)
        let term = cluster[leader].term
        let deaf = NodeID(leader % 3 + 1)
        cluster.isCut = { $1 == deaf }
        cluster.run(3_000)
        #expect(cluster.leader == leader)
        #expect(cluster[leader].term == term)
    }

    @Test func `a leader that hears no quorum steps down`() {
        var cluster = Cluster(3)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        guard let leader = cluster.leader else { return }
        cluster.run(100)
        let cut = NodeID(leader)
        cluster.isCut = { $0 == cut || $1 == cut }
        let stepped = cluster.run(upTo: cluster.timeouts(2)) { $0[leader].role != .leader }
        #expect(stepped)
        #expect(cluster.run(upTo: 2_000) { $0.leader != nil && $0.leader != leader })
    }

    @Test func `a leader whose disk stalls steps down and stands again only after a save`() {
        var cluster = Cluster(3)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        guard let leader = cluster.leader else { return }
        cluster.run(100)
        cluster.stalled = [NodeID(leader)]
        cluster.propose(leader)
        cluster.run(1_400)
        #expect(cluster[leader].role == .leader, "a hiccup of the disk costs nobody a connection")
        let stepped = cluster.run(upTo: 200) { $0[leader].role == .follower }
        #expect(stepped)
        let mute = cluster.run(upTo: 2_000) { $0.leader != nil && $0.leader != leader }
        #expect(mute)
        guard let second = cluster.leader else { return }
        cluster.run(100)
        cluster.give(second, .transferLeadership(to: NodeID(leader)))
        cluster.run(cluster.timeouts(2))
        #expect(cluster[leader].role == .follower)
        cluster.stalled = []
        cluster.run(500)
        guard let third = cluster.leader else { return }
        cluster.give(third, .transferLeadership(to: NodeID(leader)))
        #expect(cluster.run(upTo: 1_000) { $0[leader].role == .leader })
    }

    @Test func `a leader that was not run for long blames neither its disk nor its peers`() {
        var cluster = Cluster(3)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        guard let leader = cluster.leader else { return }
        cluster.run(100)
        var raft = cluster[leader]
        let now = raft.deadline + .milliseconds(2_000)
        var effects: [Effect] = []
        raft.handle(.deadlineReached, at: now, &effects)
        let reasons = effects.compactMap { if case .steppedDown(let why) = $0 { why } else { nil } }
        #expect(reasons == [.paused(for: .milliseconds(2_000))])
        #expect(raft.role == .follower)
    }

    @Test func `a leader whose write fails steps down at once and probes its disk`() {
        var cluster = Cluster(1)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        cluster.run(50)
        cluster.give(1, .storageFailed)
        #expect(cluster[1].role == .follower)
        cluster.stalled = [NodeID(1)]
        let probed = cluster.run(upTo: 1_000) { !$0.nodes[0].writes.isEmpty }
        #expect(probed)
        #expect(cluster[1].role == .follower)
        cluster.stalled = []
        #expect(cluster.run(upTo: 2_000) { $0[1].role == .leader })
    }

    @Test func `a leader hands over to the node that asks for it, in order`() {
        var cluster = Cluster(3)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        guard let leader = cluster.leader else { return }
        cluster.run(100)
        let target = leader % 3 + 1
        cluster.give(leader, .transferLeadership(to: NodeID(target)))
        cluster.propose(leader)
        #expect(cluster.refusals == [.transferring])
        #expect(cluster.run(upTo: 100) { $0.leader == target && $0[leader].role == .follower })
    }

    @Test func `a transfer to a silent node is given up and proposals flow again`() {
        var cluster = Cluster(3)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        guard let leader = cluster.leader else { return }
        cluster.run(100)
        let target = leader % 3 + 1
        cluster.crash(target)
        cluster.propose(leader)
        cluster.give(leader, .transferLeadership(to: NodeID(target)))
        cluster.run(cluster.timeouts(2))
        #expect(cluster.leader == leader)
        cluster.propose(leader)
        #expect(cluster.refusals.isEmpty)
        #expect(cluster.run(upTo: 200) { $0[leader].commitIndex.rawValue == 3 })
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `leadership drifts to the preferred node`(seed: UInt64) {
        var cluster = Cluster(3, seed: seed, preferred: [NodeID(2), NodeID(1)])
        cluster.crash(2)
        _ = cluster.run(upTo: 1_000) { $0.leader != nil }
        cluster.restart(2)
        #expect(cluster.run(upTo: 4_000) { $0.leader == 2 && $0.leaders.count == 1 })
    }

    @Test func `a leader that is told not to follow preference keeps leading`() {
        var settings = RaftSettings()
        settings.followsPreference = false
        var cluster = Cluster(3, preferred: [NodeID(2), NodeID(1)], settings: settings)
        cluster.crash(2)
        _ = cluster.run(upTo: 2_000) { $0.leader != nil }
        let leader = cluster.leader
        cluster.restart(2)
        cluster.run(cluster.timeouts(2 * settings.handOverPause))
        #expect(cluster.leader == leader)
        #expect(leader != 2)
    }

    @Test func `ranks stand one after the other, those not named last`() throws {
        let order = [NodeID(3), NodeID(1)]
        let timeout = RaftSettings().electionFloor
        for (seat, rank) in [(3, 0), (1, 1), (2, 2)] as [(UInt64, UInt64)] {
            for seed in 1...50 as ClosedRange<UInt64> {
                let core = try Lone(seat, preferred: order, seed: seed)
                let wait = core.raft.deadline.since(.zero)
                #expect(wait >= timeout + timeout / 4 * rank)
                #expect(wait <= timeout + timeout / 4 * (rank + 1))
            }
        }
    }

    @Test func `a leader's blank entry shows no epoch`() throws {
        var core = try Lone(1, hardState: HardState(term: Term(2)), entries: [entry(1, 1)])
        core.elect()
        let fresh = core.receive(2, 3, .appended(through: LogIndex(1))).fed(2)
        #expect(core.raft.termStartIndex == LogIndex(2))
        #expect(fresh.map(\.kind) == [.blank])
        #expect(fresh.map(\.epoch) == [.zero])
    }

    @Test func `slow links make for longer election timeouts`() {
        var cluster = Cluster(3)
        cluster.delay = .milliseconds(60)
        #expect(cluster.run(upTo: 10_000) { $0.leader != nil })
        cluster.run(3_000)
        guard let leader = cluster.leader else { return }
        let follower = leader % 3 + 1
        #expect(cluster[leader].electionTimeout > .milliseconds(500))
        #expect(cluster[follower].electionTimeout > .milliseconds(500))
        #expect(cluster[follower].electionTimeout <= cluster.settings.electionCeiling)
    }
}
