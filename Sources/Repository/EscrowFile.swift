internal import Record
package import Sealing

/// A key pair for escrow as two files: whoever has the public one closes boxes, which only the private one opens. It may
/// be made long before any repository, so it says of none (docs/formats/repository.md, "Key files").
package enum EscrowFile {
    static let version = "1"
    static let privateWord = "holdfast-escrow"
    static let publicWord = "holdfast-escrow-public"

    /// The private file, with the secret; nil for one that has no public half.
    package static func text(of secret: Secret) -> [UInt8]? {
        guard let key = BoxPrivateKey(secret).publicKey else { return nil }
        let digits = secret.withBytes { Digest($0).description }
        return whole(
            "# An escrow key to Holdfast backups. Whoever has it and the repository can read them "
                + "all.\n",
            "\(privateWord) \(version)\npublic \(spelled(key))\nsecret \(digits)\n")
    }

    /// The public file, which nobody has to hide.
    package static func text(of key: BoxPublicKey) -> [UInt8] {
        whole(
            "# The public half of an escrow key to Holdfast backups. It closes, and opens nothing.\n",
            "\(publicWord) \(version)\npublic \(spelled(key))\n")
    }

    package static func privateKey(parsing bytes: [UInt8]) throws(EscrowFileRefused)
        -> BoxPrivateKey
    {
        let lines = try lines(of: bytes, privateWord)
        guard lines.count == 4, let secret = value(lines[2], "secret").flatMap({ Secret($0) }),
            let whole = text(of: secret), KeyFile.lines(whole) == lines
        else { throw .damaged }
        return BoxPrivateKey(secret)
    }

    package static func publicKey(parsing bytes: [UInt8]) throws(EscrowFileRefused) -> BoxPublicKey
    {
        let lines = try lines(of: bytes, publicWord)
        guard lines.count == 3, let key = value(lines[1], "public").flatMap({ BoxPublicKey($0) }),
            KeyFile.lines(text(of: key)) == lines
        else { throw .damaged }
        return key
    }

    /// Whether it is meant to be such a private file, damaged or not.
    package static func isPrivate(_ bytes: [UInt8]) -> Bool {
        KeyFile.lines(bytes).first?.first?.elementsEqual(privateWord.utf8) ?? false
    }

    private static func spelled(_ key: BoxPublicKey) -> String {
        Digest(key.bytes.span).description
    }

    private static func whole(_ heading: String, _ checked: String) -> [UInt8] {
        let sum = Checksum.crc32c(Array(checked.utf8))
        return Array("\(heading)\(checked)check \(KeyFile.digits(ofCheck: sum))\n".utf8)
    }

    private static func lines(
        of bytes: [UInt8], _ word: String
    ) throws(EscrowFileRefused) -> [[ArraySlice<UInt8>]] {
        guard bytes.count <= KeyFile.byteCountMax else { throw .noEscrowFile(word) }
        let lines = KeyFile.lines(bytes)
        guard let first = lines.first, let found = first.first, found.elementsEqual(word.utf8)
        else { throw .noEscrowFile(word) }
        guard first.count == 2 else { throw .damaged }
        guard first[1].elementsEqual(version.utf8) else { throw .unknownVersion }
        return lines
    }

    private static func value(_ line: [ArraySlice<UInt8>], _ word: String) -> [UInt8]? {
        guard line.count == 2, line[0].elementsEqual(word.utf8),
            let digest = String(validating: line[1], as: UTF8.self).flatMap({ Digest($0) })
        else { return nil }
        var bytes: [UInt8] = []
        digest.append(to: &bytes)
        return bytes
    }
}

/// Why a file gives no escrow key. Nothing here holds a byte of what stands in it.
package enum EscrowFileRefused: Error, Hashable, Sendable, CustomStringConvertible {
    /// It may be any other file; this is what it had to begin with.
    case noEscrowFile(String)
    case unknownVersion
    case damaged

    package var description: String {
        switch self {
        case .noEscrowFile(let word): "it is no such key file: it does not begin with `\(word)`"
        case .unknownVersion:
            "its version is not known here; version \(EscrowFile.version) is"
        case .damaged: "it is damaged: its lines are not those that its check was made of"
        }
    }
}
