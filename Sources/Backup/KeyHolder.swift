package import Repository
package import Sealing

/// What somebody has that opens a ring. Nothing that prints or dumps it gets at it.
package enum KeyHolder: Sendable, CustomStringConvertible, CustomReflectable {
    /// That of a key file.
    case file(Secret)
    case passphrase([UInt8])

    package var kind: Wrapping.Kind {
        switch self {
        case .file: .keyFile
        case .passphrase: .passphrase
        }
    }

    package var description: String { "(\(kind))" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// Whether who has this one has the other.
    func isSame(as other: KeyHolder) -> Bool {
        switch (self, other) {
        case (.file(let own), .file(let other)): own.isSame(as: other)
        case (.passphrase(let own), .passphrase(let other)): own == other
        default: false
        }
    }

    func wrap(_ key: Secret, random: Salt) throws(UnwrapRefused) -> [UInt8] {
        switch self {
        case .file(let own): SecretWrap.wrap(key, by: own, random: random)
        case .passphrase(let words): try PassphraseWrap.wrap(key, by: words, random: random)
        }
    }

    /// What was wrapped; `wrongKey` for a wrapping of another kind as well.
    func unwrap(_ wrapping: Wrapping) -> Result<Secret, UnwrapRefused> {
        guard wrapping.kind == kind else { return .failure(.wrongKey) }
        return Result { () throws(UnwrapRefused) in
            switch self {
            case .file(let own): try SecretWrap.unwrap(wrapping.bytes, by: own)
            case .passphrase(let words): try PassphraseWrap.unwrap(wrapping.bytes, by: words)
            }
        }
    }
}

/// Who is to open a ring, and what operators call that key.
package struct NamedHolder: Sendable {
    package let name: String
    package let holder: KeyHolder
    package init(_ name: String, _ holder: KeyHolder) { (self.name, self.holder) = (name, holder) }
}

extension Secret {
    /// 256 bits by chance.
    package static func drawn(by chance: inout some RandomNumberGenerator) -> Secret {
        guard let secret = Secret(bytes(by: &chance)) else { preconditionFailure("32 bytes") }
        return secret
    }

    fileprivate static func bytes(by chance: inout some RandomNumberGenerator) -> [UInt8] {
        (0..<byteCount).map { _ in UInt8.random(in: .min ... .max, using: &chance) }
    }
}

extension Salt {
    /// 256 bits by this machine's chance.
    package static func drawn() -> Salt {
        var chance = SystemRandomNumberGenerator()
        return drawn(by: &chance)
    }

    /// 256 bits by chance.
    package static func drawn(by chance: inout some RandomNumberGenerator) -> Salt {
        guard let salt = Salt(Secret.bytes(by: &chance)) else { preconditionFailure("32 bytes") }
        return salt
    }
}
