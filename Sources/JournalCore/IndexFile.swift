import Mesh
import Record

/// One line of a segment's index: it is written only after the sync that made safe what it names,
/// so its presence says that a bad record was once acknowledged (Alagappan 2018, "Protocol-Aware
/// Recovery", §3.3.1).
struct IndexRow: Hashable, Sendable {
    enum Kind: UInt32, Sendable {
        case entry = 1
        case frame = 2
    }
    static let byteCount = 40

    var kind: Kind
    /// The entry's position; a frame's row names the log's last.
    var position: Position
    var offset: UInt32
    var length: UInt32
    var checksum: UInt32
    /// What the frame says of its batch; of an entry's row 0.
    var batchChecksum: UInt32 = 0
    /// Where in the index the row was found.
    var slot = 0

    /// Whether a segment can hold what the row names, at a position that a log can come to.
    var isLawful: Bool {
        guard position.index <= .countMax, position.term <= .countMax,
            offset >= SegmentHeader.byteCount
        else { return false }
        return switch kind {
        case .entry: Entry.headerByteCount <= length && length <= Entry.byteCountMax
        case .frame: length == CommitFrame.byteCount
        }
    }

    /// `seed` is `IndexFile.seed` of the segment.
    func encode(seed: UInt32, into bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(
            littleEndian: [
                UInt64(kind.rawValue) << 32, position.index.rawValue, position.term.rawValue,
                UInt64(length) << 32 | UInt64(offset),
                UInt64(batchChecksum) << 32 | UInt64(checksum),
            ])
        let sum = Checksum.crc32c(bytes, in: start + 4..<start + Self.byteCount, seed: seed)
        bytes.store(UInt64(sum), at: start, count: 4)
    }
}

enum IndexFile {
    static let magic: UInt64 = 0x3158_4449_444c_4f48  // "HOLDIDX1"
    static let headerByteCount = IndexRow.byteCount

    static func seed(_ segment: SegmentID) -> UInt32 {
        Checksum.crc32c(littleEndian: [segment.high, segment.low])
    }

    /// The file's head, and behind it a copy of the segment's own header, so that what a bad block
    /// took of that can be told from here.
    static func header(_ segment: SegmentHeader, _ encoded: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: headerByteCount)
        bytes.store(magic, at: 0, count: 8)
        bytes.store(segment.id.high, at: 16, count: 8)
        bytes.store(segment.id.low, at: 24, count: 8)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 12..<headerByteCount)), at: 8, count: 4)
        let seed = seed(segment.id)
        for piece in 0..<IndexPiece.headerCount {
            let start = piece * IndexPiece.payloadByteCount
            IndexPiece.encode(
                .header, IndexPiece.words(encoded, at: start), seed: seed, into: &bytes)
        }
        return bytes
    }

    /// What the index says of one batch: its entries, its frame, and all that stood in the frame.
    static func encode(
        _ rows: [IndexRow], _ standing: Standing, seed: UInt32, into bytes: inout [UInt8]
    ) {
        for row in rows { row.encode(seed: seed, into: &bytes) }
        let (head, tail) = standing.halves
        IndexPiece.encode(.standingHead, head, seed: seed, into: &bytes)
        IndexPiece.encode(.standingTail, tail, seed: seed, into: &bytes)
    }

    /// The segment that the file says it describes; nil when its head is not whole.
    static func segment(_ bytes: [UInt8]) -> SegmentID? {
        guard bytes.count >= headerByteCount, bytes.load(at: 0, count: 8) == magic,
            Checksum.crc32c(bytes, in: 12..<headerByteCount) == UInt32(bytes.load(at: 8, count: 4))
        else { return nil }
        return SegmentID(high: bytes.load(at: 16, count: 8), low: bytes.load(at: 24, count: 8))
    }

    /// The rows that are whole and belong to `segment`; the others never reached the disk.
    static func rows(_ bytes: [UInt8], segment: SegmentID) -> [IndexRow] {
        var rows: [IndexRow] = []
        var offset = headerByteCount
        let seed = seed(segment)
        while offset + IndexRow.byteCount <= bytes.count {
            defer { offset += IndexRow.byteCount }
            let own = offset + 4..<offset + IndexRow.byteCount
            guard let kind = IndexRow.Kind(rawValue: UInt32(bytes.load(at: offset + 4, count: 4))),
                Checksum.crc32c(bytes, in: own, seed: seed)
                    == UInt32(bytes.load(at: offset, count: 4))
            else { continue }
            let position = Position(
                index: LogIndex(bytes.load(at: offset + 8, count: 8)),
                term: Term(bytes.load(at: offset + 16, count: 8)))
            let row = IndexRow(
                kind: kind, position: position,
                offset: UInt32(bytes.load(at: offset + 24, count: 4)),
                length: UInt32(bytes.load(at: offset + 28, count: 4)),
                checksum: UInt32(bytes.load(at: offset + 32, count: 4)),
                batchChecksum: UInt32(bytes.load(at: offset + 36, count: 4)), slot: offset)
            if row.isLawful { rows.append(row) }
        }
        return rows
    }
}
