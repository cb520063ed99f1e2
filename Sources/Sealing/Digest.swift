internal import Crypto
internal import FoundationEssentials
package import Mesh

/// 32 bytes that name what they were made from. Ordered as its bytes are.
package struct Digest: Hashable, Comparable, Sendable, CustomStringConvertible {
    package static let byteCount = 32

    private let a: UInt64
    private let b: UInt64
    private let c: UInt64
    private let d: UInt64

    /// Takes the first 32 of `bytes`, which must have as many.
    package init(_ bytes: Span<UInt8>) {
        func word(_ start: Int) -> UInt64 {
            (start..<start + 8).reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
        }
        (a, b, c, d) = (word(0), word(8), word(16), word(24))
    }

    package init(parsing reader: inout ByteReader) throws(ByteReader.Truncated) {
        a = try reader.u64().byteSwapped
        b = try reader.u64().byteSwapped
        c = try reader.u64().byteSwapped
        d = try reader.u64().byteSwapped
    }

    /// The SHA-256 (FIPS 180-4) of `bytes`.
    package init(of bytes: Span<UInt8>) {
        var hash = SHA256()
        unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        self = unsafe hash.finalize().withUnsafeBytes { unsafe Digest(Span(_bytes: $0.bytes)) }
    }

    /// Of no bytes: what stands where there is no predecessor.
    package static let ofNothing = Digest(of: [UInt8]().span)

    /// Its first 16 bytes as numbers: of digests and ids they are as good as drawn by chance.
    package var words: (UInt64, UInt64) { (a, b) }

    package func append(to bytes: inout [UInt8]) {
        for word in [a, b, c, d] { bytes.append(littleEndian: word.byteSwapped) }
    }

    package static func < (left: Digest, right: Digest) -> Bool {
        (left.a, left.b, left.c, left.d) < (right.a, right.b, right.c, right.d)
    }

    /// 64 lower-case hexadecimal digits.
    package var description: String { [a, b, c, d].map(Hexadecimal.text).joined() }

    /// Reads 64 hexadecimal digits; nil for anything else.
    package init?(_ text: String) {
        guard text.utf8.count == 64, let front = Hexadecimal.words(text.prefix(32)),
            let back = Hexadecimal.words(text.suffix(32))
        else { return nil }
        (a, b, c, d) = (front.high, front.low, back.high, back.low)
    }
}
