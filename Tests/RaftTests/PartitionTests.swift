import Mesh
import Record
import Testing

@testable import Raft

/// Links that fail one by one, and nodes that stand still: who can't hear the leader unseats nobody,
/// and a leader whom nobody hears leads nobody.
@Suite struct `Partial partitions` {
    /// Led by `leader`, all at rest; leadership goes back to nobody by itself.
    private func led(
        _ count: Int, by leader: UInt64 = 1, spares: Int = 0, settings: RaftSettings? = nil
    ) throws -> Cluster {
        var settings = settings ?? RaftSettings()
        settings.followsPreference = false
        var cluster = Cluster(
            count, preferred: [NodeID(leader)], spares: spares, settings: settings)
        let ready = cluster.run(upTo: 5_000) { now in
            now.leaders == [NodeID(leader)]
                && now.membership.members.allSatisfy {
                    now[$0.rawValue].commitIndex == now[leader].lastPosition.index
                }
        }
        try #require(ready, "\(cluster.summary)")
        return cluster
    }

    /// Only these pairs of nodes reach each other.
    private func keep(_ pairs: [Set<UInt64>], in cluster: inout Cluster) {
        cluster.isCut = { from, to in !pairs.contains([from.rawValue, to.rawValue]) }
    }

    private func heal(_ cluster: inout Cluster) { cluster.isCut = { _, _ in false } }

    private func write(_ cluster: inout Cluster) -> Bool {
        guard let leader = cluster.leader else { return false }
        cluster.propose(leader)
        let goal = cluster[leader].lastPosition.index
        return cluster.run(upTo: 500) { $0[leader].commitIndex >= goal }
    }

    /// One of `nodes` leads and has committed something of its own term.
    private func rules(_ cluster: Cluster, _ nodes: ClosedRange<UInt64>) -> Bool {
        guard let leader = cluster.leader, nodes.contains(leader) else { return false }
        return cluster[leader].commitIndex >= cluster[leader].termStart
    }

    /// For `milliseconds` the leader stays, and what it takes is committed. First nothing is written:
    /// equal logs are when a consent is easiest to get.
    private func staysAndWorks(_ cluster: inout Cluster, for milliseconds: Int) -> Bool {
        let (leader, term) = (cluster.leader, cluster.leader.map { cluster[$0].term })
        cluster.run(milliseconds / 2)
        for _ in 0..<milliseconds / 500 {
            guard write(&cluster) else { return false }
            cluster.run(230)
        }
        return cluster.leader == leader && cluster.leader.map { cluster[$0].term } == term
    }

    private func catchesUp(_ cluster: inout Cluster) -> Bool {
        cluster.run(upTo: 5_000) { now in
            guard let leader = now.leader else { return false }
            return now.nodes.allSatisfy {
                !$0.isUp || $0.raft.lastPosition == now[leader].lastPosition
            }
        }
    }

    @Test(arguments: [false, true])
    func `a leader that can only send, or only receive, makes room (nasty case 1)`(isMute: Bool)
        throws
    {
        var cluster = try led(3)
        cluster.isCut = { from, to in (isMute ? from : to) == NodeID(1) }
        let replaced = cluster.run(upTo: cluster.timeouts(5)) { rules($0, 2...3) }
        #expect(replaced, "\(cluster.summary)")
        #expect(staysAndWorks(&cluster, for: 2_000))
        #expect(cluster.violations == [])
    }

    @Test func `a follower cut off from its leader alone unseats nobody (nasty case 2)`() throws {
        var cluster = try led(3)
        let term = cluster[1].term
        keep([[1, 2], [2, 3]], in: &cluster)
        #expect(staysAndWorks(&cluster, for: 5_000))
        heal(&cluster)
        #expect(catchesUp(&cluster) && cluster[3].term == term, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `of five with three whole one of the three leads and stays (nasty case 3)`(
        leader: UInt64
    ) throws {
        var cluster = try led(5, by: leader)
        keep([[1, 2], [1, 3], [2, 3], [2, 4], [3, 5]], in: &cluster)
        let settled = cluster.run(upTo: 5_000) { rules($0, 1...3) }
        #expect(settled, "\(cluster.summary)")
        let holds = staysAndWorks(&cluster, for: 5_000)
        #expect(holds, "\(cluster.summary)")
        heal(&cluster)
        #expect(catchesUp(&cluster))
        #expect(cluster.violations == [])
    }

