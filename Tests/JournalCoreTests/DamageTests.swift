import Disk
import JournalCore
import Mesh
import PowerCut
import Record
import SimulatedDisk
import Testing

@Suite struct DamageTests {
    /// Three segments, the middle one ended by a truncation, and a base.
    private static func disk() throws -> (disk: SimulatedDisk, model: LogModel) {
        var disk = SimulatedDisk()
        let small = SimulatedJournal.Settings(
            cluster: settings.cluster, group: group, segmentByteCount: 16 << 10)
        var (journal, _) = try SimulatedJournal.open(
            &disk, settings: small, random: SeededRandom(seed: 6))
        var state = LogModel()
        let position = Position(index: LogIndex(1), term: Term(1))
        let batches: [[LogChange]] = [
            [LogChange(entries: [entry(1, term: 1), entry(2, term: 1)], hardState: hard(1))],
            [LogChange(base: Base(position: position, contents: [1, 2, 3]))],
            [LogChange(entries: [entry(3, term: 1), entry(4, term: 1)])],
            [LogChange(entries: [entry(4, term: 2)], hardState: hard(2, vote: 7))],
            [LogChange(entries: [entry(5, term: 2), entry(6, term: 2)])],
            [LogChange(hardState: hard(3, vote: 1, commit: 4))],
            [LogChange(entries: [entry(7, term: 3)])],
            [LogChange(hardState: hard(4, vote: 2, commit: 5))],
        ]
        for batch in batches {
            try journal.append(batch)
            batch.forEach { state.apply($0) }
        }
        return (journal.disk, state)
    }

    private func recovered(_ disk: SimulatedDisk) throws -> LogModel {
        var disk = disk
        var (journal, recovered) = try open(&disk)
        return try LogModel(reading: &journal, recovered)
    }

    /// Every byte of every file: an acknowledged record, vote or base is there bit for bit, or the
    /// journal refuses to open.
    @Test(arguments: [0, 3, 6])
    func `a flipped bit is never silently wrong`(part: Int) throws {
        let (disk, expected) = try Self.disk()
        var refused = 0
        for name in ["base-", "segment-", "index-"].flatMap({ head in
            (1...4).map { head + "000000000000000\($0)" }
        }) {
            guard let bytes = disk.contents(of: name) else { continue }
            for offset in stride(from: part, to: bytes.count, by: 8)
            where bytes[offset] != 0 || offset % 1024 == part {
                var damaged = disk
                damaged.flip(name, at: offset, bit: (offset / 8 + part) % 8)
                do {
                    #expect(try recovered(damaged) == expected, "\(name) at \(offset)")
                } catch let error as JournalError {
                    refused += 1
                    guard case .disk = error else { continue }
                    Issue.record("\(name) at \(offset): \(error)")
                }
            }
        }
        #expect(refused > 50)
    }

    @Test func `a damaged record is named by file, offset and index`() throws {
        var (disk, _) = try Self.disk()
        disk.flip("segment-0000000000000002", at: 4096 + 90, bit: 3)
        let error = #expect(throws: JournalError.self) { try recovered(disk) }
        guard case .mendable(let damage) = error else { return #expect(Bool(false)) }
        let places = damage.places
        #expect(places.map(\.file) == ["segment-0000000000000002"])
        #expect(places.map(\.indexes) == [LogIndex(4)...LogIndex(4)])
        #expect(places.map(\.offset) == [4096])
        #expect(damage.last == Position(index: LogIndex(7), term: Term(3)))
        #expect(damage.missing == [entry(4, term: 2).identity])
    }

    /// The length is what a reader allocates by; the last batch is where only the index can tell.
    @Test func `a flipped length in the last record is damage, and allocates nothing`() throws {
        var disk = SimulatedDisk()
        var (journal, _) = try open(&disk)
        try journal.append([LogChange(entries: [entry(1, term: 1)])])
        disk = journal.disk
        disk.flip("segment-0000000000000001", at: 4096 + 7, bit: 6)
        let error = #expect(throws: JournalError.self) { try recovered(disk) }
        let places = try #require(error).places
        #expect(places.map(\.indexes) == [LogIndex(1)...LogIndex(1)])
        #expect(
            places.first?.fault
                == .records(
                    EntryRefused.byteCount(104 | 1 << 30).description))
    }

