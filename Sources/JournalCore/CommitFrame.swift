import Mesh
internal import Planted
import Record

/// Measures that the formats share.
enum Layout {
    /// A batch begins on such a block, so that writing it never rewrites a sector of one that was
    /// acknowledged.
    static let blockByteCount = 4096

    static func roundedUp(_ byteCount: Int) -> Int {
        (byteCount + blockByteCount - 1) / blockByteCount * blockByteCount
    }
}

/// Closes a batch, at the end of the batch's last block. Its sectors may reach the disk before the
/// records', hence the checksum over all of them.
struct CommitFrame: Hashable, Sendable {
    static let byteCount = 128
    static let magic: UInt64 = 0x3146_434a_444c_4f48  // "HOLDJCF1"

    var segment: SegmentID
    /// Where the batch begins in its segment.
    var start: Int
    var entryCount: Int
    /// The checksum of the frame before, or of the segment header: batches form a chain.
    var previousChain: UInt32
    /// The log's last position once the batch stands.
    var last: Position
    var batchChecksum: UInt32
    var standing: Standing

    /// The last index before the batch.
    var before: LogIndex {
        LogIndex(last.index.rawValue - min(UInt64(entryCount), last.index.rawValue))
    }

    /// How long a batch with so many bytes of records is, frame included.
    static func batchByteCount(recordsByteCount: Int) -> Int {
        Layout.roundedUp(recordsByteCount + byteCount)
    }

    /// Seeds the batch's checksum, so that the same bytes elsewhere have another.
    static func seed(segment: SegmentID, start: Int, previousChain: UInt32) -> UInt32 {
        Checksum.crc32c(
            littleEndian: previousChain,
            seed: Checksum.crc32c(littleEndian: [segment.high, segment.low, UInt64(start)]))
    }

    /// Writes the frame over zeros, and gives its own checksum, on which the next batch builds.
    func encode(into bytes: inout [UInt8], at offset: Int) -> UInt32 {
        bytes.store(Self.magic, at: offset, count: 8)
        bytes.store(UInt64(batchChecksum), at: offset + 12, count: 4)
        bytes.store(segment.high, at: offset + 16, count: 8)
        bytes.store(segment.low, at: offset + 24, count: 8)
        bytes.store(UInt64(start), at: offset + 32, count: 8)
        bytes.store(UInt64(entryCount), at: offset + 40, count: 4)
        bytes.store(UInt64(previousChain), at: offset + 44, count: 4)
        bytes.store(last.index.rawValue, at: offset + 48, count: 8)
        bytes.store(last.term.rawValue, at: offset + 56, count: 8)
        standing.encode(into: &bytes, at: offset + 64)
        let chain = Checksum.crc32c(bytes, in: offset + 12..<offset + Self.byteCount)
        bytes.store(UInt64(chain), at: offset + 8, count: 4)
        return chain
    }
}

/// A frame and where it was found.
struct FoundFrame: Hashable, Sendable {
    let frame: CommitFrame
    let offset: Int
    let chain: UInt32
    var end: Int { offset + CommitFrame.byteCount }

    /// nil unless a frame of `segment` stands whole at `offset`, closing a batch before it.
    init?(_ bytes: [UInt8], at offset: Int, segment: SegmentID) {
        guard bytes.load(at: offset, count: 8) == CommitFrame.magic else { return nil }
        let chain = UInt32(bytes.load(at: offset + 8, count: 4))
        let own = offset + 12..<offset + CommitFrame.byteCount
        guard Checksum.crc32c(bytes, in: own) == chain || isPlanted(.skipsFrameChecksum) else {
            return nil
        }
        let start = bytes.load(at: offset + 32, count: 8)
        guard start >= UInt64(SegmentHeader.byteCount), start <= UInt64(offset),
            start % UInt64(Layout.blockByteCount) == 0,
            bytes.load(at: offset + 16, count: 8) == segment.high
                && bytes.load(at: offset + 24, count: 8) == segment.low
                || isPlanted(.trustsForeignFrames)
        else { return nil }
        frame = CommitFrame(
            segment: segment, start: Int(start),
            entryCount: Int(bytes.load(at: offset + 40, count: 4)),
            previousChain: UInt32(bytes.load(at: offset + 44, count: 4)),
            last: Position(
                index: LogIndex(bytes.load(at: offset + 48, count: 8)),
                term: Term(bytes.load(at: offset + 56, count: 8))),
            batchChecksum: UInt32(bytes.load(at: offset + 12, count: 4)),
            standing: Standing(decoding: bytes, at: offset + 64))
        self.offset = offset
        self.chain = chain
        guard frame.last.index <= .countMax, frame.last.term <= .countMax, frame.standing.isLawful
        else { return nil }
    }
}