    @Test func `a leader left with one peer makes room for that one (nasty case 4, quorum loss)`()
        throws
    {
        var cluster = try led(5)
        keep([[1, 2], [2, 3], [2, 4], [2, 5]], in: &cluster)
        let settled = cluster.run(upTo: 10_000) { rules($0, 2...2) }
        #expect(settled, "\(cluster.summary)")
        let holds = staysAndWorks(&cluster, for: 3_000)
        #expect(holds, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `in a chain one of the inner three leads and stays (nasty case 4, chained)`(
        leader: UInt64
    ) throws {
        var cluster = try led(5, by: leader)
        keep([[1, 2], [2, 3], [3, 4], [4, 5]], in: &cluster)
        let settled = cluster.run(upTo: 10_000) { rules($0, 2...4) }
        #expect(settled, "\(cluster.summary)")
        let holds = staysAndWorks(&cluster, for: 5_000)
        #expect(holds, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    /// The only node that reaches a majority lacks what was committed: nobody may lead. Raft knows no
    /// way out, so all there is to show is that nothing is lost and that it ends with the cut.
    /// 3 and 4 hold what is committed, and reach 2 alone, which lacks it.
    private func constrained() throws -> Cluster {
        var cluster = try led(5)
        keep([[1, 3], [1, 4], [3, 4]], in: &cluster)
        for _ in 1...40 { #expect(write(&cluster)) }
        cluster.crash(1)
        keep([[2, 3], [2, 4], [2, 5]], in: &cluster)
        return cluster
    }

    @Test
    func `a hub that lacks what is committed is given it, and leads (nasty case 4, constrained)`()
        throws
    {
        var cluster = try constrained()
        let committed = cluster[3].lastPosition
        let isLed = cluster.run(upTo: cluster.timeouts(6)) { rules($0, 2...2) }
        #expect(isLed, "\(cluster.summary)")
        #expect(cluster[2].term(at: committed.index) == committed.term)
        #expect(staysAndWorks(&cluster, for: 2_000))
        heal(&cluster)
        let isEven = catchesUp(&cluster)
        #expect(isEven && cluster.violations == [], "\(cluster.summary)")
    }

    @Test func `a hub gets what it lacks in as many letters as it takes, from the disk as well`()
        throws
    {
        var settings = RaftSettings()
        (settings.followsPreference, settings.batchBytesMax) = (false, 200)
        settings.windowBytesMax = 1_000
        var cluster = try led(5, settings: settings)
        keep([[1, 3], [1, 4], [3, 4]], in: &cluster)
        for _ in 1...40 { #expect(write(&cluster)) }
        #expect(cluster[3].tailByteCount <= 1_000)
        cluster.crash(1)
        keep([[2, 3], [2, 4], [2, 5]], in: &cluster)
        let isLed = cluster.run(upTo: cluster.timeouts(8)) { rules($0, 2...2) }
        #expect(isLed && cluster.violations == [], "\(cluster.summary)")
    }

    @Test func `who asks in a term that is past learns the present one, and wins (nasty case 5)`() {
        var cluster = Cluster(3)
        for node in 1...3 as ClosedRange<UInt64> { cluster.crash(node) }
        // 1 stood often and lacks an entry; 2 has it and knows nothing of those terms; 3 is dead.
        cluster.nodes[0].disk.hardState = HardState(term: Term(9))
        cluster.nodes[0].disk.entries = [entry(1, 1)]
        cluster.nodes[1].disk.hardState = HardState(term: Term(2))
        cluster.nodes[1].disk.entries = [entry(1, 1), entry(2, 2)]
        cluster.restart(1)
        cluster.restart(2)
        let led = cluster.run(upTo: 5_000) { $0.leader == 2 }
        #expect(led, "\(cluster.summary)")
        #expect(cluster[2].term > Term(9))
    }

    @Test func `who stands knows no leader any more (nasty case 6)`() throws {
        var core = try Lone(1)
        _ = core.receive(2, 1, .append(previous: .zero, commit: .zero, entries: []))
        #expect(core.raft.leader == NodeID(2))
        core.saveAll()
        core.now = core.now + .seconds(2)
        let effects = core.give(.deadlineReached)
        #expect(effects.contains(.became(.preCandidate, Term(1), leader: nil)))
        #expect(core.raft.leader == nil)
    }

    @Test func `a learner of a far later term costs one election, and follows (nasty case 8)`()
        throws
    {
        var cluster = try led(3, spares: 1)
        cluster.crash(4)
        cluster.nodes[3].disk.hardState = HardState(term: Term(50))
        cluster.restart(4)
        let voters = Electorate(data: Lone.peers)
        cluster.give(1, .changeMembership(MembershipChange(voters: voters, learners: [NodeID(4)])))
        let joined = cluster.run(upTo: 5_000) { now in
            rules(now, 1...3) && now[4].membership.isLearner(NodeID(4))
                && now.leader.map { now[4].appliedIndex == now[$0].appliedIndex } == true
        }
        #expect(joined, "\(cluster.summary)")
        #expect(cluster[4].term > Term(50))
        #expect(staysAndWorks(&cluster, for: 3_000))
        #expect(cluster[4].role == .follower && cluster.violations == [])
    }

    @Test func `a stranger's consent and vote count for nothing (nasty case 8)`() throws {
        var core = try Lone(1)
        core.now = core.now + .seconds(2)
        _ = core.give(.deadlineReached)
        for node in 7...9 as ClosedRange<UInt64> {
            _ = core.receive(node, 1, .preVoteAnswer(granted: true))
        }
        #expect(core.raft.role == .preCandidate)
        _ = core.receive(2, 1, .preVoteAnswer(granted: true))
        core.saveAll()
        for node in 7...9 as ClosedRange<UInt64> {
            _ = core.receive(node, 1, .voteAnswer(granted: true))
        }
        #expect(core.raft.role == .candidate)
    }

    @Test func `a learner that hears nobody stands for nothing (nasty case 8)`() throws {
        var core = try Lone(4, learners: [NodeID(4)])
        core.now = core.now + .seconds(5)
        let asked = core.give(.deadlineReached).sent
        #expect(asked.isEmpty && core.raft.role == .follower)
    }

    @Test func `who does not know yet that it votes gives its vote (nasty case 10)`() throws {
        var core = try Lone(4, learners: [NodeID(4)])
        let consent = core.receive(1, 1, .preVote(last: .zero))
        #expect(consent.bodies == [.preVoteAnswer(granted: true)])
        let vote = core.receive(1, 1, .vote(last: .zero))
        #expect(vote.bodies == [.voteAnswer(granted: true)])
    }

    @Test func `a leader removed and given up while cut off disturbs nobody (nasty case 11)`()
        throws
    {
        var cluster = try led(3)
        keep([[2, 3]], in: &cluster)
        cluster.propose(1)
        let other = cluster.run(upTo: 3_000) { rules($0, 2...3) }
        try #require(other, "\(cluster.summary)")
        cluster.run(200)
        let leader = try #require(cluster.leader)
        let voters = Electorate(data: [NodeID(2), NodeID(3)])
        cluster.give(leader, .changeMembership(MembershipChange(voters: voters)))
        cluster.run(3_000)
        let term = cluster[leader].term
        #expect(cluster[leader].membership.voters == voters)
        #expect(cluster[leader].progress.map(\.node) == [NodeID(5 - leader)], "1 is told no more")
        heal(&cluster)
        cluster.run(3_000)
        #expect(cluster.leaders == [NodeID(leader)] && cluster[leader].term == term)
        #expect(write(&cluster) && cluster.violations == [])
    }

    /// Stands still; what reaches it waits, and when it runs on its own clock comes first.
    private func pause(_ node: UInt64, for milliseconds: Int, _ cluster: inout Cluster) {
        cluster.nodes[Int(node) - 1].isUp = false
        var waiting: [Cluster.Flight] = []
        for _ in 0..<milliseconds {
            waiting += cluster.flights.filter { $0.letter.to == NodeID(node) }
            cluster.flights.removeAll { $0.letter.to == NodeID(node) }
            cluster.step()
        }
        cluster.nodes[Int(node) - 1].isUp = true
        cluster.give(node, .deadlineReached)
        cluster.flights += waiting
    }

    @Test(arguments: [3, 5])
    func `two seconds' pause of each in turn costs an election only of a leader (nasty case 14)`(
        count: Int
    ) throws {
        var cluster = try led(count)
        for node in (1...UInt64(count)).reversed() {
            let (leader, term) = (cluster.leader, cluster.nodes.map(\.raft.term).max())
            pause(node, for: 2_000, &cluster)
            let settled = cluster.run(upTo: 2_000) { now in
                now.leaders.count == 1 && rules(now, 1...UInt64(count))
            }
            #expect(settled && write(&cluster), "\(cluster.summary)")
            cluster.run(1_000)
            let holds = catchesUp(&cluster)
            #expect(holds, "\(cluster.summary)")
            if node != leader { #expect(cluster.nodes.map(\.raft.term).max() == term) }
            #expect(cluster.leader != nil && cluster.violations == [])
        }
    }

    @Test(arguments: [3, 5], 1...3 as ClosedRange<UInt64>)
    func `at 400 ms round trip and 2 % loss nobody stands needlessly (nasty case 75)`(
        count: Int, seed: UInt64
    ) {
        var cluster = Cluster(count, seed: seed)
        cluster.watchesWitness = false
        (cluster.delay, cluster.jitter) = (.milliseconds(190), .milliseconds(20))
        cluster.lossPercent = 2
        let led = cluster.run(upTo: 30_000) { rules($0, 1...UInt64(count)) }
        #expect(led, "\(cluster.summary)")
        cluster.run(2_000)
        let term = cluster.nodes.map(\.raft.term).max()
        for _ in 0..<60 {
            if let leader = cluster.leader { cluster.propose(leader) }
            cluster.run(500)
        }
        #expect(cluster.nodes.map(\.raft.term).max() == term, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    @Test func `a link that comes and goes moves no leadership (nasty case 62)`() throws {
        var cluster = try led(3)
        let term = cluster[1].term
        for round in 0..<40 {
            if round % 2 == 0 { keep([[1, 2], [2, 3]], in: &cluster) } else { heal(&cluster) }
            if round > 20 { #expect(write(&cluster)) }
            cluster.run(150 + round % 7 * 90)
        }
        heal(&cluster)
        #expect(catchesUp(&cluster) && cluster.leader == 1 && cluster[1].term == term)
        #expect(cluster.violations == [])
    }
}
