import Gossip
import GossipSim
import Mesh
import Testing

@Suite("The health map")
struct HealthMapTests {
    @Test func `merging is commutative, associative and idempotent`() {
        var random = SeededRandom(seed: 5)
        for _ in 0..<500 {
            let (a, b, c) = (any(&random), any(&random), any(&random))
            #expect(merged(a, b) == merged(b, a))
            #expect(merged(a, a) == a)
            #expect(merged(merged(a, b), c) == merged(a, merged(b, c)))
        }
    }

    @Test func `the later life's register wins, however many versions the former wrote`() {
        var map = HealthMap()
        map.merge(register(1, 2, 0, [1]))
        map.merge(register(1, 1, 900, [2]))
        #expect(map[NodeID(1)]?.bytes == [1])
    }

    @Test func `what is published reaches everybody, each with whom it heard`() {
        var mesh = VirtualMesh(members: 3, seed: 1)
        mesh.run(for: .seconds(3))
        mesh.give(.publish([7, 7]), to: NodeID(2))
        mesh.run(for: .seconds(2))
        for id in 1...3 as ClosedRange<UInt64> {
            #expect(mesh[id]?.healthMap[NodeID(2)]?.bytes == [7, 7])
            for other in 1...3 as ClosedRange<UInt64> {
                let row = mesh[id]?.healthMap[NodeID(other)]?.heard.map(\.node.rawValue)
                #expect(row == [1, 2, 3].filter { $0 != other })
            }
        }
    }

    @Test func `an oversized register is refused, from inside and outside`() {
        var node = OneNode()
        let bytes = [UInt8](repeating: 1, count: Gossip.Limit.registerBytesMax + 1)
        node.give(.publish(bytes))
        node.hear(.news, from: 2, [], [register(2, 1, 1, bytes)])
        #expect(node.gossip.counters.oversized == 2)
        #expect(node.gossip.healthMap.registers.isEmpty)
    }

    @Test func `a new register is reported once`() {
        var node = OneNode()
        node.hear(.news, from: 2, [], [register(3, 1, 1, [1])])
        #expect(node.effects.contains(.registersChanged([NodeID(3)])))
        node.hear(.news, from: 2, [], [register(3, 1, 1, [1])])
        #expect(!node.effects.contains(.registersChanged([NodeID(3)])))
    }

    private func merged(_ a: HealthMap, _ b: HealthMap) -> HealthMap {
        var map = a
        map.merge(b)
        return map
    }

    private func register(
        _ node: UInt64, _ incarnation: UInt64, _ counter: UInt64, _ bytes: [UInt8]
    ) -> HealthMap.Register {
        HealthMap.Register(
            node: NodeID(node),
            version: HealthMap.Version(incarnation: Incarnation(incarnation), counter: counter),
            bytes: bytes, heard: [])
    }

    private func any(_ random: inout SeededRandom) -> HealthMap {
        var map = HealthMap()
        for _ in 0..<random.next() % 5 {
            var one = register(
                random.next() % 4, random.next() % 2, random.next() % 2,
                [UInt8(random.next() % 2)])
            one.heard = [
                HealthMap.Heard(node: NodeID(1), agoMilliseconds: UInt32(random.next() % 2))
            ]
            map.merge(one)
        }
        return map
    }
}
