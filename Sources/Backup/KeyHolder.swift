package import Repository
package import Sealing

/// What somebody has that opens a ring, or that one is wrapped for. Nothing that prints or dumps it gets at it.
package enum KeyHolder: Sendable, CustomStringConvertible, CustomReflectable {
    /// That of a key file.
    case file(Secret)
    case passphrase([UInt8])
    case box(BoxPrivateKey)
    /// The public half of one: closes, and opens nothing.
    case recipient(BoxPublicKey)
    case service(any KeyService)

    package var kind: Wrapping.Kind {
        switch self {
        case .file: .keyFile
        case .passphrase: .passphrase
        case .box, .recipient: .box
        case .service(let service): service.kind
        }
    }

    package var description: String { "(\(kind))" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    var opens: Bool {
        if case .recipient = self { false } else { true }
    }

    private var recipient: BoxPublicKey? {
        switch self {
        case .box(let own): own.publicKey
        case .recipient(let key): key
        default: nil
        }
    }

    /// Whether who has this one has the other.
    func isSame(as other: KeyHolder) -> Bool {
        switch (self, other) {
        case (.file(let own), .file(let other)): own.isSame(as: other)
        case (.passphrase(let own), .passphrase(let other)): own == other
        case (.service(let own), .service(let other)):
            own.kind == other.kind && own.identity == other.identity
        default: recipient.map { $0 == other.recipient } ?? false
        }
    }

    func wrap(
        _ key: Secret, for owner: RingOwner, using chance: inout some RandomNumberGenerator
    ) throws(UnwrapRefused) -> [UInt8] {
        let random = Salt.drawn(by: &chance)
        switch self {
        case .file(let own): return SecretWrap.wrap(key, by: own, random: random)
        case .passphrase(let words):
            return try PassphraseWrap.wrap(key, by: words, random: random)
        case .box, .recipient:
            guard let recipient,
                let box = BoxWrap.wrap(
                    key, to: recipient, ephemeral: .drawn(by: &chance), random: random)
            else { throw .noPrivateHalf }
            return box
        case .service(let service):
            return try ServiceWrap.wrap(
                key, by: service, for: owner, own: .drawn(by: &chance), random: random)
        }
    }

    /// What was wrapped; `wrongKey` for a wrapping of another kind as well.
    func unwrap(_ wrapping: Wrapping, of owner: RingOwner) -> Result<Secret, UnwrapRefused> {
        guard wrapping.kind == kind else { return .failure(.wrongKey) }
        return Result { () throws(UnwrapRefused) in
            switch self {
            case .file(let own): try SecretWrap.unwrap(wrapping.bytes, by: own)
            case .passphrase(let words): try PassphraseWrap.unwrap(wrapping.bytes, by: words)
            case .box(let own): try BoxWrap.unwrap(wrapping.bytes, by: own)
            case .recipient: throw .onlyCloses
            case .service(let service):
                try ServiceWrap.unwrap(wrapping.bytes, by: service, for: owner)
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
