import Mesh
import Record
import Sealing
import Testing

@testable import Repository

@Suite("Key rings") struct KeyRingTests {
    private static func secret(_ number: UInt8) throws -> Secret {
        try #require(Secret([UInt8](repeating: number, count: Secret.byteCount)))
    }

    private static func ring(rotations: Int = 0) throws -> KeyRing {
        var ring = KeyRing(
            repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 1, low: 2),
            idSecret: try secret(100), succession: try secret(101), first: try secret(1),
            at: WallTime(5))
        for number in 0..<rotations {
            let rotated = ring.rotate(
                to: try secret(UInt8(2 + number)), at: WallTime(UInt64(number)))
            #expect(rotated)
        }
        return ring
    }

    private static let cheap = PassphraseCost(checking: 1, memoryKiB: 8 << 10, lanes: 1)

    /// A ring that a key file, a passphrase and a private key open.
    private static func object(
        _ ring: KeyRing, key: Secret,
        after former: KnownRing? = nil
    ) throws -> (bytes: [UInt8], box: BoxPrivateKey) {
        let box = BoxPrivateKey(try secret(60))
        let recipient = try #require(box.publicKey)
        let boxed = try #require(
            BoxWrap.wrap(key, to: recipient, ephemeral: secret(61), random: salt(3)))
        let wrappings = [
            Wrapping(
                .keyFile, name: "safe",
                bytes: SecretWrap.wrap(key, by: try secret(50), random: try salt(1))),
            Wrapping(
                .passphrase, name: "board",
                bytes: try PassphraseWrap.wrap(
                    key, by: Array("correct horse".utf8), cost: #require(cheap), random: salt(2))),
            Wrapping(.box, name: "escrow", bytes: boxed),
        ]
        let bytes = KeyRingObject.encode(
            ring, after: former, wrappings: wrappings.compactMap(\.self), key: key,
            random: try salt(4))
        return (try #require(bytes), box)
    }

    @Test func `each of the wrappings opens the ring`() throws {
        let (ring, key) = (try Self.ring(rotations: 3), try Self.secret(70))
        let (bytes, box) = try Self.object(ring, key: key)
        let object = try KeyRingObject(parsing: bytes)
        #expect(object.number == 1 && object.predecessor == digest([]))
        #expect(object.wrappings.map(\.name) == ["safe", "board", "escrow"])
        let keys = [
            try SecretWrap.unwrap(object.wrappings[0].bytes, by: Self.secret(50)),
            try PassphraseWrap.unwrap(object.wrappings[1].bytes, by: Array("correct horse".utf8)),
            try BoxWrap.unwrap(object.wrappings[2].bytes, by: box),
        ]
        for key in keys {
            let read = try object.ring(key, after: nil).ring
            #expect(read.turns.map(\.epoch) == ring.turns.map(\.epoch))
            #expect(read.turns.map(\.since) == ring.turns.map(\.since))
            #expect(zip(read.turns, ring.turns).allSatisfy { $0.isSame(as: $1) })
            #expect(read.holdsAll(of: ring))
        }
        #expect(throws: ObjectDamage.piece(0, offset: bytes.count - 300)) {
            try object.ring(Self.secret(71), after: nil)
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
            // What lies before the sealed secret says by which key, so a fault there reads as another key.
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
                try KeyRingObject(parsing: hurt).ring(Self.secret(70), after: nil)
            }
        }
        for count in 0..<bytes.count {
            #expect(throws: ObjectDamage.self) {
                try KeyRingObject(parsing: Array(bytes[..<count]))
            }
        }
    }

    @Test func `a ring that one key alone would open is not made`() throws {
        func isMade(_ wrappings: [(name: String, bytes: [UInt8])]) throws -> Bool {
            let wrappings = wrappings.compactMap { Wrapping(.kms, name: $0.name, bytes: $0.bytes) }
            return KeyRingObject.encode(
                try Self.ring(), after: nil, wrappings: wrappings, key: try Self.secret(1),
                random: try salt(1)) != nil
        }
        #expect(try isMade([("a", [1]), ("b", [2])]))
        #expect(try !isMade([("a", [1])]))
        #expect(try !isMade([("a", [1]), ("b", [1])]), "one key under two names")
        #expect(try !isMade([("a", [1]), ("a", [2])]), "two keys that nobody can tell apart")
        #expect(try isMade((0..<16).map { ("\($0)", [$0]) }))
        #expect(try !isMade((0..<17).map { ("\($0)", [$0]) }))
        #expect(Wrapping(.keyFile, name: "", bytes: [1]) == nil)
        #expect(Wrapping(.keyFile, name: "safe", bytes: []) == nil)
        #expect(Wrapping(.keyFile, name: String(repeating: "a", count: 256), bytes: [1]) == nil)
        #expect(Wrapping(.kms, name: "a", bytes: [UInt8](repeating: 0, count: 8_193)) == nil)
    }

    /// Anybody can wrap a ring of his own for a public key, and name the right predecessor.
    @Test func `a ring whose maker did not have the one before it is refused`() throws {
        let (first, key) = (try Self.ring(), try Self.secret(70))
        let (old, _) = try Self.object(first, key: key)
        let known = try KeyRingObject(parsing: old).ring(key, after: nil)
        var second = first
        let rotated = second.rotate(to: try Self.secret(80), at: .zero)
        let (new, _) = try Self.object(second, key: key, after: known)
        let object = try KeyRingObject(parsing: new)
        #expect(rotated && object.number == 2 && object.predecessor == digest(old))
        let newest = try object.ring(key, after: known)
        #expect(newest.ring.turns.count == 2 && newest.number == 2)
        func isSuccessor(_ bytes: [UInt8], _ former: KnownRing) throws -> Bool {
            do throws(ObjectDamage) {
                _ = try KeyRingObject(parsing: bytes).ring(key, after: former)
                return true
            } catch {
                #expect(error == .noSuccessor)
                return false
            }
        }
        // Of a thief, who has the keys that packs are sealed by, and not what the ring alone has.
        let forged = KeyRing(
            repository: first.repository, tenant: first.tenant, idSecret: try Self.secret(100),
            succession: try Self.secret(90), first: try Self.secret(1), at: WallTime(5))
        let theirs = KnownRing(ring: forged, number: 1, digest: known.digest)
        #expect(try !isSuccessor(Self.object(forged, key: key, after: theirs).bytes, known))
        // Of another branch: made from the same ring, but not from this object of it.
        let branch = KnownRing(ring: first, number: 1, digest: newest.digest)
        #expect(try !isSuccessor(Self.object(second, key: key, after: branch).bytes, known))
        // One that leaves a number out, and the first one again in place of the second.
        let later = KnownRing(ring: first, number: 2, digest: known.digest)
        #expect(try !isSuccessor(Self.object(second, key: key, after: later).bytes, known))
        #expect(try !isSuccessor(old, known))
        // A first ring that another one vouched for.
        let zeroth = KnownRing(ring: forged, number: 0, digest: digest([]))
        let (stolen, _) = try Self.object(forged, key: key, after: zeroth)
        #expect(try KeyRingObject(parsing: stolen).ring(key, after: nil).number == 1)
        let (odd, _) = try Self.object(
            first, key: key, after: KnownRing(ring: first, number: 0, digest: digest([1])))
        #expect(throws: ObjectDamage.noSuccessor) {
            try KeyRingObject(parsing: odd).ring(key, after: nil)
        }
    }

    /// What was sealed by a key that is no more can't be read.
    @Test func `a ring that lacks a key of the one before it is not made`() throws {
        let key = try Self.secret(70)
        let (old, _) = try Self.object(try Self.ring(rotations: 2), key: key)
        let known = try KeyRingObject(parsing: old).ring(key, after: nil)
        let wrappings = try KeyRingObject(parsing: old).wrappings
        for (rotations, isMade) in [(1, false), (2, true), (3, true)] {
            let made = KeyRingObject.encode(
                try Self.ring(rotations: rotations), after: known, wrappings: wrappings, key: key,
                random: try salt(9))
            #expect((made != nil) == isMade)
        }
    }

    /// B2: a clone draws what the other one drew, and its clock is another.
    @Test func `the same random bytes make another key for another ring or secret`() throws {
        let key = try Self.secret(70)
        func head(_ time: UInt64) throws -> [UInt8] {
            let ring = KeyRing(
                repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 1, low: 2),
                idSecret: try Self.secret(1), succession: try Self.secret(2),
                first: try Self.secret(3), at: WallTime(time))
            return Array(try Self.object(ring, key: key).bytes[..<120])
        }
        #expect(try head(1) == head(1) && head(1) != head(2))
        let wraps = try [1, 2].map {
            SecretWrap.wrap(try Self.secret($0), by: key, random: try salt(1)).prefix(32)
        }
        #expect(wraps[0] != wraps[1])
    }

    /// B5: a rotation changes what is written from then on, and no id: nothing is stored anew.
    @Test func `what was sealed before thirty rotations opens behind them`() throws {
        let (young, key) = (try Self.ring(), try Self.secret(70))
        let cell = Plain.text(4_096)
        let bytes = try pack([cell], #require(young.place(.first))).pack.bytes
        let (object, _) = try Self.object(try Self.ring(rotations: 30), key: key)
        let old = try KeyRingObject(parsing: object).ring(key, after: nil).ring
        let ids = try [#require(young.idKeys(.first)), #require(old.idKeys(old.current.epoch))]
            .map { $0.id(of: cell.span, .cell) }
        #expect(ids[0] == ids[1])
        let later = try PackReader(bytes, for: try #require(old.place(.first)))
        #expect(try later.plain(later.blobs[0]) == cell)
        #expect(old.current.epoch == KeyEpoch(31) && old.place(KeyEpoch(32)) == nil)
        #expect(old.place(KeyEpoch(0)) == nil && old.idKeys(KeyEpoch(32)) == nil)
        #expect(throws: ObjectDamage.anotherEpoch(.first, have: KeyEpoch(31))) {
            try PackReader(bytes, for: try #require(old.place(old.current.epoch)))
        }
    }

    /// Rule 25: who has stolen the keys has stolen what names blobs too.
    @Test func `after an incident blobs are named anew, and old names are still known`() throws {
        let key = try Self.secret(70)
        var ring = try Self.ring(rotations: 1)
        let rotated = ring.rotate(
            to: try Self.secret(8),
            renewing: KeyRing.Renewal(
                idSecret: try Self.secret(9), succession: try Self.secret(10)), at: .zero)
        let (bytes, _) = try Self.object(ring, key: key)
        let read = try KeyRingObject(parsing: bytes).ring(key, after: nil).ring
        let ids = try (1...3).map { epoch in
            try #require(read.idKeys(KeyEpoch(epoch))).id(of: [1].span, .cell)
        }
        #expect(rotated && ids[0] == ids[1] && ids[1] != ids[2])
        let kinds = try Blob.Kind.allCases.map { kind in
            try #require(read.idKeys(.first)).id(of: [1].span, kind)
        }
        #expect(Set(kinds).count == 3)
    }

    @Test func `a ring takes so many rotations and no more`() throws {
        var ring = try Self.ring(rotations: 0)
        let secret = try Self.secret(9)
        while ring.rotate(to: secret, at: .zero) {}
        #expect(ring.turns.count == KeyRing.turnsMax)
    }

    /// RFC 9106 has no example that these inputs can give; this one was computed by Debian's `argon2`.
    @Test func `a passphrase is stretched by Argon2id`() throws {
        let cost = try #require(PassphraseCost(checking: 2, memoryKiB: 8 << 10, lanes: 2))
        let made = try #require(
            Secret(
                passphrase: Array("password".utf8), salt: Array("somesaltsomesalt".utf8), cost: cost
            ))
        #expect(
            made.withBytes { Digest($0).description }
                == "8cf541d0a902e9fa8e7c64b3d02688cf181208de4de611bd902caad0ec2f18aa")
        for (passes, memory, lanes) in [
            (0, 8_192, 2), (2, 8_191, 2), (2, 2 << 20, 2), (2, 8_192, 17), (2, 8_192, 0),
            (5, 1 << 20, 1), (65, 8_192, 1),
        ] as [(UInt32, UInt32, UInt32)] {
            #expect(PassphraseCost(checking: passes, memoryKiB: memory, lanes: lanes) == nil)
        }
        #expect(PassphraseCost(checking: 4, memoryKiB: 1 << 20, lanes: 16) != nil)
        let salt = [UInt8](repeating: 1, count: 16)
        #expect(Secret(passphrase: [], salt: salt, cost: cost) == nil)
        #expect(throws: UnwrapRefused.emptyPassphrase) {
            try PassphraseWrap.wrap(
                made, by: [], cost: cost, random: Salt(salt + salt) ?? .init(made))
        }
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
        #expect(try #require(recipient.open(opening)).isSame(as: secret))
        var twice = key.bytes
        twice[31] |= 0x80
        #expect(BoxPublicKey(twice) == nil, "a second spelling of the same key")
        // A point of low order agrees on nothing.
        let none = try #require(BoxPublicKey([UInt8](repeating: 0, count: 32)))
        #expect(try none.close(ephemeral: Self.secret(61)) == nil && recipient.open(none) == nil)
    }
}
