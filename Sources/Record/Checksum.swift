internal import CChecksum
internal import Mesh

/// CRC-32C (Castagnoli), with the processor's instruction where it has one.
package enum Checksum {
    package static func crc32c(_ bytes: [UInt8], in range: Range<Int>? = nil, seed: UInt32 = 0)
        -> UInt32
    {
        let range = range ?? bytes.indices
        invariant(
            range.lowerBound >= 0 && range.upperBound <= bytes.count,
            "checksum of \(range) in \(bytes.count) bytes")
        return unsafe bytes.withUnsafeBytes { all in
            guard let base = all.baseAddress else { return seed }
            return unsafe holdfast_crc32c(seed, base + range.lowerBound, range.count)
        }
    }
}
