package import Mesh
package import X509

extension PeerName {
    /// Reads the name out of a certificate; refuses one that carries none, several or a misspelled.
    package init(parsing certificate: Certificate) throws(Refused) {
        var uris: [String] = []
        do {
            for name in try certificate.extensions.subjectAlternativeNames ?? .init() {
                if case .uniformResourceIdentifier(let uri) = name { uris.append(uri) }
            }
        } catch {
            throw .misspelled("subjectAltName")
        }
        try self.init(amongURIs: uris)
    }
}
