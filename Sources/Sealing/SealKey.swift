internal import Crypto
internal import FoundationEssentials
internal import Mesh

/// Seals the pieces of one object (AES-256-GCM, NIST SP 800-38D). The nonce is the piece's number in
/// the object, and every object has a key of its own: none can repeat.
package struct SealKey: Sendable {
    /// What a sealed piece has more bytes than a plain one.
    package static let tagByteCount = 16
    private static let nonceByteCount = 12

    private let key: SymmetricKey

    package init(_ secret: Secret) { key = secret.key }

    /// Appends the sealed piece to `bytes`. `words` are bound to it: it opens only with the same.
    package func seal(
        _ plain: Span<UInt8>, number: UInt32, binding words: [UInt8], onto bytes: inout [UInt8]
    ) {
        let box = unsafe plain.withUnsafeBytes { plain in
            unsafe try? AES.GCM.seal(
                plain, using: key, nonce: Self.nonce(number), authenticating: words)
        }
        guard let sealed = box?.combined else {
            return invariant(false, "a key of 32 bytes seals")
        }
        // Nobody needs to be told a nonce that is the piece's number.
        unsafe sealed.withUnsafeBytes { sealed in
            unsafe bytes.append(contentsOf: sealed.dropFirst(Self.nonceByteCount))
        }
    }

    /// Lends what was sealed under that number and with those words; nil, and nothing lent, for anything
    /// else.
    package func open<R>(
        _ sealed: Span<UInt8>, number: UInt32, binding words: [UInt8],
        _ body: (Span<UInt8>) throws -> R
    ) rethrows -> R? {
        guard sealed.count >= Self.tagByteCount else { return nil }
        let plain = unsafe sealed.withUnsafeBytes { sealed in
            let end = sealed.count - Self.tagByteCount
            let box = unsafe try? AES.GCM.SealedBox(
                nonce: Self.nonce(number),
                ciphertext: UnsafeRawBufferPointer(rebasing: sealed[..<end]),
                tag: UnsafeRawBufferPointer(rebasing: sealed[end...]))
            return box.flatMap { try? AES.GCM.open($0, using: key, authenticating: words) }
        }
        guard let plain else { return nil }
        return try unsafe plain.withUnsafeBytes { try unsafe body(Span(_bytes: $0.bytes)) }
    }

    /// What was sealed under that number and with those words; nil for anything else.
    package func open(
        _ sealed: Span<UInt8>, number: UInt32, binding words: [UInt8]
    ) -> [UInt8]? {
        open(sealed, number: number, binding: words) { plain in
            unsafe plain.withUnsafeBytes { unsafe Array($0) }
        }
    }

    private static func nonce(_ number: UInt32) throws -> AES.GCM.Nonce {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(nonceByteCount)
        bytes.append(littleEndian: number)
        bytes.append(littleEndian: UInt64(0))
        return try AES.GCM.Nonce(data: bytes)
    }
}
