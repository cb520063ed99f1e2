package import Sealing

/// Which ids a segment may hold: one that it holds passes for sure, another one in about one of 300 cases. Only
/// where it passes has a block of the segment to be fetched and opened.
///
/// A Bloom filter cut into lines of 64 bytes (Putze, Sanders, Singler 2007, "Cache-, Hash- and Space-Efficient
/// Bloom Filters", §3): an id has its bits in one line. Ids are keyed digests, so their own bits serve as hashes.
package struct IDFilter: Hashable, Sendable {
    static let lineByteCount = 64
    /// 12 bits for an id.
    private static let idsPerLine = 42
    private static let bitsPerID = 7

    package private(set) var bytes: [UInt8]

    package init(idsMax: Int) {
        bytes = [UInt8](repeating: 0, count: Self.byteCount(of: idsMax))
    }

    /// Takes the filter of so many ids.
    init?(_ bytes: [UInt8], idsMax: Int) {
        guard bytes.count == Self.byteCount(of: idsMax) else { return nil }
        self.bytes = bytes
    }

    static func byteCount(of idsMax: Int) -> Int {
        max((idsMax + idsPerLine - 1) / idsPerLine, 1) * lineByteCount
    }

    package mutating func insert(_ id: Digest) {
        let (line, bits) = place(of: id)
        for bit in 0..<Self.bitsPerID {
            let at = Self.bit(bit, bits)
            bytes[line + at / 8] |= 1 << UInt8(at % 8)
        }
    }

    package func mayHold(_ id: Digest) -> Bool {
        let (line, bits) = place(of: id)
        return (0..<Self.bitsPerID).allSatisfy { bit in
            let at = Self.bit(bit, bits)
            return bytes[line + at / 8] >> UInt8(at % 8) & 1 == 1
        }
    }

    /// The line by the first word as a fraction of 2^64, which needs no division.
    private func place(of id: Digest) -> (line: Int, bits: UInt64) {
        let (first, second) = id.words
        let count = UInt64(bytes.count / Self.lineByteCount)
        return (Int(first.multipliedFullWidth(by: count).high) * Self.lineByteCount, second)
    }

    /// Nine bits of the second word each.
    private static func bit(_ number: Int, _ bits: UInt64) -> Int {
        Int(bits >> (9 * UInt64(number)) & 511)
    }
}
