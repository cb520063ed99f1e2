internal import Crypto
internal import FoundationEssentials

/// 32 bytes that nobody else may learn: nothing that prints, dumps or compares it in a variable time
/// gets at them.
package struct Secret: Sendable, CustomStringConvertible, CustomReflectable {
    package static let byteCount = 32

    let key: SymmetricKey

    /// nil unless there are 32 bytes.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        key = SymmetricKey(data: bytes)
    }

    private init(key: SymmetricKey) { self.key = key }

    /// Another secret, which tells nothing of this one (HKDF with SHA-256, RFC 5869).
    package func derived(salt: [UInt8], for purpose: [UInt8]) -> Secret {
        Secret(
            key: HKDF<SHA256>.deriveKey(
                inputKeyMaterial: key, salt: salt, info: purpose,
                outputByteCount: Self.byteCount))
    }

    /// The bytes themselves, for whoever wraps them for another place.
    package func withBytes<R>(_ body: (Span<UInt8>) throws -> R) rethrows -> R {
        try unsafe key.withUnsafeBytes { try unsafe body(Span(_bytes: $0.bytes)) }
    }

    /// Compared in a time that tells nothing of where they differ.
    package func isSame(as other: Secret) -> Bool { key == other.key }

    package var description: String { "(secret)" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
