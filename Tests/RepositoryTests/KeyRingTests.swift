import Mesh
import Record
import Sealing
import Testing

@testable import Repository

@Suite("Key rings") struct KeyRingTests {
    private static func secret(_ number: UInt8) throws -> Secret {
        try #require(Secret([UInt8](repeating: number, count: Secret.byteCount)))
    }

    private static func same(_ one: Secret, _ other: Secret) -> Bool {
        one.withBytes { one in
            other.withBytes { other in one.indices.allSatisfy { one[$0] == other[$0] } }
        }
    }

    private static func ring(rotations: Int = 0) throws -> KeyRing {
        var ring = KeyRing(
            repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 1, low: 2),
            idSecret: try secret(100), first: try secret(1), at: WallTime(5))
        for number in 0..<rotations {
            let rotated = ring.rotate(
                to: try secret(UInt8(2 + number)), at: WallTime(UInt64(number)))
            #expect(rotated)
        }
        return ring
    }

    private static let cheap = PassphraseCost(checking: 1, memoryKiB: 64, lanes: 1)

    /// A ring that a key file, a passphrase and a private key open.
    private static func object(
        _ ring: KeyRing, key: Secret
    ) throws -> (bytes: [UInt8], box: BoxPrivateKey) {
        let box = BoxPrivateKey(try secret(60))
        let recipient = try #require(box.publicKey)
        let boxed = try #require(
            BoxWrap.wrap(key, to: recipient, ephemeral: secret(61), salt: salt(3)))
        let wrappings = [
            Wrapping(
                .keyFile, name: "safe",
                bytes: SecretWrap.wrap(key, by: try secret(50), salt: try salt(1))),
            Wrapping(
                .passphrase, name: "board",
                bytes: try PassphraseWrap.wrap(
                    key, by: Array("correct horse".utf8), cost: #require(cheap), salt: salt(2))),
            Wrapping(.box, name: "escrow", bytes: boxed),
        ]
        let bytes = KeyRingObject.encode(
            ring, number: 7, predecessor: digest([1]),
            wrappings: wrappings.compactMap(\.self), key: key, salt: try salt(4))
        return (try #require(bytes), box)
    }

    @Test func `each of the wrappings opens the ring`() throws {
        let (ring, key) = (try Self.ring(rotations: 3), try Self.secret(70))
        let (bytes, box) = try Self.object(ring, key: key)
        let object = try KeyRingObject(parsing: bytes)
        let predecessor = digest([1])
        #expect(object.number == 7 && object.predecessor == predecessor)
        #expect(object.wrappings.map(\.name) == ["safe", "board", "escrow"])
        let keys = [
            try SecretWrap.unwrap(object.wrappings[0].bytes, by: Self.secret(50)),
            try PassphraseWrap.unwrap(object.wrappings[1].bytes, by: Array("correct horse".utf8)),
            try BoxWrap.unwrap(object.wrappings[2].bytes, by: box),
        ]
        for key in keys {
            let read = try object.ring(key)
            #expect(read.turns.map(\.epoch) == ring.turns.map(\.epoch))
            #expect(read.turns.map(\.since) == ring.turns.map(\.since))
            #expect(zip(read.turns, ring.turns).allSatisfy { Self.same($0.secret, $1.secret) })
            #expect(Self.same(read.idSecret, ring.idSecret))
        }
        #expect(throws: ObjectDamage.piece(0, offset: bytes.count - 216)) {
            try object.ring(Self.secret(71))
        }
    }

    /// The operator at three in the morning has to know which of the two it is.
    @Test func `a wrong key is told from damage`() throws {
        let key = try Self.secret(70)
        let (bytes, box) = try Self.object(try Self.ring(), key: key)
        let wrappings = try KeyRingObject(parsing: bytes).wrappings.map(\.bytes)
        #expect(throws: UnwrapRefused.wrongKey) {
            try SecretWrap.unwrap(wrappings[0], by: Self.secret(51))
        }
        #expect(throws: UnwrapRefused.wrongKey) {
            try PassphraseWrap.unwrap(wrappings[1], by: Array("correct house".utf8))
        }
        #expect(throws: UnwrapRefused.wrongKey) {
            try BoxWrap.unwrap(wrappings[2], by: BoxPrivateKey(Self.secret(62)))
        }
        for wrapping in wrappings {
            let damaged = Array(wrapping.dropLast()) + [wrapping[wrapping.count - 1] ^ 1]
            for bytes in [damaged, Array(wrapping.dropLast()), []] {
                #expect(throws: UnwrapRefused.damaged) {
                    switch wrapping {
                    case wrappings[0]: _ = try SecretWrap.unwrap(bytes, by: Self.secret(50))
                    case wrappings[1]:
                        _ = try PassphraseWrap.unwrap(bytes, by: Array("correct horse".utf8))
                    default: _ = try BoxWrap.unwrap(bytes, by: box)
                    }
                }
            }
        }
    }

    @Test func `whatever byte turns, there is no ring`() throws {
        let (bytes, _) = try Self.object(try Self.ring(rotations: 1), key: try Self.secret(70))
        for at in bytes.indices {
            var hurt = bytes
            hurt[at] ^= 1
            #expect(throws: ObjectDamage.end, "byte \(at)") { try KeyRingObject(parsing: hurt) }
            // As one who forges it would: the checksum is nothing that needs a key.
            hurt.removeLast(4)
            hurt.append(littleEndian: Checksum.crc32c(hurt))
            if at >= bytes.count - 4 { continue }
            #expect(throws: ObjectDamage.self, "byte \(at)") {
                try KeyRingObject(parsing: hurt).ring(Self.secret(70))
            }
        }
        for count in 0..<bytes.count {
            #expect(throws: ObjectDamage.self) {
                try KeyRingObject(parsing: Array(bytes[..<count]))
            }
        }
    }

    @Test func `a ring that one key alone would open is not made`() throws {
        let one = Wrapping(.keyFile, name: "safe", bytes: [1])
        #expect(
            KeyRingObject.encode(
                try Self.ring(), number: 1, predecessor: digest([]),
                wrappings: [one].compactMap(\.self), key: try Self.secret(1), salt: try salt(1))
                == nil)
        #expect(Wrapping(.keyFile, name: "", bytes: [1]) == nil)
        #expect(Wrapping(.keyFile, name: "safe", bytes: []) == nil)
    }

    /// B5: a rotation changes what is written from then on, and no id: nothing is stored anew.
    @Test func `what was sealed before thirty rotations opens behind them`() throws {
        let young = try Self.ring()
        let old = try Self.ring(rotations: 30)
        let cell = Plain.text(4_096)
        let id = old.idKeys.id(of: cell.span, .cell)
        let (before, node) = (
            young.idKeys.id(of: cell.span, .cell), old.idKeys.id(of: cell.span, .node)
        )
        #expect(id == before && id != node)
        let place = try #require(young.place(.first))
        let bytes = try pack([cell], place).pack.bytes
        let later = try PackReader(bytes, for: try #require(old.place(.first)))
        #expect(try later.plain(later.blobs[0]) == cell)
        #expect(old.current.epoch == KeyEpoch(31) && old.place(KeyEpoch(32)) == nil)
        #expect(throws: ObjectDamage.anotherEpoch(.first, have: KeyEpoch(31))) {
            try PackReader(bytes, for: try #require(old.place(old.current.epoch)))
        }
    }

    @Test func `a ring takes so many rotations and no more`() throws {
        var ring = try Self.ring(rotations: 0)
        let secret = try Self.secret(9)
        while ring.rotate(to: secret, at: .zero) {}
        #expect(ring.turns.count == KeyRing.turnsMax)
    }

    /// RFC 9106 has no example that these inputs can give; this one was computed by Debian's `argon2`.
    @Test func `a passphrase is stretched by Argon2id`() throws {
        let cost = try #require(PassphraseCost(checking: 2, memoryKiB: 256, lanes: 2))
        let made = try #require(
            Secret(
                passphrase: Array("password".utf8), salt: Array("somesaltsomesalt".utf8), cost: cost
            ))
        #expect(
            made.withBytes { Digest($0).description }
                == "c112d2ee6b9d514413f806243187952186e8f19cacab80f20a823d549f111d2c")
        #expect(PassphraseCost(checking: 0, memoryKiB: 256, lanes: 2) == nil)
        #expect(PassphraseCost(checking: 2, memoryKiB: 15, lanes: 2) == nil)
        #expect(PassphraseCost(checking: 2, memoryKiB: 2 << 20, lanes: 2) == nil)
        #expect(PassphraseCost(checking: 2, memoryKiB: 256, lanes: 17) == nil)
    }

    /// Computed by Python's `cryptography`, which calls OpenSSL, and `hmac`.
    @Test func `a box is closed by X25519`() throws {
        let recipient = BoxPrivateKey(try Self.secret(60))
        let key = try #require(recipient.publicKey)
        #expect(
            Digest(key.bytes.span).description
                == "513f6639b3e84e8db530e84bba689373da3b6f3ecf45df32414738d58d792d66")
        let (secret, opening) = try #require(key.close(ephemeral: Self.secret(61)))
        #expect(
            secret.withBytes { Digest($0).description }
                == "598ebf882441988a1064a10cb47daa52ea59523ff1bf8ae11c044f2c45026d9a")
        #expect(Self.same(try #require(recipient.open(opening)), secret))
        // A point of low order agrees on nothing.
        let none = try #require(BoxPublicKey([UInt8](repeating: 0, count: 32)))
        #expect(try none.close(ephemeral: Self.secret(61)) == nil && recipient.open(none) == nil)
    }
}
