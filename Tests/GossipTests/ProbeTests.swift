import Gossip
import GossipSim
import Mesh
import Testing

@Suite("Whom a probe asks and whom it holds up")
struct ProbeTests {
    private func pings(_ node: OneNode) -> [(number: UInt64, to: UInt64)] {
        node.sent.compactMap { message, to in
            if case .ping(let number) = message.body { (number, to.rawValue) } else { nil }
        }
    }

    @Test func `of three the third one is always asked to help (nasty case 58)`() {
        for _ in 0..<20 {
            var node = OneNode()
            node.wait(.milliseconds(600))
            var asked: [UInt64: Set<UInt64>] = [:]
            for (message, to) in node.sent {
                guard case .pingRequest(_, let target) = message.body else { continue }
                asked[target.rawValue, default: []].insert(to.rawValue)
            }
            #expect(asked == [2: [3], 3: [2]])
        }
    }

    @Test func `a peer that hangs delays the probe of no other (nasty case 61)`() {
        var node = OneNode(members: 5)
        let end = node.now + .seconds(4)
        var probed: [(at: Instant, to: UInt64)] = []
        while node.gossip.deadline <= end {
            node.now = max(node.now, node.gossip.deadline)
            node.give(.deadlineReached)
            let (sent, asked) = (node.sent, pings(node))
            for (number, to) in asked {
                probed.append((node.now, to))
                if to == 2 { continue }
                node.hear(.ack(number), from: to)
            }
            for (message, to) in sent where to != NodeID(2) {
                guard case .pingRequest(let number, _) = message.body else { continue }
                node.hear(.nack(number), from: to.rawValue)
            }
        }
        #expect(node.gossip.liveness(of: NodeID(2)) == .dead)
        let hung = probed.filter { $0.to == 2 }
        #expect(hung.count > 2)
        for (at, _) in hung {
            let isGoingOn = probed.contains {
                $0.to != 2 && $0.at > at && $0.at.since(at) < node.gossip.settings.probeInterval
            }
            #expect(isGoingOn, "\(probed)")
        }
        for other in [3, 4, 5] as [UInt64] {
            #expect(node.gossip.liveness(of: NodeID(other)) == .alive)
        }
    }

    @Test func `a member that comes and goes is told of ever less often (nasty case 62)`() {
        var mesh = VirtualMesh(members: 3, seed: 3)
        mesh.run(for: .seconds(3))
        for _ in 0..<20 {
            mesh.isolate(NodeID(1))
            mesh.run(for: .seconds(4))
            mesh.cuts = []
            mesh.run(for: .seconds(2))
        }
        let returns = mesh.verdicts.filter {
            $0.by == NodeID(2) && $0.on == NodeID(1) && $0.liveness == .alive
        }
        #expect(returns.count >= 3 && returns.count <= 12, "\(returns.map(\.at))")
        mesh.run(for: .seconds(120))
        #expect(mesh.isSettled, "what stays is believed in the end")
    }

    @Test(arguments: [3, 5])
    func `at 400 ms round trip and 2 % loss nobody is buried in ten minutes (nasty case 75)`(
        members: Int
    ) {
        var mesh = VirtualMesh(members: members, seed: 11, settings: .wide)
        mesh.delay = .milliseconds(190)...(.milliseconds(210))
        mesh.lossPermille = 20
        mesh.run(for: .seconds(600))
        #expect(!mesh.verdicts.contains { $0.liveness == .dead })
        mesh.crash(NodeID(1))
        mesh.run(for: .seconds(60))
        #expect(mesh.isSettled, "and yet a death is noticed")
    }

    @Test func `who slept through a suspicion buries nobody before it has heard (nasty case 59)`() {
        var node = OneNode()
        node.hear(.news, from: 3, [OneNode.claim(2, .suspect, by: [3])])
        node.now = node.now + .seconds(3)
        node.give(.deadlineReached)
        #expect(node.gossip.liveness(of: NodeID(2)) == .suspect)
        // It lay in its own queue all the time.
        node.hear(.news, from: 3, [OneNode.claim(2, .alive, 2)])
        #expect(node.gossip.liveness(of: NodeID(2)) == .alive)
        #expect(!node.effects.contains(.became(NodeID(2), .dead)))
    }
}
