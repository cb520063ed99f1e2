internal import Crypto
internal import FoundationEssentials

/// Whoever has the public half can close a box that only the private half opens: a key for escrow needs
/// not be where backups are made (X25519, RFC 7748).
package struct BoxPublicKey: Hashable, Sendable {
    package static let byteCount = 32
    package let bytes: [UInt8]

    /// nil unless there are 32 bytes of which the highest bit is not set: RFC 7748 passes over that bit, and
    /// one key would have two spellings.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, bytes[Self.byteCount - 1] & 0x80 == 0 else {
            return nil
        }
        self.bytes = bytes
    }

    /// The secret by which a box to this key is sealed, and what its opener needs of it; nil where the key is
    /// one that no private half belongs to. `ephemeral` is drawn for this one box.
    package func close(ephemeral: Secret) -> (secret: Secret, opening: BoxPublicKey)? {
        let own = BoxPrivateKey(ephemeral)
        guard let opening = own.publicKey,
            let secret = own.shared(with: self, opening: opening, of: self)
        else { return nil }
        return (secret, opening)
    }
}

package struct BoxPrivateKey: Sendable {
    private let secret: Secret
    package init(_ secret: Secret) { self.secret = secret }

    package var publicKey: BoxPublicKey? {
        key.flatMap { BoxPublicKey(Array($0.publicKey.rawRepresentation)) }
    }

    /// The secret of a box that was closed to this key's public half; nil where none can have been.
    package func open(_ opening: BoxPublicKey) -> Secret? {
        publicKey.flatMap { shared(with: opening, opening: opening, of: $0) }
    }

    private var key: Curve25519.KeyAgreement.PrivateKey? {
        unsafe secret.key.withUnsafeBytes { bytes in
            unsafe try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: bytes)
        }
    }

    fileprivate func shared(
        with other: BoxPublicKey, opening: BoxPublicKey, of recipient: BoxPublicKey
    ) -> Secret? {
        guard let key,
            let other = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: other.bytes),
            let agreed = try? key.sharedSecretFromKeyAgreement(with: other)
        else { return nil }
        let bytes = unsafe agreed.withUnsafeBytes { unsafe Array($0) }
        // RFC 7748 §6.1: with a point of low order both agree on zeros, which everybody knows.
        guard bytes.reduce(0, |) != 0 else { return nil }
        return Secret(bytes)?.derived(
            salt: opening.bytes + recipient.bytes, for: Array("holdfast box 1".utf8))
    }
}
