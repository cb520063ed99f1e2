import Mesh
import Testing

@testable import Decisions

@Suite("The mesh's feature level")
struct LevelTests {
    private func level(_ number: UInt64) throws -> FeatureLevel {
        try #require(FeatureLevel(number))
    }

    @Test func `it rises by one, and never falls`() throws {
        var mesh = Decisions.pair
        #expect(mesh.level == .first)
        #expect(mesh.next(.command(.raiseLevel(try level(2)))) == .levelRaised(try level(2)))
        #expect(mesh.level == (try level(2)))
        for lower in [1, 2] as [UInt64] {
            let outcome = mesh.next(.command(.raiseLevel(try level(lower))))
            #expect(outcome.refusal == .levelReached(try level(2)))
            #expect(mesh.level == (try level(2)))
        }
    }

    @Test func `a step is never left out`() throws {
        var mesh = Decisions.pair
        let outcome = mesh.next(.command(.raiseLevel(try level(3))))
        #expect(outcome.refusal == .levelTooLow(mesh: .first, needed: try level(2)))
        #expect(mesh.level == .first)
    }

    @Test func `what the first release knew needs no level`() throws {
        let commands: [Command] = [
            .promote(node: NodeID(1), epoch: Epoch(1), warrant: .firstPrimary),
            .relinquish(epoch: Epoch(1)),
            .createVolume(name: "a", byteCount: 4_096, durability: .sync),
            .deleteVolume(VolumeID(1)), .prefer(east), .changeMembers(.remove(NodeID(1))),
            .cancelMembers, .raiseLevel(try level(2)),
        ]
        #expect(commands.allSatisfy { $0.level == .first })
    }

    @Test func `an image keeps it`() throws {
        var mesh = Decisions.pair
        _ = mesh.next(.command(.raiseLevel(.spoken)))
        #expect(Decisions(restoring: mesh.image) == mesh)
        #expect(Decisions(restoring: mesh.image).level == .spoken)
    }
}