    @Test func `a missing segment is noticed, wherever it is missing`() throws {
        let (disk, _) = try Self.disk()
        let names = (1...3).map { "segment-000000000000000\($0)" }
        for name in names where disk.contents(of: name) != nil {
            var damaged = disk
            try damaged.remove(name)
            #expect(throws: JournalError.self, "\(name)") { try recovered(damaged) }
        }
    }

    @Test func `a segment under another's name is refused`() throws {
        var (disk, _) = try Self.disk()
        let bytes = try #require(disk.contents(of: "segment-0000000000000002"))
        disk.plant(bytes, as: "segment-0000000000000001")
        #expect(throws: JournalError.self) { try recovered(disk) }
    }

    /// Same name, same entries, another id: a copy from before a restore.
    @Test func `a stale segment is refused though it is whole`() throws {
        let (disk, _) = try Self.disk()
        var other = SimulatedDisk()
        let small = SimulatedJournal.Settings(
            cluster: settings.cluster, group: group, segmentByteCount: 16 << 10)
        var (journal, _) = try SimulatedJournal.open(
            &other, settings: small, random: SeededRandom(seed: 99))
        try journal.append([LogChange(entries: [entry(1, term: 1), entry(2, term: 1)])])
        var mixed = disk
        let name = "segment-0000000000000001"
        mixed.plant(try #require(journal.disk.contents(of: name)), as: name)
        #expect(throws: JournalError.self) { try recovered(mixed) }
    }

    /// Without the segment's id and the frame before in the checksum, an old tail that is in the
    /// right place would be taken for the log's.
    @Test func `an old tail behind the log's end is not taken for the log`() throws {
        var longDisk = SimulatedDisk()
        var (long, _) = try open(&longDisk, seed: 1)
        var shortDisk = SimulatedDisk()
        var (short, _) = try open(&shortDisk, seed: 2)
        for index in 1...3 as ClosedRange<UInt64> {
            let change = LogChange(entries: [entry(index, term: 1)])
            try long.append([change])
            if index < 3 { try short.append([change]) }
        }
        let name = "segment-0000000000000001"
        var bytes = try #require(short.disk.contents(of: name))
        let old = try #require(long.disk.contents(of: name))
        bytes.replaceSubrange((3 * 4096)..., with: old[(3 * 4096)...])
        var disk = short.disk
        disk.plant(bytes, as: name)
        let found = try open(&disk).recovered
        #expect(found.last.index == LogIndex(2))
        #expect(found.tornTail?.offset == 3 * 4096)
    }

    @Test func `another mesh's or group's directory is refused`() throws {
        var (disk, _) = try Self.disk()
        let foreign = SimulatedJournal.Settings(
            cluster: settings.cluster, group: GroupID(4), segmentByteCount: 16 << 10)
        let error = #expect(throws: JournalError.self) {
            try SimulatedJournal.open(&disk, settings: foreign, random: SeededRandom(seed: 1))
        }
        guard case .foreign(_, _, let owner) = error else { return #expect(Bool(false)) }
        #expect(owner == group)
    }

    @Test func `an entry that rots while the journal is open is not served`() throws {
        var disk = SimulatedDisk()
        var (journal, _) = try open(&disk)
        try journal.append([LogChange(entries: [entry(1, term: 1), entry(2, term: 1)])])
        journal.alterDisk { $0.flip("segment-0000000000000001", at: 4096 + 104 + 80, bit: 0) }
        #expect(
            try journal.entries(from: LogIndex(1), through: LogIndex(1), bytesMax: 1)
                == [entry(1, term: 1)])
        #expect(throws: JournalError.self) {
            try journal.entries(from: LogIndex(1), through: LogIndex(2), bytesMax: 1_000)
        }
    }
}
