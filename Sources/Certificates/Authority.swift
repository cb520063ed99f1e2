internal import Crypto
package import FoundationEssentials
internal import Glibc
package import Mesh
internal import SwiftASN1
internal import X509

/// A small certificate authority in a directory, for first use: `ca.pem` and `ca.key`, and per node
/// `node-N.pem` and `node-N.key`. A mesh that has an authority of its own needs none of it, only the
/// same URI name in its certificates.
package struct Authority: Sendable {
    package static let authorityDays = 3653
    package static let nodeDaysDefault = 397
    package static let nodeDaysMax = 3653
    /// Clocks of two nodes may differ: a certificate is valid a little before it was made.
    static let clockSlackSeconds: Double = 300

    package struct Issued: Hashable, Sendable {
        package let certificatePath: String
        package let keyPath: String
        package let name: PeerName
    }

    package let directory: String
    package let cluster: ClusterID
    private let certificate: Certificate
    private let key: Certificate.PrivateKey

    /// Makes a new authority. `replacing` overwrites an old one, after which no certificate of the
    /// old one counts.
    package static func create(
        directory: String, cluster: ClusterID, replacing: Bool = false, now: Date = Date()
    ) throws(CertificateError) -> Authority {
        try CertificateFile.makeDirectory(directory)
        for path in [directory + "/ca.key", directory + "/ca.pem"]
        where !replacing && CertificateFile.exists(path) {
            throw .exists(path: path)
        }
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let certificate = try made {
            let name = try DistinguishedName {
                OrganizationName("Holdfast")
                CommonName("cluster \(cluster)")
            }
            return try Certificate(
                version: .v3, serialNumber: .init(), publicKey: key.publicKey,
                notValidBefore: now - clockSlackSeconds, notValidAfter: end(of: authorityDays, now),
                issuer: name, subject: name,
                extensions: try Certificate.Extensions {
                    // Path length 0: what this authority signs can sign nothing further.
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: key.publicKey)
                    // No peer's name: it lacks region and node, so it proves nobody.
                    SubjectAlternativeNames([
                        .uniformResourceIdentifier("\(PeerName.scheme)\(cluster)")
                    ])
                }, issuerPrivateKey: key)
        }
        try write(certificate, key, at: directory + "/ca", replacing: replacing)
        return Authority(
            directory: directory, cluster: cluster, certificate: certificate, key: key)
    }

    private init(
        directory: String, cluster: ClusterID, certificate: Certificate,
        key: Certificate.PrivateKey
    ) {
        self.directory = directory
        self.cluster = cluster
        self.certificate = certificate
        self.key = key
    }

    /// Opens the authority that `create` left in `directory`.
    package init(opening directory: String) throws(CertificateError) {
        let path = directory + "/ca.pem"
        let certificate = try Self.certificate(at: path)
        let names = try Self.understood(path) {
            Array(try certificate.extensions.subjectAlternativeNames ?? .init())
        }
        guard case .uniformResourceIdentifier(let uri)? = names.first,
            uri.hasPrefix(PeerName.scheme),
            let cluster = ClusterID(String(uri.dropFirst(PeerName.scheme.count)))
        else { throw .unreadable(path: path, why: "it names no cluster") }
        let keyPath = directory + "/ca.key"
        let pem = try CertificateFile.read(keyPath)
        let key = try Self.understood(keyPath) { try Certificate.PrivateKey(pemEncoded: pem) }
        guard key.publicKey == certificate.publicKey else {
            throw .unreadable(path: keyPath, why: "it is not the key of \(path)")
        }
        self.init(directory: directory, cluster: cluster, certificate: certificate, key: key)
    }

    /// Makes a node's key and certificate. `addresses` are IP addresses or host names.
    package func issue(
        node: NodeID, region: RegionName, addresses: [String], days: Int = nodeDaysDefault,
        replacing: Bool = false, now: Date = Date()
    ) throws(CertificateError) -> Issued {
        let name = PeerName(cluster: cluster, region: region, node: node)
        var names = [GeneralName.uniformResourceIdentifier(name.description)]
        for address in addresses { names.append(try GeneralName(address: address)) }
        return try issue(name, names, days: days, replacing: replacing, now: now)
    }

    /// A new key and certificate under the names of the old certificate. The old files are replaced
    /// one after the other, key first: whoever loads between the two finds a pair that doesn't match,
    /// refuses it, and keeps what it has.
    package func renew(
        node: NodeID, days: Int = nodeDaysDefault, now: Date = Date()
    ) throws(CertificateError) -> Issued {
        let path = Self.stem(directory, node) + ".pem"
        let old = try Self.certificate(at: path)
        let name: PeerName
        do { name = try PeerName(parsing: old) } catch { throw .unnamed(error) }
        guard name.cluster == cluster, name.node == node else {
            throw .unreadable(path: path, why: "it names \(name)")
        }
        let names = try Self.understood(path) {
            Array(try old.extensions.subjectAlternativeNames ?? .init())
        }
        return try issue(name, names, days: days, replacing: true, now: now)
    }

    private func issue(
        _ name: PeerName, _ names: [GeneralName], days: Int, replacing: Bool, now: Date
    ) throws(CertificateError) -> Issued {
        guard (1...Self.nodeDaysMax).contains(days) else { throw .daysOutOfRange(days) }
        let stem = Self.stem(directory, name.node)
        for path in [stem + ".key", stem + ".pem"]
        where !replacing && CertificateFile.exists(path) {
            throw .exists(path: path)
        }
        let nodeKey = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let leaf = try Self.made {
            let subject = try DistinguishedName {
                OrganizationName("Holdfast")
                CommonName("node \(name.node)")
            }
            return try Certificate(
                version: .v3, serialNumber: .init(), publicKey: nodeKey.publicKey,
                notValidBefore: now - Self.clockSlackSeconds,
                notValidAfter: Self.end(of: days, now),
                issuer: certificate.subject, subject: subject,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    // Both: every node dials some peers and is dialed by others.
                    try ExtendedKeyUsage([.clientAuth, .serverAuth])
                    SubjectAlternativeNames(names)
                    SubjectKeyIdentifier(hash: nodeKey.publicKey)
                    AuthorityKeyIdentifier(
                        keyIdentifier: try certificate.extensions.subjectKeyIdentifier?
                            .keyIdentifier)
                }, issuerPrivateKey: key)
        }
        try Self.write(leaf, nodeKey, at: stem, replacing: replacing)
        return Issued(certificatePath: stem + ".pem", keyPath: stem + ".key", name: name)
    }

    private static func stem(_ directory: String, _ node: NodeID) -> String {
        "\(directory)/node-\(node)"
    }

    private static func end(of days: Int, _ now: Date) -> Date { now + Double(days) * 86_400 }

    private static func write(
        _ certificate: Certificate, _ key: Certificate.PrivateKey, at stem: String, replacing: Bool
    ) throws(CertificateError) {
        let (pem, keyPEM) = try made {
            (try certificate.serializeAsPEM().pemString, try key.serializeAsPEM().pemString)
        }
        try CertificateFile.write(
            keyPEM + "\n", to: stem + ".key", mode: 0o600, replacing: replacing)
        try CertificateFile.write(pem + "\n", to: stem + ".pem", mode: 0o644, replacing: replacing)
    }

    private static func certificate(at path: String) throws(CertificateError) -> Certificate {
        let pem = try CertificateFile.read(path)
        return try understood(path) { try Certificate(pemEncoded: pem) }
    }

    private static func made<T>(_ body: () throws -> T) throws(CertificateError) -> T {
        do { return try body() } catch { throw .notMade(why: "\(error)") }
    }

    private static func understood<T>(
        _ path: String, _ body: () throws -> T
    ) throws(CertificateError) -> T {
        do { return try body() } catch { throw .unreadable(path: path, why: "\(error)") }
    }
}

extension GeneralName {
    /// An IP address by its bytes, anything else that could be a host as a DNS name.
    init(address: String) throws(CertificateError) {
        var v4 = in_addr()
        var v6 = in6_addr()
        if unsafe inet_pton(AF_INET, address, &v4) == 1 {
            let bytes = unsafe withUnsafeBytes(of: &v4) { unsafe Array($0) }
            self = .ipAddress(ASN1OctetString(contentBytes: bytes[...]))
        } else if unsafe inet_pton(AF_INET6, address, &v6) == 1 {
            let bytes = unsafe withUnsafeBytes(of: &v6) { unsafe Array($0) }
            self = .ipAddress(ASN1OctetString(contentBytes: bytes[...]))
        } else {
            let labels = address.split(separator: ".", omittingEmptySubsequences: false)
            let lawful = labels.allSatisfy { label in
                (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                    && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
            }
            guard lawful, address.utf8.count <= 253 else { throw .addressMisspelled(address) }
            self = .dnsName(address)
        }
    }
}
