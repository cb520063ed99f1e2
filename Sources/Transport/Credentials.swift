internal import Glibc
package import Mesh
internal import NIOCore
internal import NIOSSL

/// Where a node's credentials lie. `ca` may hold several authorities, for the time in which one
/// replaces another.
package struct CredentialPaths: Hashable, Sendable {
    package let ca: String
    package let certificate: String
    package let key: String
    package init(ca: String, certificate: String, key: String) {
        self.ca = ca
        self.certificate = certificate
        self.key = key
    }
}

package enum CredentialsRefused: Error, Hashable, Sendable, CustomStringConvertible {
    case unreadable(path: String, why: String)
    case unnamed(PeerName.Refused)
    /// The certificate is another node's.
    case notOurs(found: PeerName, expected: PeerName)
    case expired(path: String)

    package var description: String {
        switch self {
        case .unreadable(let path, let why):
            "\(path) can't be used (\(why)): see that it is there, is PEM, and that key and "
                + "certificate belong together"
        case .unnamed(let refused):
            "the certificate names no node (\(refused)): issue one with `holdfast cert issue`"
        case .notOurs(let found, let expected):
            "the certificate is of node \(found.node) in \(found.region), cluster \(found.cluster); "
                + "this is node \(expected.node) in \(expected.region), cluster "
                + "\(expected.cluster): correct tls.certificate or the cluster file, or issue one "
                + "with `holdfast cert issue`"
        case .expired(let path):
            "\(path) has expired: renew it with `holdfast cert renew`"
        }
    }
}

/// Until when a certificate in use is valid.
package struct CertificateEnd: Hashable, Sendable {
    package let path: String
    /// One of those that vouch for the peers, not this node's own.
    package let isAuthority: Bool
    /// Unix seconds.
    package let at: UInt64
}

/// Both ends' TLS, made from one reading of the files.
struct Credentials: Sendable {
    let client: NIOSSLContext
    let server: NIOSSLContext
    /// The own one first, then the authorities'.
    let ends: [CertificateEnd]

    init(_ paths: CredentialPaths, expecting own: PeerName) throws(CredentialsRefused) {
        let roots = try Self.reading(paths.ca) { try NIOSSLCertificate.fromPEMFile(paths.ca) }
        let chain = try Self.reading(paths.certificate) {
            try NIOSSLCertificate.fromPEMFile(paths.certificate)
        }
        guard !roots.isEmpty else { throw .unreadable(path: paths.ca, why: "no certificate") }
        guard let leaf = chain.first else {
            throw .unreadable(path: paths.certificate, why: "no certificate")
        }
        let found: PeerName
        do { found = try leaf.peerName } catch { throw .unnamed(error) }
        guard found == own else { throw .notOurs(found: found, expected: own) }
        guard !leaf.isExpired else { throw .expired(path: paths.certificate) }
        let key = try Self.reading(paths.key) {
            try NIOSSLPrivateKey(file: paths.key, format: .pem)
        }
        ends =
            [CertificateEnd(path: paths.certificate, isAuthority: false, at: leaf.endsAt)]
            + roots.map { CertificateEnd(path: paths.ca, isAuthority: true, at: $0.endsAt) }
        let sources = chain.map(NIOSSLCertificateSource.certificate)
        var server = TLSConfiguration.makeServerConfiguration(
            certificateChain: sources, privateKey: .privateKey(key))
        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateChain = sources
        client.privateKey = .privateKey(key)
        Self.harden(&server, roots)
        Self.harden(&client, roots)
        // NIOSSLContext checks that key and certificate belong together.
        (self.client, self.server) = try Self.reading(paths.key) {
            (try NIOSSLContext(configuration: client), try NIOSSLContext(configuration: server))
        }
    }

    private static func harden(_ tls: inout TLSConfiguration, _ roots: [NIOSSLCertificate]) {
        tls.minimumTLSVersion = .tlsv13
        tls.maximumTLSVersion = .tlsv13
        tls.trustRoots = .certificates(roots)
        // A peer that reads nothing never takes TLS's farewell either.
        tls.shutdownTimeout = TimeAmount(TransportLimits.farewellDeadline)
        // Peers are known by their URI name, checked against the roster: host names say less.
        tls.certificateVerification = .noHostnameVerification
    }

    private static func reading<T>(
        _ path: String, _ body: () throws -> T
    ) throws(CredentialsRefused) -> T {
        do { return try body() } catch { throw .unreadable(path: path, why: "\(error)") }
    }
}

extension NIOSSLCertificate {
    var peerName: PeerName {
        get throws(PeerName.Refused) {
            try PeerName(
                amongURIs: _subjectAlternativeNames().filter { $0.nameType == .uri }
                    .map { String(decoding: $0.contents, as: UTF8.self) })
        }
    }

    var isExpired: Bool { notValidAfter < time(nil) }
    fileprivate var endsAt: UInt64 { UInt64(max(0, notValidAfter)) }
}
