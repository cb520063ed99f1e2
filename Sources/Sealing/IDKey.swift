internal import Crypto
internal import FoundationEssentials

/// Names bytes so that only who has the key can tell what they are (HMAC with SHA-256, RFC 2104).
package struct IDKey: Sendable, CustomStringConvertible, CustomReflectable {
    let secret: Secret
    private let keyed: HMAC<SHA256>

    /// What a dump shows would do to compute ids.
    package var description: String { "(id key)" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    package init(_ secret: Secret) {
        self.secret = secret
        keyed = HMAC<SHA256>(key: secret.key)
    }

    package func id(of plain: Span<UInt8>) -> Digest {
        var keyed = keyed
        unsafe plain.withUnsafeBytes { unsafe keyed.update(data: $0) }
        return unsafe keyed.finalize().withUnsafeBytes { unsafe Digest(Span(_bytes: $0.bytes)) }
    }
}
