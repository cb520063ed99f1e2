import Disk
import JournalCore
import Mesh
import Record
import SimulatedDisk
import Testing

@Suite("Old segments written again") struct RecyclingTests {
    private let spare = "spare-0000000000000001"

    /// One entry a batch, until the log is in its second segment; then a base at its end.
    private func withSpare() throws -> SimulatedJournal {
        var disk = SimulatedDisk()
        var (journal, _) = try open(&disk)
        var index: UInt64 = 0
        while journal.disk.contents(of: "segment-0000000000000002") == nil {
            index += 1
            try journal.append([LogChange(entries: [entry(index, term: 1)])])
        }
        let last = Position(index: LogIndex(index), term: Term(1))
        try journal.append([LogChange(base: Base(position: last, contents: [7]))])
        return journal
    }

    private func fill(_ journal: inout SimulatedJournal, until name: String) throws -> UInt64 {
        var index = journal.last.index.rawValue
        while journal.disk.contents(of: name) == nil {
            index += 1
            try journal.append([LogChange(entries: [entry(index, term: 1)])])
        }
        return index
    }

    private func spares(of journal: SimulatedJournal) throws -> [String] {
        var disk = journal.disk
        return try disk.list().filter { $0.hasPrefix("spare-") }
    }

    @Test func `an old segment becomes the next one, and nothing is filled with zeros`() throws {
        var journal = try withSpare()
        let old = try #require(journal.disk.contents(of: spare))
        let before = journal.disk.counts
        try journal.prepareNext()
        #expect(journal.disk.counts.writes == before.writes)
        #expect(journal.disk.counts.directorySyncs == before.directorySyncs + 1)
        let last = try fill(&journal, until: "segment-0000000000000003")
        #expect(journal.disk.contents(of: spare) == nil)
        let new = try #require(journal.disk.contents(of: "segment-0000000000000003"))
        #expect(new.count == old.count && new[12_288...] == old[12_288...])
        var disk = journal.disk
        var (again, recovered) = try open(&disk)
        #expect(recovered.last.index == LogIndex(last))
        #expect(recovered.tornTail == nil, "another segment's bytes are no torn batch")
        try again.append([LogChange(entries: [entry(last + 1, term: 1)])])
        let third = try #require(again.disk.contents(of: "segment-0000000000000003"))
        #expect(third == new, "nothing is written behind an end that is not known to be clean")
    }

    @Test func `a torn batch in a recycled segment is reported, and what it lacks is not`() throws {
        var journal = try withSpare()
        let last = try fill(&journal, until: "segment-0000000000000003")
        let name = "segment-0000000000000003"
        var bytes = try #require(journal.disk.contents(of: name))
        let next = entry(last + 1, term: 1)
        bytes.replaceSubrange(8192..<8192 + next.bytes.count, with: next.bytes)
        var disk = journal.disk
        disk.plant(bytes, as: name)
        let found = try open(&disk).recovered
        #expect(found.last.index == LogIndex(last))
        #expect(found.tornTail?.offset == 8192)
        #expect(found.tornTail?.byteCount == next.bytes.count)
    }

    @Test func `spares outlive a restart, unless they have another length, and are few`() throws {
        var journal = try withSpare()
        journal.alterDisk { disk in
            for number in 1...6 { disk.plant([1, 2], as: "spare-000000000000001\(number)") }
        }
        var disk = journal.disk
        var (again, _) = try open(&disk)
        #expect(try spares(of: again) == [spare])
        let bytes = try #require(again.disk.contents(of: spare))
        again.alterDisk { disk in
            for number in 1...6 { disk.plant(bytes, as: "spare-000000000000001\(number)") }
        }
        disk = again.disk
        #expect(try spares(of: open(&disk).journal).count == 4)
    }

    @Test func `who keeps no spares gives every old segment back`() throws {
        var disk = try withSpare().disk
        var frugal = settings
        frugal.sparesMax = 0
        let (journal, _) = try SimulatedJournal.open(
            &disk, settings: frugal, random: SeededRandom(seed: 1))
        #expect(try spares(of: journal) == [])
    }

    /// If the directory were not synced before the first new byte, a crash could show the new bytes
    /// under the old name, where they are damage.
    @Test func `a power cut in any step of taking a spare loses nothing`() throws {
        let start = try withSpare()
        var (whole, counted) = (start, 0)
        try whole.prepareNext()
        _ = try fill(&whole, until: "segment-0000000000000003")
        counted = whole.disk.counts.steps - start.disk.counts.steps
        #expect(counted > 20)
        for cut in 1...counted {
            for subset in 0..<4 as Range<UInt64> {
                var journal = start
                journal.alterDisk { $0.powerCutAtStep = start.disk.counts.steps + cut }
                var acknowledged = journal.last.index
                if (try? journal.prepareNext()) != nil {
                    while journal.disk.contents(of: "segment-0000000000000003") == nil {
                        let change = LogChange(
                            entries: [entry(acknowledged.next.rawValue, term: 1)])
                        guard (try? journal.append([change])) != nil else { break }
                        acknowledged = acknowledged.next
                    }
                }
                var random = SeededRandom(seed: UInt64(cut) << 8 | subset)
                var disk = journal.disk
                disk.crash(using: &random)
                let (_, recovered) = try open(&disk, seed: 9)
                #expect(recovered.last.index >= acknowledged, "cut \(cut)")
            }
        }
    }
}
