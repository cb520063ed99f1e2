import Mesh
import Record
import Testing

@testable import Raft

@Suite struct `Members that come and go (Raft §6)` {
    /// Data voters 1 to `count`, perhaps a witness behind them, then spare machines; led by 1.
    private func group(
        _ count: Int = 3, seed: UInt64 = 1, hasWitness: Bool = false, spares: Int = 2,
        hasSpareWitness: Bool = false
    ) -> Cluster {
        var cluster = Cluster(
            count, seed: seed, preferred: [NodeID(1)], hasWitness: hasWitness, spares: spares,
            hasSpareWitness: hasSpareWitness)
        let ready = cluster.run(upTo: 5_000) { now in
            now.leaders == [NodeID(1)]
                && now.membership.members.allSatisfy {
                    now[$0.rawValue].commitIndex == now[1].lastPosition.index
                }
        }
        #expect(ready, "\(cluster.summary)")
        return cluster
    }

    private func voters(_ nodes: UInt64..., witness: UInt64? = nil) -> Electorate {
        Electorate(data: nodes.map { NodeID($0) }, witness: witness.map { NodeID($0) })
    }

    /// Asks the leader, and waits until all members of the target know it for committed.
    private func change(
        _ cluster: inout Cluster, to voters: Electorate, learners: [UInt64] = [],
        within milliseconds: Int = 2_000
    ) -> Bool {
        let wish = MembershipChange(voters: voters, learners: learners.map { NodeID($0) })
        begin(&cluster, wish)
        return cluster.run(upTo: milliseconds) { now in
            now.membershipRefusals.isEmpty
                && wish.final.members.allSatisfy { node in
                    !now.isUp(node) || knows(now, node.rawValue, wish)
                }
        }
    }

    private func begin(_ cluster: inout Cluster, _ wish: MembershipChange) {
        cluster.membershipRefusals = []
        if let leader = cluster.leader { cluster.give(leader, .changeMembership(wish)) }
    }

    private func knows(_ cluster: Cluster, _ node: UInt64, _ wish: MembershipChange) -> Bool {
        let raft = cluster[node]
        return raft.membership == wish.final && raft.log.membershipIndex <= raft.commitIndex
    }

    private func write(_ count: Int, _ cluster: inout Cluster) -> Bool {
        guard let leader = cluster.leader else { return false }
        let goal = cluster[leader].commitIndex.advanced(by: count)
        for _ in 0..<count {
            cluster.propose(leader)
            cluster.step()
        }
        return cluster.run(upTo: 2_000) { $0[leader].commitIndex >= goal }
    }

