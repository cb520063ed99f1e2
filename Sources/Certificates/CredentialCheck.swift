package import FoundationEssentials
package import Mesh
internal import SwiftASN1
internal import X509

/// Whether the files that a node's configuration names will do: what an agent asks of them when it
/// starts, and what its peers ask when it calls, told before either happens and all at once.
package struct CredentialCheck: Hashable, Sendable {
    package enum Fault: Error, Hashable, Sendable {
        /// It can't be opened or understood.
        case unusable(CertificateError)
        case empty(path: String)
        case expired(path: String, at: Date)
        case notYetValid(path: String, from: Date)
        case unnamed(path: String, PeerName.Refused)
        case notOurs(path: String, found: PeerName, expected: PeerName)
        case foreignKey(path: String, certificate: String)
        case unsigned(path: String, ca: String)
    }

    package let ca: String
    package let certificate: String
    package let key: String
    /// Whom the configuration says that this node is.
    package let own: PeerName

    package init(ca: String, certificate: String, key: String, own: PeerName) {
        self.ca = ca
        self.certificate = certificate
        self.key = key
        self.own = own
    }

    /// The files that are not there at all: certificates are often made after the configuration.
    package var absent: [String] { [ca, certificate, key].filter(CertificateFile.isAbsent) }

    package func faults(now: Date = Date()) async -> [Fault] {
        var faults: [Fault] = []
        let roots = take(&faults) { () throws(Fault) in try Self.certificates(at: ca) }
        let chain = take(&faults) { () throws(Fault) in try Self.certificates(at: certificate) }
        let secret = take(&faults) { () throws(Fault) in try Self.privateKey(at: key) }
        for root in roots ?? [] { faults += Self.ageFaults(of: root, at: ca, now) }
        guard let chain, let leaf = chain.first else { return faults }
        faults += Self.ageFaults(of: leaf, at: certificate, now) + nameFaults(of: leaf)
        if let secret, secret.publicKey != leaf.publicKey {
            faults.append(.foreignKey(path: key, certificate: certificate))
        }
        guard let roots, await !Self.isSigned(leaf, with: chain.dropFirst(), by: roots) else {
            return faults
        }
        return faults + [.unsigned(path: certificate, ca: ca)]
    }

    private func take<Value>(
        _ faults: inout [Fault], _ body: () throws(Fault) -> Value
    ) -> Value? {
        do { return try body() } catch {
            faults.append(error)
            return nil
        }
    }

    private func nameFaults(of leaf: Certificate) -> [Fault] {
        do {
            let found = try PeerName(parsing: leaf)
            return found == own ? [] : [.notOurs(path: certificate, found: found, expected: own)]
        } catch {
            return [.unnamed(path: certificate, error)]
        }
    }

    private static func ageFaults(
        of certificate: Certificate, at path: String, _ now: Date
    ) -> [Fault] {
        if now > certificate.notValidAfter {
            return [.expired(path: path, at: certificate.notValidAfter)]
        }
        return now < certificate.notValidBefore
            ? [.notYetValid(path: path, from: certificate.notValidBefore)] : []
    }

    /// Ages are told apart from this, by the file that they are of.
    private static func isSigned(
        _ leaf: Certificate, with intermediates: ArraySlice<Certificate>, by roots: [Certificate]
    ) async -> Bool {
        var verifier = Verifier(rootCertificates: CertificateStore(roots)) { Ageless() }
        let result = await verifier.validate(
            leaf: leaf, intermediates: CertificateStore(intermediates))
        if case .validCertificate = result { return true }
        return false
    }

    private static func certificates(at path: String) throws(Fault) -> [Certificate] {
        let found = try understood(path) { text in
            try PEMDocument.parseMultiple(pemString: text)
                .filter { $0.discriminator == Certificate.defaultPEMDiscriminator }
                .map { try Certificate(pemDocument: $0) }
        }
        guard !found.isEmpty else { throw .empty(path: path) }
        return found
    }

    /// Some tools write a curve's parameters before the key itself.
    private static func privateKey(at path: String) throws(Fault) -> Certificate.PrivateKey {
        let found = try understood(path) { text in
            try PEMDocument.parseMultiple(pemString: text)
                .first { $0.discriminator.hasSuffix("PRIVATE KEY") }
                .map { try Certificate.PrivateKey(pemDocument: $0) }
        }
        guard let found else { throw .empty(path: path) }
        return found
    }

    private static func understood<Value>(
        _ path: String, _ body: (String) throws -> Value
    ) throws(Fault) -> Value {
        let text: String
        do { text = try CertificateFile.read(path) } catch { throw .unusable(error) }
        do { return try body(text) } catch {
            throw .unusable(.unreadable(path: path, why: "\(error)"))
        }
    }
}

/// Signatures, and who may sign: no ages and no names.
private struct Ageless: VerifierPolicy {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.basicConstraints, .X509ExtensionID.keyUsage,
        .X509ExtensionID.nameConstraints, .X509ExtensionID.extendedKeyUsage,
        .X509ExtensionID.subjectAlternativeName,
    ]

    func chainMeetsPolicyRequirements(
        chain: UnverifiedCertificateChain
    ) async -> PolicyEvaluationResult {
        for signer in chain.dropFirst() {
            guard case .isCertificateAuthority? = try? signer.extensions.basicConstraints else {
                return .failsToMeetPolicy(reason: "a certificate that may not sign has signed")
            }
        }
        return .meetsPolicy
    }
}

extension CredentialCheck.Fault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unusable(let error):
            "\(error): see that it is there, is PEM, and may be read by the agent's user"
        case .empty(let path): "\(path) holds no certificate or key of the kind that is named here"
        case .expired(let path, let at):
            "\(path) has expired on \(Self.text(at)): renew it, a node's with `holdfast cert renew`"
        case .notYetValid(let path, let from):
            "\(path) is valid only from \(Self.text(from)): see to this machine's clock, or wait"
        case .unnamed(let path, let refused):
            "\(path): \(CertificateError.unnamed(refused)): issue one with `holdfast cert issue`"
        case .notOurs(let path, let found, let expected):
            "\(path) is of node \(found.node) in \(found.region), cluster \(found.cluster); the "
                + "configuration is of node \(expected.node) in \(expected.region), cluster "
                + "\(expected.cluster): correct tls.certificate or the configuration, or issue one "
                + "with `holdfast cert issue`"
        case .foreignKey(let path, let certificate):
            "\(path) is not the key of \(certificate): name the pair that was made together"
        case .unsigned(let path, let ca):
            "\(path) is not signed by \(ca): name the authority that issued it, or have it issued "
                + "by this one"
        }
    }

    private static func text(_ date: Date) -> String { date.formatted(.iso8601) }
}
