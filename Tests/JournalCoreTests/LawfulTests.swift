import Disk
import Mesh
import Record
import SimulatedDisk
import Testing

@testable import JournalCore

/// Checksums are right in all of these: only what the bytes say is not.
@Suite("A journal that no journal can have written")
struct LawfulTests {
    private static let settings = JournalCore<SimulatedDisk>.Settings(
        cluster: ClusterID(high: 1, low: 2), group: GroupID(1), segmentByteCount: 8_192)

    private static func header(_ spoil: (inout SegmentHeader) -> Void) -> [UInt8] {
        var header = SegmentHeader(
            cluster: settings.cluster, group: settings.group, id: SegmentID(high: 3, low: 5),
            sequence: 1, previous: .zero, isReset: false, isRecycled: false, predecessor: .none,
            predecessorEnd: 0, predecessorChain: 0, byteCount: 8_192, standing: Standing())
        spoil(&header)
        return header.encoded()
    }

    private static let beyond = Position(index: LogIndex(.max), term: Term(1))

    @Test func `a header that counts beyond all counting is refused`() throws {
        #expect(try SegmentHeader(parsing: Self.header { _ in }).sequence == 1)
        let spoilt = [
            Self.header { $0.sequence = 0 }, Self.header { $0.sequence = .max },
            Self.header { $0.previous = Self.beyond },
            Self.header { $0.standing.hardState.term = Term(.max) },
            Self.header { $0.standing.hardState.commit = LogIndex(.max) },
            Self.header { $0.standing.base.position = Self.beyond },
            Self.header { $0.standing.base.number = .max },
        ]
        for bytes in spoilt {
            #expect(throws: SegmentHeader.Refused.unlawful) { try SegmentHeader(parsing: bytes) }
        }
    }

    @Test func `a commit frame that counts beyond all counting is none`() {
        let id = SegmentID(high: 3, low: 5)
        func isFrame(_ last: Position, _ standing: Standing = Standing()) -> Bool {
            let frame = CommitFrame(
                segment: id, start: 4_096, entryCount: 0, previousChain: 0, last: last,
                batchChecksum: 0, standing: standing)
            var bytes = [UInt8](repeating: 0, count: 8_064 + CommitFrame.byteCount)
            _ = frame.encode(into: &bytes, at: 8_064)
            return FoundFrame(bytes, at: 8_064, segment: id) != nil
        }
        #expect(isFrame(Position(index: LogIndex(9), term: Term(2))))
        #expect(!isFrame(Self.beyond))
        #expect(!isFrame(.zero, Standing(hardState: HardState(term: Term(.max)))))
    }

