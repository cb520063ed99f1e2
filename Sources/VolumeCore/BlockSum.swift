internal import Mesh
internal import Record

/// The checksum of one block of an image, as its sums file has it (ADR 8).
///
/// It knows its place: within a volume two places begin with different seeds, and CRC-32C of bytes as
/// long gives different sums for different seeds, so a block that was written elsewhere never passes.
struct BlockSum: RawRepresentable, Hashable, Sendable {
    static let blockByteCount: UInt64 = 4_096

    let rawValue: UInt32

    /// Nothing passes for such a block: what a file holds that nobody wrote, and what was damaged.
    static let none = BlockSum(rawValue: 0)
    /// The block reads zero: gigabytes are zeroed without a look at a single byte.
    static let zeros = BlockSum(rawValue: 1)

    init(rawValue: UInt32) { self.rawValue = rawValue }

    init(of bytes: [UInt8], in range: Range<Int>, volume: VolumeID, block: UInt64) {
        let sum = Checksum.crc32c(bytes, in: range, seed: Self.seed(volume, block))
        rawValue = sum <= Self.zeros.rawValue ? sum + 2 : sum
    }

    private static func seed(_ volume: VolumeID, _ block: UInt64) -> UInt32 {
        let spread = volume.rawValue &* 0x9e37_79b9_7f4a_7c15
        return UInt32(truncatingIfNeeded: spread >> 32) ^ UInt32(truncatingIfNeeded: block)
    }

    /// Whether these bytes are what was last written to the block.
    func passes(_ bytes: [UInt8], in range: Range<Int>, volume: VolumeID, block: UInt64) -> Bool {
        switch self {
        case .none: false
        case .zeros: bytes[range].isZero
        default: self == BlockSum(of: bytes, in: range, volume: volume, block: block)
        }
    }

    /// A sums file has whole pages.
    static func fileByteCount(of byteCount: UInt64) -> UInt64 {
        let perPage = blockByteCount * SumPages.sumsPerPage
        return (byteCount + perPage - 1) / perPage * UInt64(SumPages.pageByteCount)
    }
}
