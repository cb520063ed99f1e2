import Mesh
import Raft
import Record
import Testing

@Suite struct `Random histories (Raft fig. 3)` {
    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func `loss, cuts, slow disks and crashes break none of the promises`(seed: UInt64) {
        var cluster = Cluster(seed % 2 == 0 ? 3 : 5, seed: seed)
        cluster.jitter = .milliseconds(10)
        cluster.lossPercent = seed % 10
        var chance = SeededRandom(seed: seed ^ 0x5eed)
        let count = UInt64(cluster.nodes.count)
        for _ in 0..<40 {
            let node = chance.next() % count + 1
            switch chance.next() % 6 {
            case 0 where cluster.nodes.filter(\.isUp).count > Int(count / 2) + 1:
                cluster.crash(node)
            case 1:
                let cut = NodeID(node)
                cluster.isCut = { ($0 == cut) != ($1 == cut) }
            case 2: cluster.isCut = { _, _ in false }
            case 3: cluster.stalled = [NodeID(node)]
            case 4: cluster.stalled = []
            default:
                for at in cluster.nodes.indices where !cluster.nodes[at].isUp {
                    cluster.restart(UInt64(at) + 1)
                }
            }
            for _ in 0..<5 {
                if let leader = cluster.leader { cluster.propose(leader) }
                cluster.run(10)
            }
        }
        #expect(cluster.violations == [])
        #expect(cluster.logMismatch() == nil)
        heal(&cluster)
        let settled = cluster.run(upTo: 15_000) { now in
            now.leaders.count == 1
                && Set(now.nodes.map(\.raft.appliedIndex)).count == 1
                && now[1].appliedIndex.rawValue > 0
        }
        #expect(settled, "once faults stop all catch up: \(cluster.summary)")
        #expect(cluster.violations == [])
    }

    private func heal(_ cluster: inout Cluster) {
        cluster.isCut = { _, _ in false }
        (cluster.stalled, cluster.lossPercent) = ([], 0)
        for at in cluster.nodes.indices where !cluster.nodes[at].isUp {
            cluster.restart(UInt64(at) + 1)
        }
    }
}
