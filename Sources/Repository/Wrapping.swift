internal import Mesh
package import Sealing

/// A ring's own key, wrapped by one that the customer holds. Each ring has at least two such: the region with
/// the one may be the one that burns.
package struct Wrapping: Hashable, Sendable {
    package enum Kind: UInt8, Sendable, CustomStringConvertible {
        case keyFile = 1
        case passphrase = 2
        case box = 3
        case kms = 4
        case command = 5

        package var description: String {
            switch self {
            case .keyFile: "key file"
            case .passphrase: "passphrase"
            case .box: "X25519 box"
            case .kms: "KMS"
            case .command: "command"
            }
        }
    }

    package static let nameByteCountMax = 255
    package static let bytesMax = 8 << 10

    package let kind: Kind
    /// What operators call the key.
    package let name: String
    package let bytes: [UInt8]

    /// nil for a name or bytes that no ring keeps.
    package init?(_ kind: Kind, name: String, bytes: [UInt8]) {
        guard (1...Self.nameByteCountMax).contains(name.utf8.count),
            (1...Self.bytesMax).contains(bytes.count)
        else { return nil }
        (self.kind, self.name, self.bytes) = (kind, name, bytes)
    }

    func append(to all: inout [UInt8]) {
        all.append(kind.rawValue)
        all.append(UInt8(name.utf8.count))
        all += name.utf8
        all.append(littleEndian: UInt16(bytes.count))
        all += bytes
    }

    init(parsing reader: inout ByteReader) throws {
        let kind = Kind(rawValue: try reader.u8())
        let name = String(validating: try reader.take(Int(try reader.u8())), as: UTF8.self)
        let bytes = try reader.take(Int(try reader.u16()))
        guard let kind, let name, let wrapping = Wrapping(kind, name: name, bytes: bytes) else {
            throw ObjectDamage.contents("one of its wrappings is of no known kind or length")
        }
        self = wrapping
    }
}

/// Why a wrapped key does not come out.
package enum UnwrapRefused: Error, Hashable, Sendable, CustomStringConvertible {
    /// It was wrapped by another key.
    case wrongKey
    case damaged
    case emptyPassphrase
    /// There is not the memory that this passphrase's cost asks for.
    case noMemory(kib: UInt32)
    /// No private half belongs to the key that a box was to be closed to.
    case noPrivateHalf
    /// Who has only a public key opens nothing.
    case onlyCloses
    /// What a service of keys said, or that it said nothing, and what to do.
    case service(String)

    package var description: String {
        switch self {
        case .wrongKey: "the key is not the one it was wrapped by"
        case .damaged: "what was wrapped is damaged"
        case .emptyPassphrase: "the passphrase is empty"
        case .noPrivateHalf: "no private key belongs to that public one: give the right one"
        case .onlyCloses: "the public half of a key opens nothing: give the private one"
        case .service(let words): words
        case .noMemory(let kib): "there are not the \(kib) KiB of memory that the passphrase costs"
        }
    }
}

/// A secret wrapped by another one: salt 32, check 8, sealed secret 48.
package enum SecretWrap {
    static let byteCount = Salt.byteCount + 8 + Secret.byteCount + SealKey.tagByteCount

    /// `random` is drawn for this one wrap.
    package static func wrap(_ secret: Secret, by key: Secret, random: Salt) -> [UInt8] {
        let salt = secret.withBytes { plain in
            key.salt(random, for: plain.indices.map { plain[$0] })
        }
        var bytes = salt.bytes
        bytes += check(key, salt.bytes)
        secret.withBytes { plain in
            sealKey(key, salt.bytes).seal(plain, number: 0, binding: [], onto: &bytes)
        }
        return bytes
    }

    package static func unwrap(_ bytes: [UInt8], by key: Secret) throws(UnwrapRefused) -> Secret {
        guard bytes.count == byteCount else { throw .damaged }
        let salt = Array(bytes[..<Salt.byteCount])
        let sealed = Salt.byteCount + 8
        guard Array(bytes[Salt.byteCount..<sealed]) == check(key, salt) else { throw .wrongKey }
        let plain = sealKey(key, salt)
            .open(bytes.span.extracting(sealed...), number: 0, binding: [])
        guard let secret = plain.flatMap({ Secret($0) }) else { throw .damaged }
        return secret
    }

    private static func sealKey(_ key: Secret, _ salt: [UInt8]) -> SealKey {
        SealKey(key.derived(salt: salt, for: Array("holdfast wrap 1".utf8)))
    }

    private static func check(_ key: Secret, _ salt: [UInt8]) -> [UInt8] {
        key.derived(salt: salt, for: Array("holdfast wrap check 1".utf8)).withBytes { bytes in
            (0..<8).map { bytes[$0] }
        }
    }
}

