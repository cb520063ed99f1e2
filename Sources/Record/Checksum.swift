internal import CChecksum
internal import Mesh

/// CRC-32C (Castagnoli), with the processor's instruction where it has one.
@usableFromInline package enum Checksum {
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

    /// Of words as they would stand in bytes, little-endian, without an array for them. Inlined, or the
    /// runtime is asked for the type of each number of words.
    @inlinable package static func crc32c<let wordCount: Int>(
        littleEndian words: InlineArray<wordCount, UInt64>
    ) -> UInt32 {
        var sum: UInt32 = 0
        for at in words.indices { sum = crc32c(littleEndian: words[at], seed: sum) }
        return sum
    }

    @usableFromInline package static func crc32c(littleEndian word: UInt64, seed: UInt32) -> UInt32
    {
        unsafe withUnsafeBytes(of: word.littleEndian) { all in
            guard let base = all.baseAddress else { return seed }
            return unsafe holdfast_crc32c(seed, base, all.count)
        }
    }

    package static func crc32c(littleEndian word: UInt32, seed: UInt32) -> UInt32 {
        unsafe withUnsafeBytes(of: word.littleEndian) { all in
            guard let base = all.baseAddress else { return seed }
            return unsafe holdfast_crc32c(seed, base, all.count)
        }
    }
}
