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

    @Test func `the dead are told so in turn`() {
        var node = OneNode(members: 6)
        node.hear(.news, from: 2, (3...6).map { OneNode.claim($0, .dead) })
        node.hear(.news, from: 3, [OneNode.claim(2, .dead)])
        node.wait(.seconds(5))
        let told = node.sent.filter { $0.message.body == .news }.map { $0.to }
        #expect(told.sorted() == (2...6).map { NodeID($0) })
    }

    /// It hears that it is suspected and refutes, and nobody hears that. Once it is heard again,
    /// each of the two holds six for dead, and five of them are.
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `who was mute is found among the dead within a turn`(seed: UInt64) {
        var mesh = VirtualMesh(members: 7, seed: seed)
        mesh.run(for: .seconds(3))
        for id in 2...6 as ClosedRange<UInt64> { mesh.crash(NodeID(id)) }
        mesh.run(for: .seconds(10))
        mesh.cuts = [VirtualMesh.Cut(from: NodeID(7), to: NodeID(1))]
        mesh.run(for: .seconds(10))
        #expect(mesh[1]?.liveness(of: NodeID(7)) == .dead)
        #expect(mesh[7]?.liveness(of: NodeID(1)) == .dead)
        mesh.cuts = []
        mesh.run(for: .milliseconds(6_200))
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
