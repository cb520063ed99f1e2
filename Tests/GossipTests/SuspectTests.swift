import Gossip
import GossipSim
import Mesh
import Testing

@Suite("What a suspect can do for itself")
struct SuspectTests {
    private func isBuried(_ node: OneNode) -> Bool {
        node.effects.contains(.became(NodeID(2), .dead))
    }

    /// Lets time pass; member 2 answers what `answers` picks of the pings it gets, so much later.
    private func wait(
        _ node: inout OneNode, _ length: Interval, answerAfter delay: Interval?
    ) -> (isBuried: Bool, pings: Int) {
        var (buried, pings) = (false, 0)
        var answers: [(at: Instant, number: UInt64)] = []
        let end = node.now + length
        while node.now < end {
            node.now = node.now + .milliseconds(5)
            node.give(.deadlineReached)
            buried = buried || isBuried(node)
            for (message, to) in node.sent where to == NodeID(2) {
                guard case .ping(let number) = message.body else { continue }
                pings += 1
                if let delay { answers.append((node.now + delay, number)) }
            }
            while let next = answers.first, next.at <= node.now {
                answers.removeFirst()
                node.hear(.ack(next.number), from: 2)
                buried = buried || isBuried(node)
            }
        }
        return (buried, pings)
    }

    private func accused() -> OneNode {
        var node = OneNode()
        node.hear(.news, from: 3, [OneNode.claim(2, .suspect, by: [1, 3])])
        return node
    }

    @Test func `who answers is not buried, though its refutation never comes`() {
        var node = accused()
        #expect(!wait(&node, .seconds(5), answerAfter: .milliseconds(3)).isBuried)
        #expect(node.gossip.liveness(of: NodeID(2)) == .suspect)
        #expect(wait(&node, .seconds(3), answerAfter: nil).isBuried)
    }

    @Test func `an answer that comes too late for its probe counts`() {
        var node = accused()
        #expect(!wait(&node, .seconds(5), answerAfter: .milliseconds(350)).isBuried)
        #expect(node.gossip.counters.lateAnswers > 10)
        #expect(node.gossip.counters.strayAcks == 0)
    }

    @Test func `an answer to nothing that was asked lately counts for nothing`() {
        var node = accused()
        for _ in 0..<200 {
            node.wait(.milliseconds(20))
            if isBuried(node) { return }
            node.hear(.ack(1), from: 2)
        }
        Issue.record("a stray answer kept a suspect alive")
    }

    @Test func `who speaks and hears nothing dies all the same`() {
        var mesh = VirtualMesh(members: 3, seed: 3)
        mesh.run(for: .seconds(3))
        for other in [2, 3] as [UInt64] {
            mesh.cuts.insert(VirtualMesh.Cut(from: NodeID(other), to: NodeID(1)))
        }
        mesh.run(for: .seconds(5))
        #expect(mesh[2]?.liveness(of: NodeID(1)) == .dead)
        #expect(mesh[3]?.liveness(of: NodeID(1)) == .dead)
    }

    @Test func `it is asked in the pace of its suspicion, however unwell the node itself is`() {
        var node = OneNode()
        // Nobody answers and no helper declines: the fault seems to be here.
        node.wait(.seconds(1))
        for _ in 0..<40 { node.hear(.ping(1), from: 2) }
        #expect(node.gossip.score >= 2)
        node.hear(.news, from: 3, [OneNode.claim(2, .alive, 2)])
        node.hear(.news, from: 3, [OneNode.claim(2, .suspect, 2, by: [3])])
        #expect(wait(&node, .milliseconds(400), answerAfter: nil).pings >= 4)
    }

    @Test func `three that lose a fifth of all messages bury nobody in half an hour`() {
        var weather = Trial.Weather()
        weather.lossPermille = 200
        let trial = Trial(members: 3, variant: .whole, seed: 1)
        #expect(trial.falseDeaths(in: weather, for: .seconds(1_800)).onHealthy == 0)
    }

    @Test func `200 ms on the way and a twentieth lost bury nobody in half an hour`() {
        var weather = Trial.Weather()
        weather.lossPermille = 50
        weather.delay = Interval.microseconds(200)...Interval.milliseconds(200)
        let trial = Trial(members: 3, variant: .whole, seed: 1)
        #expect(trial.falseDeaths(in: weather, for: .seconds(1_800)).onHealthy == 0)
    }

    @Test(arguments: [3, 5, 7])
    func `of a hundred deaths all but one are known everywhere within a second`(members: Int)
        throws
    {
        let trial = Trial(members: members, variant: .whole, seed: 1)
        let found = try #require(trial.detections(deaths: 100))
        #expect(found.map(\.all).sorted()[98] <= .seconds(1))
    }

    @Test(arguments: [Trial.Variant.withoutShrinkingSuspicion, .withoutBuddy])
    func `each part of Lifeguard is worth something among three`(variant: Trial.Variant) {
        var weather = Trial.Weather()
        weather.lossPermille = 300
        let without = Trial(members: 3, variant: variant, seed: 2)
            .falseDeaths(in: weather, for: .seconds(7_200)).onHealthy
        let whole = Trial(members: 3, variant: .whole, seed: 2)
            .falseDeaths(in: weather, for: .seconds(7_200)).onHealthy
        #expect(whole < without)
    }
}