    private func isolate(_ nodes: UInt64..., in cluster: inout Cluster) {
        let some = Set(nodes.map { NodeID($0) })
        cluster.isCut = { some.contains($0) != some.contains($1) }
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `three become five under writes, and five three others`(seed: UInt64) {
        var cluster = group(seed: seed, spares: 4)
        #expect(write(50, &cluster))
        #expect(change(&cluster, to: voters(1, 2, 3), learners: [4, 5]))
        #expect(change(&cluster, to: voters(1, 2, 3, 4, 5)))
        #expect(write(50, &cluster))
        cluster.crash(2)
        cluster.crash(3)
        #expect(write(10, &cluster), "three of five")
        cluster.restart(2)
        cluster.restart(3)
        cluster.run(200)
        #expect(change(&cluster, to: voters(1, 2, 3, 4, 5), learners: [6, 7]))
        #expect(change(&cluster, to: voters(5, 6, 7), within: 5_000), "\(cluster.summary)")
        let led = cluster.run(upTo: 5_000) { now in
            now.leaders.count == 1 && [5, 6, 7].contains(now.leader)
        }
        #expect(led, "\(cluster.summary)")
        for node in 1...4 as ClosedRange<UInt64> { cluster.crash(node) }
        #expect(write(10, &cluster), "and nobody else is needed")
        #expect(cluster.violations == [] && cluster.logMismatch() == nil)
    }

    @Test func `a leader that removes itself hands over without an election timeout`() {
        var cluster = group()
        let begun = cluster.now
        #expect(change(&cluster, to: voters(2, 3)))
        let led = cluster.run(upTo: 100) { [2, 3].contains($0.leader) && $0.leaders.count == 1 }
        #expect(led, "\(cluster.summary)")
        #expect(cluster.now.since(begun) < cluster.settings.electionFloor)
        #expect(write(5, &cluster))
        #expect(cluster[1].role == .follower)
        #expect(cluster.violations == [])
    }

    @Test func `a removed node is told, and stands no more when nobody leads`() {
        var cluster = group()
        #expect(change(&cluster, to: voters(1, 2)))
        let told = cluster.run(upTo: 200) { knows($0, 3, MembershipChange(voters: voters(1, 2))) }
        #expect(told)
        cluster.run(500)
        #expect(cluster[1].progress.map(\.node) == [NodeID(2)], "nobody feeds it any more")
        cluster.crash(1)
        cluster.crash(2)
        for _ in 0..<3_000 {
            cluster.step()
            #expect(cluster[3].role == .follower)
        }
    }

    @Test(arguments: [false, true])
    func `a removed node that never learned of it disturbs nobody`(restarts: Bool) {
        var cluster = group()
        isolate(3, in: &cluster)
        #expect(change(&cluster, to: voters(1, 2)))
        #expect(write(5, &cluster))
        cluster.run(3_000)
        #expect(cluster[1].progress.map(\.node) == [NodeID(2)], "nor does it hold its leader up")
        let term = cluster[1].term
        if restarts {
            cluster.crash(3)
            cluster.restart(3)
        }
        cluster.isCut = { _, _ in false }
        cluster.run(3_000)
        #expect(cluster.leader == 1 && cluster[1].term == term && cluster[3].term == term)
        // Nor when there is no leader: what is left of the old majority knows better.
        cluster.crash(1)
        cluster.run(3_000)
        #expect(cluster[3].role != .leader && cluster[2].role != .leader)
        #expect(cluster[2].term <= term.next, "its requests move no term")
        cluster.restart(1)
        let back = cluster.run(upTo: 5_000) { $0.leader == 1 || $0.leader == 2 }
        #expect(back && write(5, &cluster))
        #expect(cluster.violations == [])
    }

    @Test func `who is back before the leader gave it up is a member like any other`() {
        var cluster = group()
        isolate(3, in: &cluster)
        #expect(change(&cluster, to: voters(1, 2)))
        cluster.run(60)
        #expect(cluster[1].progress.contains { $0.node == NodeID(3) && $0.leavesAt != nil })
        begin(&cluster, MembershipChange(voters: voters(1, 2), learners: [NodeID(3)]))
        cluster.run(cluster.timeouts(2))
        cluster.isCut = { _, _ in false }
        let isBack = cluster.run(upTo: 500) { $0[3].commitIndex == $0[1].commitIndex }
        #expect(isBack && cluster[3].membership.learners == [NodeID(3)])
    }

    @Test func `a leader that is removed while it is cut off ends as a follower (nasty case 11)`() {
        var cluster = group()
        isolate(1, in: &cluster)
        cluster.propose(1)
        let other = cluster.run(upTo: 3_000) { $0.leader == 2 || $0.leader == 3 }
        #expect(other)
        cluster.run(200)
        #expect(change(&cluster, to: voters(2, 3)))
        guard let leader = cluster.leader else { return }
        let term = cluster[leader].term
        cluster.isCut = { _, _ in false }
        cluster.run(3_000)
        #expect(cluster.leader == leader && cluster[leader].term == term)
        #expect(cluster[1].role != .leader && cluster[1].role != .candidate)
        #expect(cluster.violations == [])
    }

    @Test func `with one of three down a fourth is added, and the dead one replaced`() {
        var cluster = group()
        cluster.crash(3)
        #expect(write(5, &cluster))
        #expect(change(&cluster, to: voters(1, 2, 3), learners: [4]))
        var growing = cluster
        #expect(change(&growing, to: voters(1, 2, 3, 4)), "three of four are there")
        #expect(write(5, &growing))
        #expect(change(&cluster, to: voters(1, 2, 4)))
        cluster.crash(2)
        #expect(write(5, &cluster), "two of three again")
        #expect(cluster.violations == [] && growing.violations == [])
    }

    @Test func `when five shrank to three, two commit (nasty case 23)`() {
        var cluster = group(5, spares: 0)
        cluster.crash(4)
        cluster.crash(5)
        #expect(change(&cluster, to: voters(1, 2, 3)))
        cluster.crash(3)
        #expect(write(5, &cluster))
        cluster.crash(2)
        cluster.propose(1)
        let before = cluster[1].commitIndex
        cluster.run(200)
        #expect(cluster[1].commitIndex == before)
    }

    @Test func `a learner gets nothing before it is committed, and all once it votes`() {
        var cluster = group()
        #expect(change(&cluster, to: voters(1, 2, 3), learners: [4]))
        isolate(1, 4, in: &cluster)
        cluster.propose(1)
        cluster.run(100)
        #expect(cluster[4].lastPosition.index == cluster[1].commitIndex)
        #expect(cluster[1].lastPosition.index > cluster[1].commitIndex)
        cluster.isCut = { _, _ in false }
        cluster.run(200)
        #expect(change(&cluster, to: voters(1, 2, 3, 4)))
        isolate(1, 4, in: &cluster)
        cluster.propose(1)
        cluster.run(100)
        #expect(cluster[4].lastPosition.index > cluster[1].commitIndex)
        #expect(cluster.violations == [])
    }

    @Test func `who was away learns the members from a snapshot (nasty case 31)`() {
        var cluster = group()
        cluster.crash(3)
        #expect(change(&cluster, to: voters(1, 2, 3), learners: [4]))
        #expect(change(&cluster, to: voters(1, 2, 3, 4)))
        #expect(write(5, &cluster))
        cluster.run(100)
        for node in [1, 2, 4] as [UInt64] {
            let raft = cluster[node]
            guard let term = raft.term(at: raft.appliedIndex) else { return }
            let end = Position(index: raft.appliedIndex, term: term)
            cluster.give(node, .checkpointed(Base(position: end, contents: [1])))
        }
        cluster.run(100)
        #expect(cluster[1].basePosition.index == cluster[1].appliedIndex)
        cluster.restart(3)
        let learned = cluster.run(upTo: 2_000) {
            knows($0, 3, MembershipChange(voters: voters(1, 2, 3, 4)))
        }
        #expect(learned, "\(cluster.summary)")
        #expect(cluster.nodes[2].restoredTo == cluster[1].basePosition.index)
        cluster.crash(3)
        cluster.restart(3)
        #expect(
            cluster[3].membership.voters == voters(1, 2, 3, 4), "and knows them after a restart")
    }

