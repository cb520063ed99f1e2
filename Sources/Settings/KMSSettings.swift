internal import Mesh
internal import Yams

/// A key in AWS's Key Management Service, or in one that speaks like it, and how it is reached.
package struct KMSSettings: Hashable, Sendable {
    static let keyBytesMax = 2_048

    /// Its id, its ARN, or an alias of it.
    package let keyID: String
    package let region: String
    package let endpoint: ServiceAddress
    /// A file's path; what is in it is never part of the settings.
    package let credentials: String
    /// A file of the authorities that are trusted, instead of this machine's.
    package let ca: String?

    /// nil where something was reported.
    init?(_ section: inout Section, beside file: String) {
        guard let placed = section.node("kms") else { return nil }
        var kms = Section(placed.value, file: section.file, path: placed.key)
        let path = Section.path(beside: file)
        let key = kms.required(
            "keyId", expected: "a key's id, its ARN, or alias/NAME", parse: Self.key)
        let region = kms.required(
            "region", expected: "a region, such as eu-central-1", parse: S3Settings.region)
        let endpoint = kms.optional(
            "endpoint", expected: "https://host or https://host:port",
            parse: ServiceAddress.init(_:))
        if let endpoint, !endpoint.value.isEncrypted, !endpoint.value.isLoopback {
            kms.report(
                endpoint.key, line: endpoint.line,
                "\(endpoint.value) is not encrypted: who listens would learn the key; give https://"
            )
        }
        let credentials = kms.required(
            "credentials",
            expected: "a file's path, of mode 0600, with the access key and its secret", parse: path
        )
        let ca = kms.optional("ca", expected: "a file's path", parse: path)
        let faults = kms.finish()
        section.adopt(faults)
        guard faults.isEmpty, let key, let region, let credentials else { return nil }
        (keyID, self.region, self.credentials) = (key.value, region.value, credentials.value)
        self.endpoint = endpoint?.value ?? .amazon("kms", region.value)
        self.ca = ca?.value
    }

    private static func key(_ text: String) -> String? {
        let isLawful = text.utf8.allSatisfy { byte in
            (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte)
                || (0x30...0x39).contains(byte) || [0x2d, 0x2f, 0x3a, 0x5f].contains(byte)
        }
        return (1...keyBytesMax).contains(text.utf8.count) && isLawful ? text : nil
    }
}
