internal import NIOSSL

/// Where the TLS files of the TCP listener lie; a node uses those of its own certificate.
package struct NBDCertificates: Hashable, Sendable {
    package let ca: String
    package let certificate: String
    package let key: String
    package init(ca: String, certificate: String, key: String) {
        self.ca = ca
        self.certificate = certificate
        self.key = key
    }

    /// TLS 1.3, and no client without a certificate that one of the authorities signed.
    func context() throws(NBDServerRefused) -> NIOSSLContext {
        let roots = try Self.reading(ca) { try NIOSSLCertificate.fromPEMFile(ca) }
        let chain = try Self.reading(certificate) {
            try NIOSSLCertificate.fromPEMFile(certificate)
        }
        guard !roots.isEmpty else { throw .unreadable(path: ca, why: "no certificate") }
        guard !chain.isEmpty else { throw .unreadable(path: certificate, why: "no certificate") }
        let privateKey = try Self.reading(key) { try NIOSSLPrivateKey(file: key, format: .pem) }
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map(NIOSSLCertificateSource.certificate),
            privateKey: .privateKey(privateKey))
        tls.minimumTLSVersion = .tlsv13
        tls.maximumTLSVersion = .tlsv13
        tls.trustRoots = .certificates(roots)
        // A client is known by its authority; it has no host name to check.
        tls.certificateVerification = .noHostnameVerification
        return try Self.reading(key) { try NIOSSLContext(configuration: tls) }
    }

    private static func reading<T>(
        _ path: String, _ body: () throws -> T
    ) throws(NBDServerRefused) -> T {
        do { return try body() } catch { throw .unreadable(path: path, why: "\(error)") }
    }
}

/// Why the server can't start.
package enum NBDServerRefused: Error, Hashable, Sendable, CustomStringConvertible {
    case unreadable(path: String, why: String)
    case directory(path: String, errno: Int32)
    case listen(address: String, why: String)

    package var description: String {
        switch self {
        case .unreadable(let path, let why): "cannot use \(path) for TLS of NBD: \(why)"
        case .directory(let path, let errno):
            "cannot make the directory \(path) for the volumes' sockets: errno \(errno)"
        case .listen(let address, let why):
            "cannot listen for NBD on \(address): \(why); choose another address or end its holder"
        }
    }
}
