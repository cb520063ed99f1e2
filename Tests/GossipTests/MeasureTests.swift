import Gossip
import GossipSim
import Mesh
import Testing

@Suite("What gossip costs and how fast it is")
struct MeasureTests {
    /// Times are printed, not asserted; work is asserted.
    @Test(arguments: [3, 5, 7, 32])
    func `a node's messages per second stay bounded while it detects a crash`(members: Int) {
        var detections: [UInt64] = []
        for seed in 1...UInt64(members > 7 ? 2 : 20) {
            var mesh = VirtualMesh(members: members, seed: seed)
            mesh.run(for: .seconds(3))
            let before = mesh.messagesSent
            mesh.run(for: .seconds(2))
            for (i, sent) in mesh.messagesSent.enumerated() {
                #expect(sent - before[i] <= 2 * 50)
            }
            mesh.crash(NodeID(1))
            let crashed = mesh.now
            mesh.run(for: .seconds(8))
            for verdict in mesh.verdicts where verdict.liveness == .dead {
                #expect(verdict.on == NodeID(1))
                detections.append(verdict.at.since(crashed).nanoseconds / 1_000_000)
            }
        }
        detections.sort()
        #expect(!detections.isEmpty)
        guard let slowest = detections.last else { return }
        print(
            "n=\(members) median \(detections[detections.count / 2]) ms",
            "p99 \(detections[detections.count * 99 / 100]) ms max \(slowest) ms")
    }
}