    @Test func `an uncommitted joint entry that is lost leaves the members as they were`() {
        var cluster = group()
        #expect(change(&cluster, to: voters(1, 2, 3), learners: [4]))
        isolate(1, in: &cluster)
        begin(&cluster, MembershipChange(voters: voters(1, 4)))
        let isJoint = cluster.run(upTo: 100) { $0[1].membership.outgoing != nil }
        #expect(isJoint)
        cluster.save(1)
        cluster.crash(1)
        let other = cluster.run(upTo: 3_000) { $0.leader == 2 || $0.leader == 3 }
        #expect(other && write(5, &cluster))
        cluster.restart(1)
        #expect(cluster[1].membership.outgoing != nil, "it is on its disk")
        cluster.isCut = { _, _ in false }
        let former = cluster.run(upTo: 2_000) { now in
            now[1].membership
                == MembershipChange(voters: voters(1, 2, 3), learners: [NodeID(4)]).final
        }
        #expect(former, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    /// In each phase: before the joint entry, with it on some disks, committed, with the final one.
    @Test(arguments: 0...24 as ClosedRange<Int>, [false, true])
    func `a leader that dies during a change leaves one that ends it or undoes it (nasty case 30)`(
        after milliseconds: Int, goes: Bool
    ) {
        var cluster = group(seed: UInt64(milliseconds) + 1)
        #expect(change(&cluster, to: voters(1, 2, 3), learners: [4, 5]))
        for _ in 0..<3 { cluster.propose(1) }
        let wish = MembershipChange(voters: goes ? voters(3, 4, 5) : voters(1, 4, 5))
        begin(&cluster, wish)
        cluster.run(milliseconds)
        let known = cluster[1].log.memberships.map(\.membership)
        cluster.crash(1)
        let settled = cluster.run(upTo: 5_000) { now in
            guard let leader = now.leader, now.leaders.count == 1 else { return false }
            let raft = now[leader]
            return raft.membership.outgoing == nil && raft.log.membershipIndex <= raft.commitIndex
                && raft.membership.isData(NodeID(leader)) && raft.commitIndex >= raft.termStart
        }
        #expect(settled, "\(cluster.summary)")
        #expect(write(5, &cluster), "\(cluster.summary)")
        guard let leader = cluster.leader else { return }
        let end = cluster[leader].membership
        if known.last?.outgoing == nil, known.last == wish.final { #expect(end == wish.final) }
        #expect(end == wish.final || end.voters == voters(1, 2, 3))
        cluster.restart(1)
        cluster.run(1_000)
        #expect(cluster.violations == [] && cluster.logMismatch() == nil)
    }

    // MARK: The witness (ADR 2, protocol rules 1 and 5)

    private func hasForgotten(_ cluster: Cluster, _ witness: UInt64) -> Bool {
        guard let leader = cluster.leader else { return false }
        return cluster[witness].basePosition == cluster[leader].lastPosition
    }

    @Test func `a third region comes and the witness's vote goes, and back, each in one change`() {
        var cluster = group(2, hasWitness: true)
        #expect(write(20, &cluster))
        #expect(change(&cluster, to: voters(1, 2, witness: 3), learners: [4]))
        #expect(change(&cluster, to: voters(1, 2, 4)))
        let told = cluster.run(upTo: 500) {
            knows($0, 3, MembershipChange(voters: voters(1, 2, 4)))
        }
        #expect(told, "the witness knows that it votes no more")
        cluster.crash(2)
        #expect(write(20, &cluster))
        cluster.crash(1)
        cluster.restart(3)
        for _ in 0..<3_000 {
            cluster.step()
            #expect(cluster[3].role == .follower, "nor does it stand")
        }
        cluster.restart(1)
        cluster.restart(2)
        #expect(cluster.run(upTo: 5_000) { $0.leaders.count == 1 } && write(5, &cluster))
        #expect(change(&cluster, to: voters(1, 2, witness: 3), within: 5_000), "\(cluster.summary)")
        let clean = cluster.run(upTo: 3_000) { now in
            now.leaders.count == 1 && [1, 2].contains(now.leader) && hasForgotten(now, 3)
        }
        #expect(clean, "\(cluster.summary)")
        cluster.crash(cluster.leader == 1 ? 2 : 1)
        #expect(write(20, &cluster), "and its vote counts again")
        #expect(cluster.violations == [])
    }

    @Test func `a lost witness is replaced by another machine`() {
        var cluster = group(2, hasWitness: true, spares: 0, hasSpareWitness: true)
        cluster.crash(3)
        #expect(write(20, &cluster))
        #expect(change(&cluster, to: voters(1, 2, witness: 4)), "\(cluster.summary)")
        #expect(cluster.run(upTo: 1_000) { hasForgotten($0, 4) })
        cluster.crash(2)
        #expect(write(20, &cluster))
        #expect(cluster[4].lastPosition == cluster[1].lastPosition)
        #expect(cluster.nodes[3].applied.isEmpty)
        #expect(cluster.violations == [])
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `while a change waits for a voter the witness forgets nothing behind its beginning`(
        seed: UInt64
    ) {
        var cluster = group(2, seed: seed, hasWitness: true)
        #expect(change(&cluster, to: voters(1, 2, witness: 3), learners: [4, 5]))
        begin(&cluster, MembershipChange(voters: voters(1, 4, 5, 2, witness: 3)))
        let joint = cluster.run(upTo: 100) { $0[1].membership.outgoing != nil }
        #expect(joint)
        let start = cluster[1].log.membershipIndex
        // New voters 4 and 5 and old voter 2 are away, so the joint entry can't be committed.
        isolate(1, 3, in: &cluster)
        for _ in 0..<20 {
            cluster.propose(1)
            cluster.run(5)
            #expect(cluster[3].basePosition.index < start)
        }
        cluster.isCut = { _, _ in false }
        let done = cluster.run(upTo: 5_000) { now in
            now.leader.map { now[$0].membership.outgoing == nil } == true && hasForgotten(now, 3)
        }
        #expect(done, "\(cluster.summary)")
        #expect(cluster[1].membership.voters == voters(1, 2, 4, 5, witness: 3))
        #expect(cluster.violations == [])
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `a caretaker hands a change over that only it and the dead knew`(seed: UInt64) {
        var cluster = group(2, seed: seed, hasWitness: true)
        #expect(change(&cluster, to: voters(1, 2, witness: 3), learners: [4]))
        begin(&cluster, MembershipChange(voters: voters(1, 4, witness: 3)))
        let isJoint = cluster.run(upTo: 100) { $0[1].membership.outgoing != nil }
        #expect(isJoint)
        isolate(1, 3, in: &cluster)
        let done = cluster.run(upTo: 2_000) { now in
            now[1].membership.outgoing == nil && now[1].log.membershipIndex <= now[1].commitIndex
        }
        #expect(done, "1 and the witness are a majority of both halves: \(cluster.summary)")
        #expect(write(20, &cluster))
        let promised = cluster[1].commitIndex
        cluster.crash(1)
        cluster.isCut = { _, _ in false }
        let led = cluster.run(upTo: 10_000) { $0[3].role == .leader }
        #expect(led, "the witness takes care")
        let back = cluster.run(upTo: 10_000) {
            $0.leaders == [NodeID(4)] && $0[4].appliedIndex > promised
        }
        #expect(back, "\(cluster.summary)")
        #expect(write(5, &cluster))
        #expect(
            cluster[2].role != .leader && cluster[4].term == cluster.nodes.map(\.raft.term).max())
        #expect(cluster.violations == [] && cluster.logMismatch() == nil)
    }
}
