internal import Crypto
internal import FoundationEssentials

/// Signs words so that whoever has the public half can tell who said them (Ed25519, RFC 8032).
package struct SigningKey: Sendable {
    package static let signatureByteCount = 64
    private let secret: Secret
    package init(_ secret: Secret) { self.secret = secret }

    private var key: Curve25519.Signing.PrivateKey? {
        unsafe secret.key.withUnsafeBytes { bytes in
            unsafe try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes)
        }
    }

    /// Its public half, as 32 bytes that are spelled like a digest.
    package var publicKey: Digest? {
        key.map { Digest(Array($0.publicKey.rawRepresentation).span) }
    }

    package func signature(of words: [UInt8]) -> [UInt8]? {
        key.flatMap { try? Array($0.signature(for: words)) }
    }

    package static func isSigned(
        _ words: [UInt8], _ signature: [UInt8], by publicKey: Digest
    ) -> Bool {
        var bytes: [UInt8] = []
        publicKey.append(to: &bytes)
        let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes)
        return key?.isValidSignature(signature, for: words) ?? false
    }
}