/// A secret wrapped by a passphrase: passes, memory in KiB and lanes u32 each, salt 16, a wrap by what
/// Argon2id makes of those.
package enum PassphraseWrap {
    static let headByteCount = 12 + Secret.passphraseSaltByteCount

    package static func wrap(
        _ secret: Secret, by passphrase: [UInt8], cost: PassphraseCost = .usual, random: Salt
    ) throws(UnwrapRefused) -> [UInt8] {
        guard !passphrase.isEmpty else { throw .emptyPassphrase }
        var bytes: [UInt8] = []
        for word in [cost.passes, cost.memoryKiB, cost.lanes] { bytes.append(littleEndian: word) }
        let own = Array(random.bytes.prefix(Secret.passphraseSaltByteCount))
        bytes += own
        guard let key = Secret(passphrase: passphrase, salt: own, cost: cost) else {
            throw .noMemory(kib: cost.memoryKiB)
        }
        return bytes + SecretWrap.wrap(secret, by: key, random: random)
    }

    package static func unwrap(
        _ bytes: [UInt8], by passphrase: [UInt8]
    ) throws(UnwrapRefused) -> Secret {
        guard bytes.count == headByteCount + SecretWrap.byteCount,
            let cost = PassphraseCost(
                checking: UInt32(bytes.load(at: 0, count: 4)),
                memoryKiB: UInt32(bytes.load(at: 4, count: 4)),
                lanes: UInt32(bytes.load(at: 8, count: 4)))
        else { throw .damaged }
        guard !passphrase.isEmpty else { throw .emptyPassphrase }
        let salt = Array(bytes[12..<headByteCount])
        guard let key = Secret(passphrase: passphrase, salt: salt, cost: cost) else {
            throw .noMemory(kib: cost.memoryKiB)
        }
        return try SecretWrap.unwrap(Array(bytes[headByteCount...]), by: key)
    }
}

/// A secret in a box: the recipient's public key 32, the opening 32, a wrap by what both agree on.
package enum BoxWrap {
    private static let headByteCount = 2 * BoxPublicKey.byteCount

    /// nil where no private half belongs to `recipient`. `ephemeral` is drawn for this one box.
    package static func wrap(
        _ secret: Secret, to recipient: BoxPublicKey, ephemeral: Secret, random: Salt
    ) -> [UInt8]? {
        guard let (key, opening) = recipient.close(ephemeral: ephemeral) else { return nil }
        return recipient.bytes + opening.bytes + SecretWrap.wrap(secret, by: key, random: random)
    }

    /// Whom a box was closed to; nil for what is none.
    package static func recipient(of bytes: [UInt8]) -> BoxPublicKey? {
        guard bytes.count == headByteCount + SecretWrap.byteCount else { return nil }
        return BoxPublicKey(Array(bytes[..<BoxPublicKey.byteCount]))
    }

    package static func unwrap(
        _ bytes: [UInt8], by key: BoxPrivateKey
    ) throws(UnwrapRefused) -> Secret {
        guard bytes.count == headByteCount + SecretWrap.byteCount,
            let recipient = BoxPublicKey(Array(bytes[..<BoxPublicKey.byteCount])),
            let opening = BoxPublicKey(Array(bytes[BoxPublicKey.byteCount..<headByteCount]))
        else { throw .damaged }
        guard key.publicKey == recipient else { throw .wrongKey }
        guard let shared = key.open(opening) else { throw .damaged }
        return try SecretWrap.unwrap(Array(bytes[headByteCount...]), by: shared)
    }
}
