import Gossip
import GossipSim
import Mesh
import Testing

@Suite("Detection")
struct DetectionTests {
    @Test(arguments: [2, 3, 5, 7])
    func `a healthy mesh stays all alive and agrees`(members: Int) {
        var mesh = VirtualMesh(members: members, seed: 1)
        mesh.run(for: .seconds(20))
        #expect(mesh.verdicts.isEmpty)
        #expect(mesh.isSettled)
    }

    @Test(arguments: [2, 3, 5, 7, 32])
    func `a crash is detected by all, a restart too`(members: Int) {
        var mesh = VirtualMesh(members: members, seed: 2)
        mesh.run(for: .seconds(5))
        mesh.crash(NodeID(1))
        mesh.run(for: .seconds(12))
        #expect(mesh.isSettled)
        #expect(mesh[2]?.liveness(of: NodeID(1)) == .dead)
        mesh.start(NodeID(1))
        mesh.run(for: .seconds(5))
        #expect(mesh.isSettled)
    }
}
