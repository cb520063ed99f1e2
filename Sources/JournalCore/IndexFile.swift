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

    /// `seed` is `IndexFile.seed` of the segment.
    func encode(seed: UInt32, into bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: Self.byteCount))
        bytes.store(UInt64(kind.rawValue), at: start + 4, count: 4)
        bytes.store(position.index.rawValue, at: start + 8, count: 8)
        bytes.store(position.term.rawValue, at: start + 16, count: 8)
        bytes.store(UInt64(offset), at: start + 24, count: 4)
        bytes.store(UInt64(length), at: start + 28, count: 4)
        bytes.store(UInt64(checksum), at: start + 32, count: 4)
        let sum = Checksum.crc32c(bytes, in: start + 4..<start + Self.byteCount, seed: seed)
        bytes.store(UInt64(sum), at: start, count: 4)
    }
}

enum IndexFile {
    static let magic: UInt64 = 0x3158_4449_444c_4f48  // "HOLDIDX1"
    static let headerByteCount = IndexRow.byteCount

    static func seed(_ segment: SegmentID) -> UInt32 {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: [segment.high, segment.low])
        return Checksum.crc32c(bytes)
    }

    static func header(_ segment: SegmentID) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: headerByteCount)
        bytes.store(magic, at: 0, count: 8)
        bytes.store(segment.high, at: 16, count: 8)
        bytes.store(segment.low, at: 24, count: 8)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 12..<headerByteCount)), at: 8, count: 4)
        return bytes
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
            rows.append(
                IndexRow(
                    kind: kind,
                    position: Position(
                        index: LogIndex(bytes.load(at: offset + 8, count: 8)),
                        term: Term(bytes.load(at: offset + 16, count: 8))),
                    offset: UInt32(bytes.load(at: offset + 24, count: 4)),
                    length: UInt32(bytes.load(at: offset + 28, count: 4)),
                    checksum: UInt32(bytes.load(at: offset + 32, count: 4))))
        }
        return rows
    }
}
