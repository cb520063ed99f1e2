import Gossip
import GossipSim
import Mesh
import Testing

@Suite("Faults of links and hosts")
struct FaultTests {
    @Test func `a starved observer kills no healthy peer`() {
        var mesh = VirtualMesh(members: 3, seed: 4)
        mesh.run(for: .seconds(3))
        for _ in 0..<10 {
            mesh.pause(NodeID(1), for: .seconds(2))
            mesh.run(for: .milliseconds(2_300))
        }
        #expect(!mesh.verdicts.contains { $0.by == NodeID(1) && $0.liveness == .dead })
        mesh.run(for: .seconds(90))
        #expect(mesh.isSettled)
    }

    @Test func `one cut direction between two nodes kills nobody, for a helper hears both`() {
        var mesh = VirtualMesh(members: 3, seed: 5)
        mesh.run(for: .seconds(3))
        mesh.cuts = [VirtualMesh.Cut(from: NodeID(2), to: NodeID(1))]
        mesh.run(for: .seconds(30))
        #expect(!mesh.verdicts.contains { $0.liveness == .dead })
        let heard = mesh[3]?.healthMap[NodeID(1)]?.heard.first { $0.node == NodeID(2) }
        #expect(heard.map { $0.agoMilliseconds > 20_000 } == true)
    }

    @Test(arguments: [3, 5, 7])
    func `a healed isolation ends with everybody alive`(members: Int) {
        var mesh = VirtualMesh(members: members, seed: 6)
        mesh.run(for: .seconds(3))
        mesh.isolate(NodeID(1))
        mesh.run(for: .seconds(20))
        #expect(mesh[2]?.liveness(of: NodeID(1)) == .dead)
        mesh.cuts = []
        mesh.run(for: .seconds(15))
        #expect(mesh.isSettled)
    }

    @Test func `a mass restart that lost its counters settles`() {
        var mesh = VirtualMesh(members: 5, seed: 7)
        for _ in 0..<4 {
            mesh.run(for: .seconds(3))
            mesh.start(NodeID(2))
        }
        mesh.run(for: .seconds(3))
        for id in 1...4 as ClosedRange<UInt64> { mesh.start(NodeID(id), forgets: true) }
        mesh.run(for: .seconds(10))
        #expect(mesh.isSettled)
        #expect((mesh[2]?.incarnation ?? .zero) > Incarnation(5))
    }

    @Test func `who leaves is reported left by all, never dead`() {
        var mesh = VirtualMesh(members: 5, seed: 8)
        mesh.run(for: .seconds(3))
        mesh.give(.leave, to: NodeID(1))
        mesh.run(for: .seconds(1))
        mesh.crash(NodeID(1))
        mesh.run(for: .seconds(20))
        #expect(mesh.verdicts.count { $0.liveness == .left } == 4)
        #expect(!mesh.verdicts.contains { $0.liveness == .dead })
    }

    @Test(arguments: [3, 7])
    func `a twentieth of all messages lost kills nobody in two minutes`(members: Int) {
        var mesh = VirtualMesh(members: members, seed: 9)
        mesh.lossPermille = 50
        mesh.run(for: .seconds(120))
        #expect(!mesh.verdicts.contains { $0.liveness == .dead })
    }
}
