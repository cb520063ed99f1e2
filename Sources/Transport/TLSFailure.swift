internal import NIOSSL

/// BoringSSL tells why a handshake failed only in words; this finds the cause in them, for people
/// and counters alone. No decision rests on it: the handshake has failed already.
enum TLSFailure {
    static func explain(_ error: any Error, _ shown: NIOSSLCertificate?) -> Refusal {
        let words = "\(error)"
        if words.contains("CERTIFICATE_VERIFY_FAILED") {
            let claim = (try? shown?.peerName).map { "claims to be \($0)" } ?? "claims no name"
            return shown?.isExpired == true
                ? Refusal(.expiredCertificate, "certificate has expired; it \(claim)")
                : Refusal(.untrustedCertificate, "no authority of ours signed it; it \(claim)")
        }
        if words.contains("PEER_DID_NOT_RETURN_A_CERTIFICATE") {
            return Refusal(.noCertificate, "no certificate was shown")
        }
        return Refusal(.handshakeFailed, words)
    }
}
