@testable import Backup
import Mesh
@testable import Repository
import Sealing
import Testing

@Suite("Key rings in a store") struct RingsTests {
    private static let passphrase = Array("correct horse battery".utf8)

    /// A repository with its first ring, which two key files open.
    private struct Founded {
        let store: MemoryStore
        let rings: Rings
        let first: KnownRing
        let key: KeyHolder
        let spare: KeyHolder
        var chance: SeededRandom

        init(seed: UInt64 = 1) throws {
            store = MemoryStore()
            rings = Rings(
                store, repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 3, low: 4))
            (key, spare) = (.file(try Rig.secret(50)), .file(try Rig.secret(51)))
            chance = SeededRandom(seed: seed)
            first = try rings.found(
                for: [NamedHolder("key", key), NamedHolder("spare", spare)], at: WallTime(5),
                using: &chance)
            try Vault.found(rings.repository, in: store)
        }

        mutating func rotate(_ former: KnownRing) throws -> KnownRing {
            try rings.append(
                after: former, for: [spare, key], at: WallTime(former.number * 10), using: &chance)
        }

        func change(_ number: UInt64, _ body: (inout [UInt8]?) -> Void) {
            store.change(rings.name(number), body)
        }
    }

    private static func isSame(_ one: KnownRing, _ other: KnownRing) -> Bool {
        one.number == other.number && one.digest == other.digest
            && one.ring.holdsAll(of: other.ring) && other.ring.holdsAll(of: one.ring)
    }

    @Test func `a ring that was founded opens for each holder, and for nobody else`() throws {
        let it = try Founded()
        #expect(it.first.number == 1 && it.first.ring.turns.map(\.since) == [WallTime(5)])
        for holder in [it.key, it.spare] {
            #expect(try Self.isSame(it.rings.newest(openedBy: holder), it.first))
        }
        let stranger = KeyHolder.file(try Rig.secret(52))
        let told = try words { _ = try it.rings.newest(openedBy: stranger) }
        #expect(told.hasPrefix("wrong key: the key file that was given is none"))
        #expect(told.hasSuffix(": key file \"key\", key file \"spare\""))
        let other = try words {
            _ = try it.rings.newest(openedBy: .passphrase(Self.passphrase))
        }
        #expect(other.hasPrefix("wrong key: the passphrase"))
    }

    @Test func `a passphrase opens what it was given to, and no other one does`() throws {
        let (store, key) = (MemoryStore(), KeyHolder.file(try Rig.secret(50)))
        let rings = Rings(
            store, repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 3, low: 4))
        var chance = SeededRandom(seed: 2)
        let first = try rings.found(
            for: [
                NamedHolder("key", key), NamedHolder("board", .passphrase(Self.passphrase)),
            ], at: .zero, using: &chance)
        try Vault.found(rings.repository, in: store)
        let opened = try rings.newest(openedBy: .passphrase(Self.passphrase))
        #expect(Self.isSame(opened, first))
        let wrong = try words { _ = try rings.newest(openedBy: .passphrase([1])) }
        #expect(wrong.hasPrefix("wrong key: "))
        #expect(try words { _ = try rings.newest(openedBy: .passphrase([])) }.contains("empty"))
        let next = try rings.append(
            after: first, for: [key, .passphrase(Self.passphrase)], at: .zero, using: &chance)
        #expect(
            try Self.isSame(
                rings.newest(openedBy: .passphrase(Self.passphrase), since: first), next))
    }

    /// The operator at three in the morning has to know which of the two it is.
    @Test func `damage is told from a wrong key`() throws {
        let it = try Founded()
        it.change(1) { $0?[300] ^= 1 }
        let name = it.rings.name(1)
        #expect(throws: BackupFailure.self) { try it.rings.newest(openedBy: it.key) }
        let told = try words { _ = try it.rings.newest(openedBy: it.key) }
        #expect(told == "\(name): its end is damaged, or not its own")
        // Whoever sealed it had a fault: its sum is right, and what one wrapping holds is not.
        let ring = it.first.ring
        let key = try Rig.secret(70)
        func wrapping(_ name: String, _ by: UInt8, _ body: (inout [UInt8]) -> Void) throws
            -> Wrapping
        {
            var bytes = SecretWrap.wrap(
                key, by: try Rig.secret(by),
                random: try #require(Salt(Array(repeating: by, count: 32))))
            body(&bytes)
            return try #require(Wrapping(.keyFile, name: name, bytes: bytes))
        }
        let made = KeyRingObject.encode(
            ring, after: nil,
            wrappings: [
                try wrapping("short", 49) { $0.removeLast() },
                try wrapping("bad", 50) { $0[$0.count - 1] ^= 1 },
                try wrapping("good", 51) { _ in },
            ], key: key, random: try #require(Salt(Array(repeating: 9, count: 32))))
        it.change(1) { $0 = made }
        let bad = try words { _ = try it.rings.newest(openedBy: it.key) }
        #expect(bad == "\(name): what key file \"bad\" wraps is damaged")
        #expect(try it.rings.newest(openedBy: it.spare).ring.holdsAll(of: ring))
    }

    @Test func `another repository's or tenant's store is refused`() throws {
        let it = try Founded()
        let other = Rings(
            it.store, repository: RepositoryID(high: 9, low: 9), tenant: it.rings.tenant)
        let told = try words { _ = try other.newest(openedBy: it.key) }
        #expect(told.hasPrefix("repository: it belongs to repository \(it.rings.repository)"))
        let stranger = Rings(
            it.store, repository: it.rings.repository, tenant: TenantID(high: 9, low: 9))
        #expect(
            try words { _ = try stranger.newest(openedBy: it.key) }.hasPrefix(
                "there is no key ring"))
        let bytes = it.store.objects[it.rings.name(1)]
        it.store.change(stranger.name(1)) { $0 = bytes }
        #expect(
            try words { _ = try stranger.newest(openedBy: it.key) }
                == "\(stranger.name(1)): it belongs to tenant \(it.rings.tenant)")
        it.change(2) { $0 = bytes }
        #expect(
            try words { _ = try it.rings.newest(openedBy: it.key) }.contains("it is key ring 1"))
        it.store.change(Layout.repository) { $0 = nil }
        let missing = try words { _ = try it.rings.newest(openedBy: it.key) }
        #expect(missing.contains("cannot read repository"))
    }

    @Test func `rotations are followed one by one, and keep all that was`() throws {
        var it = try Founded()
        var last = it.first
        for _ in 0..<3 { last = try it.rotate(last) }
        #expect(last.number == 4 && last.ring.current.epoch == KeyEpoch(4))
        #expect(last.ring.turns.map(\.since) == [5, 10, 20, 30].map { WallTime($0) })
        #expect(last.ring.holdsAll(of: it.first.ring))
        for holder in [it.key, it.spare] {
            #expect(try Self.isSame(it.rings.newest(openedBy: holder, since: it.first), last))
            #expect(try Self.isSame(it.rings.newest(openedBy: holder, since: last), last))
            #expect(try Self.isSame(it.rings.newest(openedBy: holder), last))
        }
        #expect(try it.rings.wrappings(4).map(\.name) == ["key", "spare"])
    }

    @Test func `a gap, a store that is behind, and a ring that was exchanged are refused`() throws {
        var it = try Founded()
        let second = try it.rotate(it.first)
        let third = try it.rotate(second)
        let objects = it.store.objects
        it.change(2) { $0 = nil }
        let gap = try words { _ = try it.rings.newest(openedBy: it.key, since: it.first) }
        #expect(gap.hasPrefix("\(it.rings.name(2)) is missing"))
        #expect(try Self.isSame(it.rings.newest(openedBy: it.key, since: second), third))
        it.change(3) { $0 = nil }
        let behind = try words { _ = try it.rings.newest(openedBy: it.key, since: third) }
        #expect(behind.contains("ring 3 was read before: the store is an older copy"))
        // Anybody who had the key once can wrap a ring of his own for it.
        let forged = try Founded(seed: 7)
        it.change(1) { $0 = forged.store.objects[forged.rings.name(1)] }
        let exchanged = try words { _ = try it.rings.newest(openedBy: it.key, since: it.first) }
        #expect(exchanged.contains("is not the key ring of that number that was read before"))
        for (name, bytes) in objects { it.store.change(name) { $0 = bytes } }
        var other = forged
        _ = try other.rotate(other.first)
        it.change(2) { $0 = other.store.objects[it.rings.name(2)] }
        #expect(throws: BackupFailure.self) {
            try it.rings.newest(openedBy: it.key, since: it.first)
        }
        let told = try words { _ = try it.rings.newest(openedBy: it.key, since: it.first) }
        #expect(told.hasPrefix("\(it.rings.name(2)): whoever made it did not have the ring before"))
    }

    @Test func `a digest that came another way holds the first contact to it`() throws {
        var it = try Founded()
        let second = try it.rotate(it.first)
        for digest in [it.first.digest, second.digest] {
            #expect(try Self.isSame(it.rings.newest(openedBy: it.key, pinned: digest), second))
        }
        let none = try words { _ = try it.rings.newest(openedBy: it.key, pinned: .ofNothing) }
        #expect(none.contains("has the digest \(Digest.ofNothing)"))
        // Whoever deletes the rings and puts his own is caught.
        let forged = try Founded(seed: 8)
        it.change(2) { $0 = nil }
        it.change(1) { $0 = forged.store.objects[forged.rings.name(1)] }
        #expect(throws: BackupFailure.self) {
            try it.rings.newest(openedBy: it.key, pinned: it.first.digest)
        }
        #expect(try it.rings.newest(openedBy: it.key).digest == forged.first.digest)
    }

    @Test func `who was first to rotate has rotated`() throws {
        var it = try Founded()
        let second = try it.rotate(it.first)
        let told = try words { _ = try it.rotate(it.first) }
        #expect(told.hasPrefix("\(it.rings.name(2)) is there already: somebody else made it"))
        #expect(try Self.isSame(it.rings.newest(openedBy: it.key), second))
        let again = try words {
            _ = try it.rings.found(
                for: [NamedHolder("a", it.key), NamedHolder("b", it.spare)], at: .zero,
                using: &it.chance)
        }
        #expect(again.hasPrefix("\(it.rings.name(1)) is there already"))
        it.store.stop(afterPuts: 0)
        #expect(try words { _ = try it.rotate(second) }.contains("there is no room left"))
    }

    @Test func `a rotation loses nobody unless it is told to`() throws {
        var it = try Founded()
        let (rings, key, spare) = (it.rings, it.key, it.spare)
        let fresh = KeyHolder.file(try Rig.secret(52))
        func append(
            _ holders: [KeyHolder], adding: [NamedHolder] = [], dropping: Set<String> = []
        ) throws -> KnownRing {
            try rings.append(
                after: it.first, for: holders, adding: adding, dropping: dropping, at: .zero,
                using: &it.chance)
        }
        let lost = try words { _ = try append([key]) }
        #expect(lost.hasPrefix("key file \"spare\" would open nothing any more"))
        let both = try words { _ = try append([]) }
        #expect(both.hasPrefix("key file \"key\", key file \"spare\" would open"))
        #expect(try words { _ = try append([key, spare, fresh]) }.contains("opens nothing"))
        #expect(try words { _ = try append([key], dropping: ["spade"]) }.contains("\"spade\""))
        let few = try words { _ = try append([key], dropping: ["spare"]) }
        #expect(few == "a key ring has 2 to 16 keys with different names; here are 1")
        let twice = try words {
            _ = try append([key], adding: [NamedHolder("new", key)], dropping: ["spare"])
        }
        #expect(twice.hasPrefix("two of the keys are the same one"))
        #expect(it.store.putCount == 2, "nothing was put until now")
        let next = try append([key], adding: [NamedHolder("new", fresh)], dropping: ["spare"])
        #expect(try rings.wrappings(2).map(\.name) == ["key", "new"])
        #expect(try Self.isSame(rings.newest(openedBy: fresh), next))
        #expect(try words { _ = try rings.newest(openedBy: spare) }.hasPrefix("wrong key"))
    }

    @Test func `a tenant is not founded on keys that may all be lost at once`() throws {
        let store = MemoryStore()
        let rings = Rings(
            store, repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 3, low: 4))
        var chance = SeededRandom(seed: 3)
        let key = KeyHolder.file(try Rig.secret(50))
        let spare = KeyHolder.file(try Rig.secret(51))
        let long = String(repeating: "x", count: 256)
        for (holders, why) in [
            ([NamedHolder("a", key)], "here are 1"),
            ([NamedHolder("a", key), NamedHolder("b", key)], "the same one"),
            ([NamedHolder("a", key), NamedHolder("a", spare)], "different names"),
            ([NamedHolder("a", key), NamedHolder(long, spare)], "not 256"),
            ([NamedHolder("a", key), NamedHolder("b", .passphrase([]))], "passphrase is empty"),
        ] {
            let told = try words { _ = try rings.found(for: holders, at: .zero, using: &chance) }
            #expect(told.contains(why), "\(told)")
        }
        #expect(store.putCount == 0)
    }

    @Test func `a holder tells nothing of what it holds`() throws {
        let holders = [KeyHolder.passphrase(Self.passphrase), .file(try Rig.secret(50))]
        for holder in holders {
            var dumped = "\(holder) \(NamedHolder("board", holder))"
            dump(holder, to: &dumped)
            #expect(!dumped.contains("99") && !dumped.contains("50") && !dumped.contains("horse"))
        }
    }
}