    @Test func `a base without a number stands for nothing`() throws {
        var disk = SimulatedDisk()
        let named = BaseReference(
            number: 0, position: Position(index: LogIndex(4), term: Term(1)))
        disk.plant(
            Self.header {
                $0.standing.base = named
                $0.previous = named.position
            } + [UInt8](repeating: 0, count: 4_096), as: JournalFile.segment(1).name)
        #expect {
            try JournalCore.open(
                &disk, settings: Self.settings, random: SeededRandom(seed: 1))
        } throws: { error in
            guard case .damaged(let places, _) = error as? JournalError else { return false }
            return places.map(\.fault) == [.missingBase]
        }
    }

    @Test(arguments: [false, true])
    func `a batch in which terms fall is damage`(inOneBatch: Bool) throws {
        var disk = SimulatedDisk()
        var (journal, _) = try JournalCore.open(
            &disk, settings: Self.settings, random: SeededRandom(seed: 1))
        let entries = [(1, 5), (2, 3)].map { index, term in
            Draft(.blank, epoch: .zero).sealed(
                at: Position(index: LogIndex(index), term: Term(term)), group: GroupID(1),
                time: .zero)
        }
        for change in inOneBatch ? [entries] : entries.map({ [$0] }) {
            try journal.append([LogChange(entries: change)])
        }
        disk = journal.disk
        #expect {
            try JournalCore.open(
                &disk, settings: Self.settings, random: SeededRandom(seed: 1))
        } throws: { error in
            if case .damaged = error as? JournalError { true } else { false }
        }
    }

    /// Whoever went on from there would append where nothing is.
    @Test func `a batch without entries that ends elsewhere than the one before is none`() throws {
        let header = Self.header { _ in }
        var bytes = header + [UInt8](repeating: 0, count: 4_096)
        let segment = try SegmentHeader(parsing: header)
        let seed = CommitFrame.seed(
            segment: segment.id, start: 4_096, previousChain: segment.checksum)
        for last in [Position.zero, Position(index: LogIndex(3), term: Term(2))] {
            let frame = CommitFrame(
                segment: segment.id, start: 4_096, entryCount: 0,
                previousChain: segment.checksum, last: last,
                batchChecksum: Checksum.crc32c(
                    [UInt8](repeating: 0, count: 4_096 - CommitFrame.byteCount), seed: seed),
                standing: Standing())
            bytes.replaceSubrange(
                8_064..., with: [UInt8](repeating: 0, count: CommitFrame.byteCount))
            _ = frame.encode(into: &bytes, at: 8_064)
            let scan = SegmentScan(bytes, header: segment, index: [], seal: nil, file: "")
            #expect(scan.batches.count == (last == .zero ? 1 : 0))
        }
    }

    /// The first opening would believe it, and overwrite it: the next one would find another log.
    @Test func `a row of the index that no segment can hold is none`() {
        let id = SegmentID(high: 3, low: 5)
        func isRow(_ kind: IndexRow.Kind, _ offset: Int, _ length: Int, _ last: Position) -> Bool {
            var bytes = [UInt8](repeating: 0, count: IndexFile.headerByteCount)
            let row = IndexRow(
                kind: kind, position: last, offset: UInt32(offset), length: UInt32(length),
                checksum: 0)
            row.encode(seed: IndexFile.seed(id), into: &bytes)
            return !IndexFile.rows(bytes, segment: id).isEmpty
        }
        let (last, frame) = (Position(index: LogIndex(9), term: Term(2)), CommitFrame.byteCount)
        #expect(isRow(.entry, 4_096, Entry.byteCountMax, last))
        #expect(isRow(.entry, 4_096, Entry.headerByteCount, last))
        #expect(!isRow(.frame, 8_064, frame - 1, last))
        #expect(isRow(.frame, 8_064, frame, last))
        #expect(!isRow(.entry, 4_095, 64, last))
        #expect(!isRow(.entry, 4_096, Entry.headerByteCount - 1, last))
        #expect(!isRow(.entry, 4_096, Entry.byteCountMax + 1, last))
        #expect(!isRow(.frame, 8_064, frame + 1, last))
        #expect(!isRow(.frame, 8_064, frame, Self.beyond))
    }

    /// What went before it can't be counted.
    @Test func `a batch with a record at index 0 is none`() throws {
        let header = Self.header { _ in }
        let segment = try SegmentHeader(parsing: header)
        let entry = Draft(.blank, epoch: .zero).sealed(
            at: Position(index: .zero, term: Term(1)), group: GroupID(1), time: .zero)
        var bytes = header + [UInt8](repeating: 0, count: 8_192)
        bytes.replaceSubrange(8_192..<8_192 + entry.bytes.count, with: entry.bytes)
        let seed = CommitFrame.seed(segment: segment.id, start: 8_192, previousChain: 0)
        let frame = CommitFrame(
            segment: segment.id, start: 8_192, entryCount: 1, previousChain: 0,
            last: Position(index: .zero, term: Term(1)),
            batchChecksum: Checksum.crc32c(bytes, in: 8_192..<12_160, seed: seed),
            standing: Standing())
        _ = frame.encode(into: &bytes, at: 12_160)
        let scan = SegmentScan(bytes, header: segment, index: [], seal: nil, file: "")
        #expect(scan.batches.isEmpty)
        var log = RecoveredLog()
        try log.take(scan, of: segment)
        #expect(log.last == .zero)
    }

    /// An opening writes the rows anew, in another order.
    @Test func `two rows that disagree on one place are none, in either order`() {
        let id = SegmentID(high: 3, low: 5)
        func row(_ length: UInt32) -> IndexRow {
            IndexRow(
                kind: .entry, position: Position(index: LogIndex(1), term: Term(1)), offset: 4_096,
                length: length, checksum: 7)
        }
        for rows in [[row(64), row(9_000)], [row(9_000), row(64)]] {
            #expect(RowMap([], rows: rows, segment: id).entry(at: 4_096) == nil)
        }
        #expect(RowMap([], rows: [row(64), row(64)], segment: id).entry(at: 4_096) == row(64))
    }

    /// Each that a hole may have held takes memory.
    @Test func `a frame of more entries than have room before it is refused`() throws {
        let header = Self.header { _ in }
        let segment = try SegmentHeader(parsing: header)
        var bytes = header + [UInt8](repeating: 0, count: 4_096)
        let frame = CommitFrame(
            segment: segment.id, start: 4_096, entryCount: 4_000_000_000,
            previousChain: segment.checksum,
            last: Position(index: LogIndex(4_000_000_000), term: Term(1)), batchChecksum: 0,
            standing: Standing())
        let chain = frame.encode(into: &bytes, at: 8_064)
        let scan = SegmentScan(
            bytes, header: segment, index: [], seal: .init(end: 8_192, chain: chain), file: "")
        #expect(scan.holes.map(\.through) == [frame.last.index])
        var log = RecoveredLog()
        #expect(throws: JournalError.self) { try log.take(scan, of: segment) }
    }
}
