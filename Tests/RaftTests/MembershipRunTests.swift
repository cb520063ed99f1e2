import Mesh
import Testing

@testable import Raft

extension RandomRun {
    /// A wish at the leader, mostly one that can be granted.
    mutating func changeMembers() {
        guard let leader = cluster.leader else { return }
        var wish = MembershipChange(cluster[leader].membership)
        for _ in 0...(chance.next() % 2) { alter(&wish) }
        wish.preferred = wish.voters.data.shuffled(using: &chance)
        cluster.give(leader, .changeMembership(wish))
        let begun =
            cluster[leader].pendingChange?.target.voters ?? cluster[leader].membership.voters
        if !begun.contains(NodeID(leader)) { selfRemovals += 1 }
        if chance.chance(1, in: 4) {
            let away = Set(cluster.nodes.map(\.raft.seat).shuffled(using: &chance).prefix(3))
            cluster.isCut = { away.contains($0) != away.contains($1) }
        }
        cluster.run(Int(chance.next() % 100))
    }

    private mutating func alter(_ wish: inout MembershipChange) {
        let voters = wish.voters
        let data = cluster.nodes.map(\.raft.seat).filter { !cluster.witnesses.contains($0) }
        let strangers = data.filter { !voters.data.contains($0) && !wish.learners.contains($0) }
        switch chance.next() % 6 {
        case 0, 1:
            guard let new = strangers.randomElement(using: &chance) else { return }
            wish.learners.append(new)
        case 2, 3:
            guard let new = wish.learners.randomElement(using: &chance) else { return }
            wish.learners.removeAll { $0 == new }
            wish.voters = Electorate(data: voters.data + [new], witness: voters.witness)
        case 4:
            guard let gone = voters.data.randomElement(using: &chance) else { return }
            wish.voters = Electorate(
                data: voters.data.filter { $0 != gone }, witness: voters.witness)
            if chance.chance(1, in: 2) { wish.learners.append(gone) }
        default:
            let witness =
                chance.chance(1, in: 3) ? nil : cluster.witnesses.randomElement(using: &chance)
            wish.voters = Electorate(data: voters.data, witness: witness)
        }
    }
}

@Suite struct `Members that come and go in random histories (Raft §6, protocol rule 1)` {
    @Test(arguments: RandomRun.shapes, 1...40 as ClosedRange<UInt64>)
    func `no fault breaks a promise, any majority works alone, and in the end all catch up`(
        shape: RandomRun.Shape, seed: UInt64
    ) {
        var run = RandomRun(shape, seed: seed, changesMembers: true)
        run.disturb(rounds: 60)
        #expect(run.cluster.violations == [])
        #expect(run.cluster.logMismatch() == nil)
        var settled = run.settles(within: 15_000)
        #expect(settled, "\(run.cluster.summary)")
        let works = run.worksWithMajority(within: 15_000)
        #expect(works, "\(run.cluster.summary)")
        #expect(run.cluster.violations == [])
        settled = run.settles(within: 15_000)
        #expect(settled, "\(run.cluster.summary)")
        #expect(run.cluster.violations == [])
    }

    @Test
    func `the histories know joint configurations that wait, and leaders that remove themselves`() {
        var (done, joint, waited, witnesses, removed) = (0, 0, 0, 0, 0)
        for seed in 1...15 as ClosedRange<UInt64> {
            let shape = RandomRun.shapes[Int(seed % 5)]
            var run = RandomRun(shape, seed: seed, changesMembers: true)
            for _ in 0..<60 {
                run.disturb(rounds: 1)
                let isJoint = run.cluster.leader.map { run.cluster[$0].membership.outgoing != nil }
                if isJoint == true { waited += 1 }
            }
            done += run.cluster.membershipsDone.count
            for pair in run.cluster.judged where pair[1].outgoing != nil {
                joint += 1
                if pair[1].voters.witness != pair[1].outgoing?.witness { witnesses += 1 }
            }
            removed += run.selfRemovals
        }
        let found = [done, joint, witnesses, waited, removed]
        let isRich = done > 100 && joint > 30 && witnesses > 5 && waited > 10 && removed > 5
        #expect(isRich, "\(found)")
    }
}
