import Mesh
import Record
import Testing

@testable import Raft

@Suite struct `Disks that forget, and disks that don't` {
    struct Wipe: CustomTestStringConvertible, Sendable {
        let shape: RandomRun.Shape
        let victim: UInt64
        /// How many entries its disk still has, of all that it held.
        let keeps: Int
        var testDescription: String {
            "node \(victim) of \(shape.testDescription) keeps \(keeps)"
        }
    }

    /// A witness's disk holds nothing but a base, so it can only lose all.
    static let wipes: [Wipe] = RandomRun.shapes.flatMap { shape in
        let data = (2...UInt64(shape.data)).flatMap { node in
            [0, 7].map { Wipe(shape: shape, victim: node, keeps: $0) }
        }
        let witness = Wipe(shape: shape, victim: UInt64(shape.data) + 1, keeps: 0)
        return data + (shape.hasWitness ? [witness] : [])
    }

    private func steady(_ shape: RandomRun.Shape) throws -> Cluster {
        var cluster = Cluster(
            shape.data, preferred: [NodeID(1)], hasWitness: shape.hasWitness)
        cluster.mayForget = true
        let isLed = cluster.run(upTo: 5_000) { $0.leaders == [NodeID(1)] }
        try #require(isLed)
        for _ in 0..<20 {
            cluster.propose(1)
            cluster.run(5)
        }
        cluster.run(500)
        return cluster
    }

    private func wipe(
        _ cluster: inout Cluster, _ wipe: Wipe, meanwhile: (inout Cluster) -> Void = { _ in }
    ) {
        cluster.crash(wipe.victim)
        meanwhile(&cluster)
        let kept = Array(cluster.nodes[Int(wipe.victim) - 1].disk.entries.prefix(wipe.keeps))
        let base = Base(position: .zero, membership: cluster.membership, state: [])
        cluster.nodes[Int(wipe.victim) - 1].disk = SlowDisk(
            hardState: HardState(term: kept.last?.term ?? .zero), base: base, entries: kept)
        // A witness that lost its base is what `checkForgetting` has to complain of.
        cluster.watchesWitness = false
        cluster.restart(wipe.victim)
    }

    @Test(arguments: RandomRun.shapes.filter(\.hasWitness))
    func
        `a witness that lost its base is noticed though more is committed meanwhile (nasty case 70)`(
            shape: RandomRun.Shape
        ) throws
    {
        var cluster = try steady(shape)
        let witness = UInt64(shape.data) + 1
        wipe(&cluster, Wipe(shape: shape, victim: witness, keeps: 0)) {
            $0.propose(1)
            $0.run(200)
        }
        let isNoticed = cluster.run(upTo: 1_000) { $0.losses == [NodeID(witness)] }
        #expect(isNoticed, "\(cluster.summary)")
        var rounds = 0
        while cluster[1].progress.contains(where: \.isForgetful), rounds < 100 {
            cluster.propose(1)
            cluster.run(50)
            rounds += 1
        }
        #expect(rounds < 100 && cluster.violations == [], "it counts again: \(cluster.summary)")
    }

    @Test(arguments: wipes)
    func `an emptied or rolled back disk is noticed within a second, whoever's it is`(wiped: Wipe)
        throws
    {
        var cluster = try steady(wiped.shape)
        let term = cluster[1].term
        wipe(&cluster, wiped)
        let isNoticed = cluster.run(upTo: 1_000) { $0.losses == [NodeID(wiped.victim)] }
        #expect(isNoticed, "\(cluster.summary)")
        // It is fed, counts again, and in all that time its leader leads on.
        let isWell = cluster.run(upTo: 2_000) { now in
            now[1].progress.allSatisfy { !$0.isForgetful }
        }
        #expect(isWell, "\(cluster.summary)")
        for _ in 0..<20 {
            cluster.propose(1)
            cluster.run(5)
        }
        cluster.run(500)
        let last = cluster[1].lastPosition
        #expect(cluster.nodes.allSatisfy { $0.raft.lastPosition == last }, "\(cluster.summary)")
        #expect(cluster[1].commitIndex == last.index && cluster[1].term == term)
        #expect(cluster.losses == [NodeID(wiped.victim)], "told once")
        #expect(cluster.violations == [])
    }

    @Test func `what it forgot can't be committed again by it alone`() throws {
        var cluster = try steady(RandomRun.Shape(data: 3, hasWitness: false))
        cluster.crash(2)
        wipe(&cluster, Wipe(shape: RandomRun.shapes[3], victim: 3, keeps: 0))
        let isNoticed = cluster.run(upTo: 1_000) { $0.losses == [NodeID(3)] }
        #expect(isNoticed)
        let commit = cluster[1].commitIndex
        cluster.propose(1)
        cluster.run(2_000)
        // Nodes 2 and 3 have failed, and three voters stand one failure; yet 3 has all again.
        #expect(cluster[1].role == .leader && cluster[1].commitIndex == commit)
        #expect(cluster[1].progress[1].match == cluster[1].lastPosition.index)
        cluster.restart(2)
        cluster.run(1_000)
        #expect(cluster[1].commitIndex == cluster[1].lastPosition.index)
        #expect(cluster[1].progress.allSatisfy { !$0.isForgetful })
        #expect(cluster.violations == [])
    }

    @Test func `a witness stands in for one that lost its disk, though it has caught up`() throws {
        var cluster = try steady(RandomRun.Shape(data: 4, hasWitness: true))
        cluster.crash(4)
        wipe(&cluster, Wipe(shape: RandomRun.shapes[1], victim: 3, keeps: 0))
        cluster.run(2_000)
        // Of five voters 1, 2 and the witness are left: 3 counts for nothing while 4 isn't heard.
        #expect(cluster[1].progress[1].match == cluster[1].lastPosition.index)
        #expect(cluster[1].progress[1].isForgetful)
        cluster.propose(1)
        cluster.run(1_000)
        #expect(cluster[1].commitIndex == cluster[1].lastPosition.index, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    /// `Cluster` takes for a violation that anybody is said to have lost what its disk still has.
    @Test(arguments: RandomRun.shapes, 1...40 as ClosedRange<UInt64>)
    func `letters that come late, doubled and in any order accuse nobody`(
        shape: RandomRun.Shape, seed: UInt64
    ) {
        var run = RandomRun(shape, seed: seed)
        run.cluster.jitter = .milliseconds(seed % 2 == 0 ? 400 : 60)
        run.cluster.duplicatePercent = 30
        run.cluster.lossPercent = seed % 20
        run.restartsAtOnce = true
        run.disturb(rounds: 60)
        #expect(run.cluster.violations == [])
    }

    @Test func `such runs know leaders that stay while followers restart`() {
        var restarts = 0
        for seed in 1...40 as ClosedRange<UInt64> {
            var run = RandomRun(RandomRun.shapes[3], seed: seed)
            run.cluster.jitter = .milliseconds(60)
            run.restartsAtOnce = true
            run.disturb(rounds: 60)
            restarts += run.restartsInTerm
        }
        #expect(restarts > 40, "\(restarts)")
    }
}
