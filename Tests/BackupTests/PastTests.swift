import Mesh
import Repository
import Testing

@testable import Backup

/// A store whose objects a thief had in his hands, and beside it what was there before: a bucket's hidden versions.
@Suite("Repairs from what was there before") struct PastTests {
    private func repaired(_ twins: Twins) throws -> Repair.Report {
        try Repair(twins.vault(past: 1), threads: 2).run()
    }

    @Test
    func `what was deleted, emptied or written over comes back, and nothing is put into the past`()
        throws
    {
        let twins = try Twins()
        let before = twins.stores.map(\.objects)
        for (number, name) in twins.names.enumerated() where name != Layout.repository {
            twins.stores[0].change(name) { bytes in
                switch number % 3 {
                case 0: bytes = nil
                case 1: bytes = []
                default: bytes = Array("mine".utf8)
                }
            }
        }
        let report = try repaired(twins)
        #expect(report.lost == [] && report.conflicts == [] && report.failed.isEmpty)
        for name in twins.names where !twins.isOver(name) {
            #expect(twins.stores[0].objects[name] == before[0][name], "\(name)")
        }
        #expect(twins.stores[1].objects == before[1])
        #expect(try repaired(twins).repaired == [])
    }

    @Test func `what is damaged in the past alone is nobody's damage`() throws {
        let twins = try Twins()
        let pack = try #require(twins.packs.first)
        twins.flip(pack, in: 1, at: 5_000)
        let before = twins.stores.map(\.objects)
        let report = try repaired(twins)
        #expect(report.repaired == [] && report.lost == [] && report.failed.isEmpty)
        #expect(twins.stores.map(\.objects) == before)
    }

    @Test func `of two that both seem whole the first one counts`() throws {
        let twins = try Twins()
        let name = Layout(try Rig.ring().tenant).erasure(1)
        twins.stores[0].change(name) { $0 = Array("a thief's".utf8) }
        twins.stores[1].change(name) { $0 = Array("ours".utf8) }
        #expect(
            try twins.repaired().conflicts == [name], "of two stores neither is known to be first")
        let report = try repaired(twins)
        #expect(report.conflicts == [] && report.repaired.map(\.name) == [name.text])
        #expect(twins.stores[0].objects[name] == Array("ours".utf8))
    }
}
