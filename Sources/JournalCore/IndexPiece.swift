import Mesh
import Record

/// A part of a frame's or a header's bytes in a row of the index. With them, and with what the rows
/// say, all of a segment but its entries' payload can be written again byte for byte.
enum IndexPiece: UInt32, Sendable {
    case standingHead = 3
    case standingTail = 4
    case header = 5

    static let payloadByteCount = 32
    /// What of a header's block is not zeros, rounded up.
    static let headerCount = 6

    /// A payload, as the words that stand in it little-endian.
    typealias Words = InlineArray<4, UInt64>

    static func words(_ bytes: [UInt8], at offset: Int) -> Words {
        Words { bytes.load(at: offset + $0 * 8, count: 8) }
    }

    static func encode(
        _ piece: IndexPiece, _ payload: Words, seed: UInt32, into bytes: inout [UInt8]
    ) {
        let start = bytes.count
        bytes.append(littleEndian: UInt64(piece.rawValue) << 32)
        bytes.append(littleEndian: payload)
        let sum = Checksum.crc32c(bytes, in: start + 4..<start + IndexRow.byteCount, seed: seed)
        bytes.store(UInt64(sum), at: start, count: 4)
    }

    /// The payload of the slot at `offset`; nil unless it is whole and such a piece.
    private static func payload(
        _ piece: IndexPiece, _ bytes: [UInt8], at offset: Int, seed: UInt32
    ) -> ArraySlice<UInt8>? {
        let end = offset + IndexRow.byteCount
        guard end <= bytes.count, bytes.load(at: offset + 4, count: 4) == UInt64(piece.rawValue),
            bytes.load(at: offset, count: 4)
                == UInt64(Checksum.crc32c(bytes, in: offset + 4..<end, seed: seed))
        else { return nil }
        return bytes[offset + 8..<end]
    }

    /// The segment's header as it was written; nil where the copy is not whole.
    static func header(_ index: [UInt8], of segment: SegmentID) -> SegmentHeader? {
        let seed = IndexFile.seed(segment)
        var block: [UInt8] = []
        for piece in 0..<headerCount {
            let offset = IndexFile.headerByteCount + piece * IndexRow.byteCount
            guard let payload = payload(.header, index, at: offset, seed: seed) else { return nil }
            block += payload
        }
        block += [UInt8](repeating: 0, count: SegmentHeader.byteCount - block.count)
        guard let header = try? SegmentHeader(parsing: block), header.id == segment else {
            return nil
        }
        return header
    }

    /// What the frame of `row` said besides; nil where it is not whole.
    static func standing(_ index: [UInt8], behind row: IndexRow, of segment: SegmentID)
        -> Standing?
    {
        let seed = IndexFile.seed(segment)
        let slot = IndexRow.byteCount
        let head = row.slot + slot
        guard let first = payload(.standingHead, index, at: head, seed: seed),
            let second = payload(.standingTail, index, at: head + slot, seed: seed)
        else { return nil }
        let standing = Standing(decoding: Array(first) + second, at: 0)
        return standing.isLawful ? standing : nil
    }
}
