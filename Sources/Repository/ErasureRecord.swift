package import Mesh
package import Sealing

/// Who destroyed which key rings of a tenant, and when: a text that whoever has the tenant's erasure key can check after all
/// other keys are gone (docs/formats/repository.md, "Erasures").
package struct ErasureRecord: Hashable, Sendable {
    package static let byteCountMax = 16 << 20
    package static let wordsByteCountMax = 255
    static let version = "holdfast-erasure 1"

    package let repository: RepositoryID
    package let tenant: TenantID
    package let time: WallTime
    package let by: String
    package let reason: String
    /// By their numbers, in order.
    package let rings: [Ring]

    package struct Ring: Hashable, Sendable {
        package let number: UInt64
        package let digest: Digest
        package init(number: UInt64, digest: Digest) {
            (self.number, self.digest) = (number, digest)
        }
    }

    /// nil for words that are none, or more than one short line.
    package init?(
        repository: RepositoryID, tenant: TenantID, time: WallTime, by: String, reason: String,
        rings: [Ring]
    ) {
        guard Self.isLine(by), Self.isLine(reason), !rings.isEmpty else { return nil }
        (self.repository, self.tenant, self.time) = (repository, tenant, time)
        (self.by, self.reason, self.rings) = (by, reason, rings)
    }

    private static func isLine(_ words: String) -> Bool {
        (1...wordsByteCountMax).contains(words.utf8.count)
            && words.unicodeScalars.allSatisfy {
                $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value)
            }
    }

    /// All that is signed.
    private var words: String {
        let rings = rings.map { "ring \($0.number) \($0.digest)\n" }.joined()
        return
            "\(Self.version)\nrepository \(repository)\ntenant \(tenant)\ntime \(time.rawValue)\n"
            + "by \(by)\nreason \(reason)\n\(rings)"
    }

    /// The whole text; nil where the key does not sign.
    package func text(signedBy key: SigningKey) -> [UInt8]? {
        let words = Array(words.utf8)
        guard let publicKey = key.publicKey, let signature = key.signature(of: words) else {
            return nil
        }
        let (front, back) = (signature.prefix(32), signature.suffix(32))
        let digits = [front, back].map { "\(Digest(Array($0).span))" }.joined()
        return words + Array("key \(publicKey)\nsignature \(digits)\n".utf8)
    }

    /// Reads a text that was signed by the private half of `key`.
    package init(parsing bytes: [UInt8], signedBy key: Digest) throws(ErasureRefused) {
        guard bytes.count <= Self.byteCountMax, let text = String(validating: bytes, as: UTF8.self)
        else { throw .noRecord }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        guard lines.popLast() == "", lines.first == Self.version[...] else { throw .noRecord }
        guard let signature = Self.value("signature", lines.popLast()).flatMap(Self.bytes),
            let named = Self.value("key", lines.popLast()).flatMap({ Digest(String($0)) })
        else { throw .damaged }
        guard named == key else { throw .anotherKey(named) }
        let signed = Array((lines.joined(separator: "\n") + "\n").utf8)
        guard SigningKey.isSigned(signed, signature, by: key) else { throw .damaged }
        guard let record = Self.read(lines.dropFirst()) else { throw .damaged }
        self = record
    }

    private static func read(_ lines: ArraySlice<Substring>) -> ErasureRecord? {
        var lines = lines
        guard
            let repository = value("repository", lines.popFirst()).flatMap({ Hexadecimal.words($0) }
            ),
            let tenant = value("tenant", lines.popFirst()).flatMap({ Hexadecimal.words($0) }),
            let time = value("time", lines.popFirst()).flatMap({ UInt64($0) }),
            let by = value("by", lines.popFirst()), let reason = value("reason", lines.popFirst())
        else { return nil }
        let rings = lines.compactMap { line -> Ring? in
            let words = line.split(separator: " ")
            guard words.count == 3, words[0] == "ring", let number = UInt64(words[1]),
                let digest = Digest(String(words[2]))
            else { return nil }
            return Ring(number: number, digest: digest)
        }
        guard rings.count == lines.count else { return nil }
        return ErasureRecord(
            repository: RepositoryID(high: repository.high, low: repository.low),
            tenant: TenantID(high: tenant.high, low: tenant.low), time: WallTime(time),
            by: String(by), reason: String(reason), rings: rings)
    }

    private static func value(_ word: String, _ line: Substring?) -> Substring? {
        guard let line, line.hasPrefix("\(word) ") else { return nil }
        return line.dropFirst(word.count + 1)
    }

    private static func bytes(_ digits: Substring) -> [UInt8]? {
        guard digits.utf8.count == 2 * SigningKey.signatureByteCount,
            let front = Digest(String(digits.prefix(64))),
            let back = Digest(String(digits.suffix(64)))
        else { return nil }
        var bytes: [UInt8] = []
        front.append(to: &bytes)
        back.append(to: &bytes)
        return bytes
    }
}

/// Why a text is no record of an erasure.
package enum ErasureRefused: Error, Hashable, Sendable, CustomStringConvertible {
    case noRecord
    /// It was changed since it was signed.
    case damaged
    case anotherKey(Digest)

    package var description: String {
        switch self {
        case .noRecord: "it is no record of an erasure"
        case .damaged: "it is not as it was signed"
        case .anotherKey(let key): "it is signed by \(key), which is another key"
        }
    }
}
