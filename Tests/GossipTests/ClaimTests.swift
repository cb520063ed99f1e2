import Gossip
import Mesh
import Testing

@Suite("Claims")
struct ClaimTests {
    @Test func `claims join alike in every order and grouping`() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<2_000 {
            let (a, b, c) = (any(&random), any(&random), any(&random))
            #expect(a.joined(with: b) == b.joined(with: a))
            #expect(a.joined(with: a) == a)
            #expect(a.joined(with: b).joined(with: c) == a.joined(with: b.joined(with: c)))
        }
    }

    @Test func `a stale Alive can't raise the dead`() {
        let dead = claim(.dead, 5).joined(with: claim(.dead, 7))
        #expect(dead.joined(with: claim(.alive, 6)).standing == .dead)
        #expect(dead.joined(with: claim(.alive, 7)).standing == .dead)
        #expect(dead.joined(with: claim(.alive, 8)).standing == .alive)
    }

    @Test func `left is the last word of an incarnation`() {
        #expect(claim(.left, 3).joined(with: claim(.dead, 3)).standing == .left)
    }

    private func claim(_ standing: Gossip.Liveness, _ incarnation: UInt64) -> Gossip.Claim {
        Gossip.Claim(NodeID(1), standing, Incarnation(incarnation), BootID(1))
    }

    private func any(_ random: inout SeededRandom) -> Gossip.Claim {
        Gossip.Claim(
            NodeID(1), Gossip.Liveness.allCases.randomElement(using: &random) ?? .alive,
            Incarnation(random.next() % 3), BootID(random.next() % 2 + 1),
            accusers: (0..<random.next() % 6).map { _ in NodeID(random.next() % 9) })
    }
}
