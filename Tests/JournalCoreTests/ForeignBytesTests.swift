import Disk
import Mesh
import PowerCut
import Record
import SimulatedDisk
import Testing

@testable import JournalCore

/// Bytes that no append of this place ever wrote: torn, rotten, or another place's.
@Suite("Bytes that were never written here") struct ForeignBytesTests {
    private static let small = SimulatedJournal.Settings(
        cluster: settings.cluster, group: group, segmentByteCount: 16 << 10)

    /// Three segments, one ended by a truncation, and a base.
    private static func disk() throws -> (disk: SimulatedDisk, model: LogModel) {
        var disk = SimulatedDisk()
        var (journal, _) = try SimulatedJournal.open(
            &disk, settings: small, random: SeededRandom(seed: 6))
        var state = LogModel()
        let position = Position(index: LogIndex(1), term: Term(1))
        let batches: [LogChange] = [
            LogChange(entries: [entry(1, term: 1), entry(2, term: 1)], hardState: hard(1)),
            LogChange(base: Base(position: position, contents: [1, 2, 3])),
            LogChange(entries: [entry(3, term: 1), entry(4, term: 1)]),
            LogChange(entries: [entry(4, term: 2)], hardState: hard(2, vote: 7)),
            LogChange(entries: [entry(5, term: 2), entry(6, term: 2)]),
            LogChange(hardState: hard(3, vote: 1, commit: 4)),
            LogChange(entries: [entry(7, term: 3)]),
        ]
        for batch in batches {
            try journal.append([batch])
            state.apply(batch)
        }
        return (journal.disk, state)
    }

    private static let segments = (1...3).map { "segment-000000000000000\($0)" }

    private func recovered(_ disk: SimulatedDisk) throws -> LogModel {
        var disk = disk
        var (journal, recovered) = try open(&disk)
        return try LogModel(reading: &journal, recovered)
    }

    /// True when the journal refuses to open; what it gives back has to be `expected`.
    private func refuses(_ disk: SimulatedDisk, or expected: LogModel, _ what: String) throws
        -> Bool
    {
        do {
            #expect(try recovered(disk) == expected, "\(what)")
            return false
        } catch let error as JournalError {
            if case .disk = error { Issue.record("\(what): \(error)") }
            return true
        }
    }

    /// Nothing but whole sectors of the new batch, all of them, is the new batch.
    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func `sectors torn to zeros, garbage, old or misplaced bytes are no batch (nasty case 45)`(
        seed: UInt64
    ) throws {
        var chance = SeededRandom(seed: seed)
        let name = "segment-0000000000000001"
        var disk = SimulatedDisk()
        var (journal, _) = try open(&disk)
        var state = LogModel()
        for index in 1...2 as ClosedRange<UInt64> {
            let change = LogChange(entries: [entry(index, term: 1)], hardState: hard(index))
            try journal.append([change])
            state.apply(change)
        }
        let before = journal.disk
        try journal.append([
            LogChange(
                entries: [entry(3, term: 1, byteCount: 900), entry(4, term: 1, byteCount: 5_000)],
                hardState: hard(9, vote: 9))
        ])
        var bytes = try #require(before.contents(of: name))
        let new = try #require(journal.disk.contents(of: name))
        let (start, end, sector) = (3 * 4096, 5 * 4096, SimulatedDisk.sectorByteCount)
        #expect(new[start..<end].contains { $0 != 0 } && new[end...].allSatisfy { $0 == 0 })
        // At least one sector is not what was written, and what was there is not all zeros.
        let bad = start + Int(chance.next() % 2) * 4096
        for offset in stride(from: start, to: end, by: sector) {
            let own = offset..<offset + sector
            let isSpared = chance.chance(9, in: 10)
            switch offset == bad ? 1 + chance.next() % 3 : isSpared ? 0 : chance.next() % 4 {
            case 0: bytes.replaceSubrange(own, with: new[own])
            case 1: break
            case 2:
                bytes.replaceSubrange(
                    own, with: (0..<sector).map { _ in UInt8(truncatingIfNeeded: chance.next()) })
            default:
                let other = 4096 + Int(chance.next() % 24) * sector
                let taken = Array(new[other..<other + sector])
                bytes.replaceSubrange(own, with: taken == Array(new[own]) ? bytes[own] : taken[...])
            }
        }
        var torn = before
        torn.plant(bytes, as: name)
        #expect(try recovered(torn) == state)
    }

    /// Headers, frames, index rows, the base's head and chunks: each byte of them, one bit each.
    @Test(arguments: 0..<8)
    func `a flipped bit in any byte of any field is never silently wrong (nasty case 46)`(
        bit: Int
    ) throws {
        let (disk, expected) = try Self.disk()
        var refused = 0
        let names =
            Self.segments + ["base-0000000000000001"]
            + (1...3).map { "index-000000000000000\($0)" }
        for name in names {
            let bytes = try #require(disk.contents(of: name), "\(name)")
            for offset in bytes.indices where (offset + bit) % 4 == 0 {
                let place = offset % 4096
                let isField =
                    !name.hasPrefix("segment") || place >= 4096 - CommitFrame.byteCount
                    || (offset < 4096 ? place < 200 : place < 220)
                guard isField else { continue }
                var damaged = disk
                damaged.flip(name, at: offset, bit: bit)
                let isRefused = try refuses(damaged, or: expected, "\(name) at \(offset)")
                if isRefused { refused += 1 }
                // The log itself is whole: a row that can't be read says nothing.
                if name.hasPrefix("index") { #expect(!isRefused, "\(name) at \(offset)") }
            }
        }
        #expect(refused > 300, "\(refused)")
    }

    @Test func `a block written where another stands is never silently wrong (nasty case 53)`()
        throws
    {
        let (disk, expected) = try Self.disk()
        let blocks = Self.segments.flatMap { name in (0..<4).map { (name, $0 * 4096) } }
        var refused = 0
        for (from, source) in blocks {
            let all = try #require(disk.contents(of: from))
            let block = all[source..<source + 4096]
            for (to, target) in blocks where to != from || target != source {
                var bytes = try #require(disk.contents(of: to))
                guard bytes[target..<target + 4096] != block else { continue }
                bytes.replaceSubrange(target..<target + 4096, with: block)
                var damaged = disk
                damaged.plant(bytes, as: to)
                let what = "\(from) \(source) over \(to) \(target)"
                if try refuses(damaged, or: expected, what) { refused += 1 }
            }
        }
        #expect(refused > 60, "\(refused)")
    }

    @Test func `a segment that is there twice is refused, under whatever number (nasty case 48)`()
        throws
    {
        let (disk, _) = try Self.disk()
        var bytes = try #require(disk.contents(of: Self.segments[1]))
        var header = try SegmentHeader(parsing: bytes)
        header.sequence = 4
        bytes.replaceSubrange(0..<SegmentHeader.byteCount, with: header.encoded())
        var doubled = disk
        doubled.plant(bytes, as: "segment-0000000000000004")
        let error = #expect(throws: JournalError.self) { try recovered(doubled) }
        guard case .damaged(let places, _) = error else { return #expect(Bool(false)) }
        #expect(places.map(\.fault) == [.staleSegment("its id occurs twice")])
    }
}
