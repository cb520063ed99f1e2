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

    @Test func `of what nobody can prove what was there before counts`() throws {
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

    /// A name that was rightly used again since.
    @Test func `what is whole is never written over by what was there before`() throws {
        let (twins, others) = (try Twins(), try Twins(seed: 2))
        let name = Layout(try Rig.ring().tenant).manifest(2)
        let later = try #require(others.stores[0].objects[name])
        #expect(later != twins.stores[0].objects[name])
        twins.stores[0].change(name) { $0 = later }
        let report = try repaired(twins)
        #expect(report.conflicts == [name] && report.repaired == [])
        #expect(twins.stores[0].objects[name] == later)
    }

    @Test func `what was put under free names by somebody without a key is out of the way`() throws
    {
        let twins = try Twins()
        let layout = Layout(try Rig.ring().tenant)
        let before = Set(twins.names)
        let planted = [
            layout.manifest(3), layout.collection(9, .ended), layout.session(99, .begun),
            layout.hold(7),
        ]
        for name in planted { twins.stores[0].change(name) { $0 = Array("mine".utf8) } }
        // What was there, and is whole nowhere, stays: the rest of it can still be read.
        let lost = try #require(twins.packs.first)
        for store in [0, 1] { twins.flip(lost, in: store, at: 5_000) }
        let missing = try #require(twins.packs.last)
        twins.stores[0].change(missing) { $0 = nil }
        let report = try Repair(
            twins.vault(past: 1), threads: 2, wasThere: { before.contains($0) }
        ).run()
        #expect(Set(report.planted) == Set(planted) && report.lost == [lost])
        #expect(report.repaired.map(\.name) == [missing.text] && report.failed.isEmpty)
        #expect(Set(twins.names) == before)
    }

    @Test func `without a time of the past nothing is taken out of the way`() throws {
        let twins = try Twins()
        let name = Layout(try Rig.ring().tenant).manifest(3)
        twins.stores[0].change(name) { $0 = Array("mine".utf8) }
        #expect(try repaired(twins).planted == [] && twins.stores[0].objects[name] != nil)
    }
}
