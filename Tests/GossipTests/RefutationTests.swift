import Gossip
import Mesh
import Testing

/// Who may say what of whom, and what a node does when it is spoken ill of.
@Suite("Refutation")
struct RefutationTests {
    @Test func `a suspicion is refuted only by what is durable`() {
        var node = OneNode(incarnation: 4)
        node.hear(.ping(1), from: 2, [OneNode.claim(1, .suspect, 4, by: [2])])
        #expect(node.persists.map(\.incarnation) == [Incarnation(5)])
        #expect(node.persists.first?.releases.map(\.to) == [NodeID(2), NodeID(3)])
        #expect(
            node.persists.first?.releases.allSatisfy { $0.message.incarnation == Incarnation(5) }
                == true)
        #expect(node.sent.allSatisfy { $0.message.incarnation == Incarnation(4) })
        node.wait(.seconds(1))
        #expect(!node.sent.isEmpty)
        #expect(node.sent.allSatisfy { $0.message.incarnation == Incarnation(4) })
        node.give(.persisted(Incarnation(5)))
        node.hear(.ping(2), from: 2)
        #expect(node.sent.first?.message.incarnation == Incarnation(5))
    }

    @Test func `a refutation outbids what was heard, not only the own incarnation`() {
        var node = OneNode(incarnation: 2)
        node.hear(.news, from: 2, [OneNode.claim(1, .dead, 40)])
        #expect(node.persists.map(\.incarnation) == [Incarnation(41)])
        node.hear(.news, from: 3, [OneNode.claim(1, .dead, 60)])
        #expect(node.persists.map(\.incarnation) == [Incarnation(61)])
        node.give(.persisted(Incarnation(41)))
        node.hear(.ping(1), from: 2)
        #expect(node.sent.first?.message.incarnation == Incarnation(41))
        node.give(.persisted(Incarnation(61)))
        #expect(node.gossip.incarnation == Incarnation(61))
    }

    @Test func `an accusation that is already being refuted costs no second write`() {
        var node = OneNode(incarnation: 4)
        node.hear(.news, from: 2, [OneNode.claim(1, .suspect, 4, by: [2])])
        node.hear(.news, from: 3, [OneNode.claim(1, .suspect, 4, by: [3])])
        #expect(node.persists.isEmpty)
        node.hear(.news, from: 3, [OneNode.claim(1, .alive, 5)])
        #expect(node.persists.isEmpty)
    }

    @Test func `who is buried under an incarnation it has outbid says so`() {
        var node = OneNode(incarnation: 5)
        node.hear(.news, from: 2, [OneNode.claim(1, .dead, 4)])
        #expect(node.persists.isEmpty)
        #expect(node.sent.map { $0.to } == [NodeID(2)])
        #expect(node.sent.first?.message.incarnation == Incarnation(5))
        node.hear(.news, from: 2)
        #expect(node.sent.isEmpty)
    }

    @Test func `a node that lost its counter outbids its own former life`() {
        var node = OneNode(incarnation: 1, boot: 12)
        node.hear(.news, from: 2, [OneNode.claim(1, .alive, 9)])
        #expect(node.persists.map(\.incarnation) == [Incarnation(10)])
    }

    @Test func `a register of a former life is outbid too`() {
        var node = OneNode(incarnation: 1)
        let old = HealthMap.Register(
            node: NodeID(1),
            version: HealthMap.Version(incarnation: Incarnation(6), counter: 3), bytes: [1],
            heard: [])
        node.hear(.news, from: 2, [], [old])
        #expect(node.persists.map(\.incarnation) == [Incarnation(7)])
        #expect(node.gossip.healthMap[NodeID(1)]?.bytes != [1])
    }

    @Test func `two clones of one data directory end in a conflict, not in a duel`() {
        var node = OneNode(incarnation: 1)
        var writes = 0
        var conflicts = 0
        for _ in 0..<50 {
            let other = Gossip.Claim(
                NodeID(1), .alive, node.gossip.incarnation.next, BootID(99))
            node.hear(.news, from: 2, [other])
            conflicts += node.effects.count { $0 == .conflict(NodeID(1), other: BootID(99)) }
            for persist in node.persists {
                writes += 1
                node.give(.persisted(persist.incarnation))
            }
        }
        #expect(writes == Gossip.Limit.outbidsMax)
        #expect(conflicts == 1)
    }

    @Test func `a member that restarts between two probes is told apart by its boot`() {
        var node = OneNode()
        node.hear(.news, from: 2)
        node.hear(.news, from: 3, [Gossip.Claim(NodeID(2), .alive, Incarnation(2), BootID(77))])
        #expect(node.effects.contains(.restarted(NodeID(2), BootID(77))))
        node.hear(.news, from: 3, [Gossip.Claim(NodeID(2), .alive, Incarnation(3), BootID(77))])
        #expect(!node.effects.contains(.restarted(NodeID(2), BootID(77))))
    }

    @Test func `a node may speak only for itself`() {
        var node = OneNode()
        let message = Gossip.Message(
            sender: NodeID(3), incarnation: Incarnation(50), boot: BootID(1), body: .ping(1),
            claims: [OneNode.claim(2, .dead)])
        node.give(.received(message, from: NodeID(2)))
        #expect(node.effects.isEmpty)
        #expect(node.gossip.counters.forged == 1)
        #expect(node.gossip.claim(on: NodeID(3))?.incarnation == .zero)
        #expect(node.gossip.liveness(of: NodeID(2)) == .alive)
    }

    @Test func `strangers are neither heard nor heard of`() {
        var node = OneNode()
        node.hear(.ping(1), from: 9)
        #expect(node.sent.isEmpty)
        node.hear(.news, from: 2, [OneNode.claim(8, .alive)])
        #expect(node.gossip.claim(on: NodeID(8)) == nil)
        #expect(node.gossip.counters.strangers == 2)
    }

    @Test func `an incarnation that leaves no room to refute is not believed`() {
        var node = OneNode()
        let huge = Gossip.Limit.incarnationMax.rawValue
        node.hear(
            .news, from: 2,
            [OneNode.claim(1, .dead, .max), OneNode.claim(3, .dead, huge)])
        #expect(node.persists.isEmpty)
        #expect(node.gossip.liveness(of: NodeID(3)) == .alive)
        #expect(node.gossip.counters.implausible == 2)
    }

    @Test func `who left did not fail, and may come back`() {
        var node = OneNode()
        node.hear(.news, from: 2, [OneNode.claim(2, .left)])
        #expect(node.gossip.liveness(of: NodeID(2)) == .left)
        node.hear(.news, from: 3, [OneNode.claim(2, .dead), OneNode.claim(2, .suspect, by: [3])])
        #expect(node.gossip.liveness(of: NodeID(2)) == .left)
        node.wait(.seconds(5))
        #expect(!node.sent.contains { $0.to == NodeID(2) })
        node.hear(.news, from: 3, [OneNode.claim(2, .alive, 2)])
        #expect(node.gossip.liveness(of: NodeID(2)) == .alive)
    }

    @Test func `a refutation still on its way to the disk can't raise who left`() {
        var node = OneNode()
        node.hear(.news, from: 2, [OneNode.claim(1, .suspect, by: [2])])
        let late = node.persists.first?.releases.first?.message
        node.give(.leave)
        #expect(node.gossip.deadline == .distantFuture)
        let farewell = node.sent.first?.message.claims.first
        #expect(farewell?.standing == .left)
        var other = OneNode(members: 3)
        other.hear(.news, from: 3, [farewell].compactMap(\.self).map { rename($0) })
        #expect(other.gossip.liveness(of: NodeID(2)) == .left)
        other.hear(
            .news, from: 3,
            [
                Gossip.Claim(NodeID(2), .alive, late?.incarnation ?? .zero, BootID(11))
            ])
        #expect(other.gossip.liveness(of: NodeID(2)) == .left)
    }

    /// The same claim, told of node 2, so that node 1 can be its listener.
    private func rename(_ claim: Gossip.Claim) -> Gossip.Claim {
        Gossip.Claim(NodeID(2), claim.standing, claim.incarnation, claim.boot)
    }
}
