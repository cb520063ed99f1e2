import Copies
import Repository
import Testing

@testable import Backup

@Suite("A scrub that goes on for days") struct ScrubPassTests {
    private static let period: UInt64 = 2_580_000
    private static let parts = Scrub.partCount

    private func report(_ count: Int, _ bytes: UInt64) -> Scrub.Report {
        var report = Scrub.Report()
        (report.objectCount, report.byteCount) = (count, bytes)
        return report
    }

    private func bad(_ name: String, in store: String = "a") throws -> ScrubPass.Bad {
        var report = Scrub.Report()
        report.findings = [Scrub.Finding(store: store, name: name, problem: .missing)]
        return try #require(report.bad.first)
    }

    @Test func `parts are read each when it is due, and all of them within the time`() {
        var pass = ScrubPass(at: 1_000)
        var (now, readAt): (UInt64, [UInt64]) = (1_000, [])
        while pass.last == nil {
            while !pass.isDue(at: now, every: Self.period) { now += 500 }
            pass.begin(at: now)
            pass.advance(report(2, 3), bad: [], at: now)
            readAt.append(now)
        }
        #expect(readAt.count == Self.parts && readAt[0] == 1_000)
        let steps = zip(readAt.dropFirst(), readAt).map { $0 - $1 }
        // A 259th of nine tenths of the time, as far as it is looked so often.
        #expect(steps.allSatisfy { (8_500...9_500).contains($0) })
        #expect(pass.last?.ended ?? 0 <= 1_000 + Self.period * 9 / 10)
        #expect(pass.last?.copyCount == 2 * Self.parts)
        #expect(pass.last?.byteCount == 3 * UInt64(Self.parts))
        #expect(!pass.isDue(at: 1_000 + Self.period - 1, every: Self.period))
        #expect(pass.isDue(at: 1_000 + Self.period, every: Self.period))
        pass.begin(at: 1_000 + Self.period)
        #expect(pass.next == 0 && pass.byteCount == 0 && pass.began == 1_000 + Self.period)
        #expect(pass.last != nil, "the last one is told until another one has ended")
    }

    @Test func `what was late is read at once, part by part`() {
        var pass = ScrubPass(at: 0)
        for part in 0..<Self.parts {
            #expect(pass.isDue(at: Self.period, every: Self.period))
            pass.begin(at: Self.period)
            pass.advance(report(1, 1), bad: [], at: Self.period)
            #expect(pass.next == part + 1)
        }
        #expect(pass.last != nil)
        #expect(!pass.isLate(at: 9 * Self.period, every: Self.period))
        let begun = ScrubPass(at: 0)
        #expect(!begun.isLate(at: 2 * Self.period, every: Self.period))
        #expect(begun.isLate(at: 2 * Self.period + 1, every: Self.period))
    }

    @Test func `a clock that was put back stops nothing`() {
        var pass = ScrubPass(at: 5_000_000)
        pass.advance(report(1, 1), bad: [], at: 5_000_000)
        #expect(pass.isDue(at: 7, every: Self.period))
        pass.begin(at: 7)
        #expect(pass.began == 7 && pass.next == 1)
    }

    @Test func `what is bad stays so until it was looked at again, and is kept once`() throws {
        var pass = ScrubPass(at: 0)
        let found = [try bad("t/packs/aa/1"), try bad("t/packs/aa/1", in: "b"), try bad("t/x")]
        pass.advance(report(3, 3), bad: found, at: 1)
        pass.advance(report(3, 3), bad: [found[0]], at: 2)
        #expect(pass.bad == found.sorted())
        pass.recheck(["t/packs/aa/1"], bad: [found[1]])
        #expect(pass.bad == [found[1], found[2]].sorted())
        pass.recheck(["t/packs/aa/1", "t/x"], bad: [])
        #expect(pass.bad == [])
        let many = try (0..<2 * ScrubPass.badMax).map { try bad("t/\($0)") }
        pass.advance(report(1, 1), bad: many, at: 3)
        #expect(pass.bad.count == ScrubPass.badMax)
    }

    @Test func `the parts are all that a tenant has`() throws {
        let twins = try Twins()
        let vault = try twins.vault()
        let scrub = Scrub(vault.store, vault, threads: 1)
        var read = Scrub.Report()
        for (number, part) in Scrub.parts(of: vault).enumerated() {
            let report = try scrub.run(part, and: number == 0 ? [Layout.repository] : [])
            read.objectCount += report.objectCount
            #expect(report.findings == [] && report.absent.isEmpty)
        }
        let all = try scrub.run()
        #expect(read.objectCount == all.objectCount && read.objectCount > 10)
    }

    @Test
    func `what a part has of damage is put right from the other store, and told where it can't`()
        throws
    {
        let twins = try Twins()
        let (one, both) = (try #require(twins.packs.first), try #require(twins.packs.last))
        twins.flip(one, in: 1, at: 5_000)
        for store in [0, 1] { twins.flip(both, in: store, at: 100) }
        let vault = try twins.vault()
        let scrub = Scrub(vault.store, vault, threads: 1)
        let repair = Repair(vault, threads: 1)
        var (mended, bad): ([String], [ScrubPass.Bad]) = ([], [])
        for part in Scrub.parts(of: vault) {
            let report = repair.mend(try scrub.run(part))
            mended += report.repaired.map(\.name)
            bad += report.bad
        }
        #expect(mended == [one.text])
        #expect(bad.map(\.name) == [both.text, both.text])
        #expect(bad.map(\.store) == ["store 0", "store 1"])
        let again = try scrub.look(at: [one, both])
        #expect(again.bad.map(\.name) == [both.text, both.text])
    }

    @Test func `a store that is away is told, and nothing is missing there`() throws {
        let twins = try Twins()
        let vault = try Vault(
            CopiedStore(
                [
                    CopiedStore.Copy("here") { () throws(ObjectStoreFailure) in twins.stores[0] },
                    CopiedStore.Copy("away") { () throws(ObjectStoreFailure) in
                        throw ObjectStoreFailure("open", "it", in: "away", .storeGone)
                    },
                ], .one), ring: Rig.ring(), limits: Rig.small)
        let report = try Scrub(vault.store, vault, threads: 1).run(Scrub.parts(of: vault)[0])
        #expect(report.findings == [] && report.absent.keys.sorted() == [1])
    }
}
