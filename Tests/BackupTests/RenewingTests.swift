@testable import Backup
import Copies
import Mesh
@testable import Repository
import Sealing
import Testing

@Suite("Rotations that nobody has to ask for") struct RenewingTests {
    private static let day: UInt64 = 86_400_000_000_000
    private static let age = Interval.seconds(90 * 86_400)

    /// Its key is XOR with a byte.
    private struct Service: KeyService {
        let key: UInt8
        let kind = Wrapping.Kind.command
        let name = "service"
        var identity: [String] { ["\(key)"] }

        func wrap(_ secret: Secret, for owner: RingOwner) throws(UnwrapRefused) -> [UInt8] {
            secret.withBytes { bytes in bytes.indices.map { bytes[$0] ^ key } }
        }
        func unwrap(_ bytes: [UInt8], for owner: RingOwner) throws(UnwrapRefused) -> Secret {
            guard let secret = Secret(bytes.map { $0 ^ key }) else { throw .damaged }
            return secret
        }
    }

    private static let service = KeyHolder.service(Service(key: 7))

    private static func recipient(_ number: UInt8) throws -> KeyHolder {
        .recipient(try #require(BoxPrivateKey(try Rig.secret(number)).publicKey))
    }

    /// At the beginning of the first day.
    private struct Founded {
        let store = MemoryStore()
        let rings: Rings
        let first: KnownRing
        var chance = SeededRandom(seed: 1)

        init(_ holders: [KeyHolder]) throws {
            rings = Rings(
                store, repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 3, low: 4))
            let named = holders.enumerated().map { NamedHolder("\($0)", $1) }
            first = try rings.found(for: named, at: .zero, using: &chance)
            try Vault.found(rings.repository, in: store)
        }

        mutating func renewed(
            _ known: KnownRing, by holder: KeyHolder, onDay day: UInt64
        ) throws -> KnownRing? {
            try rings.renewed(
                known, by: holder, olderThan: RenewingTests.age,
                at: WallTime(day * RenewingTests.day),
                using: &chance)
        }
    }

    @Test func `a ring is rotated when its epoch is old enough, and not before`() throws {
        for holder in [KeyHolder.file(try Rig.secret(50)), Self.service] {
            var it = try Founded([holder, try Self.recipient(60)])
            #expect(try it.renewed(it.first, by: holder, onDay: 89) == nil)
            let second = try #require(try it.renewed(it.first, by: holder, onDay: 90))
            #expect(second.number == 2 && second.ring.current.since == WallTime(90 * Self.day))
            #expect(try it.renewed(second, by: holder, onDay: 179) == nil)
            // By a clock that is behind the one which rotated it began in the future.
            #expect(try it.renewed(second, by: holder, onDay: 0) == nil)
            #expect(try #require(try it.renewed(second, by: holder, onDay: 180)).number == 3)
            let escrow = KeyHolder.box(BoxPrivateKey(try Rig.secret(60)))
            #expect(try it.rings.newest(openedBy: escrow).number == 3)
        }
    }

    @Test func `what would lose a key is not done, and says which`() throws {
        let holder = KeyHolder.file(try Rig.secret(50))
        for (other, why) in [
            (KeyHolder.file(try Rig.secret(51)), "key file \"1\" would open nothing any more"),
            (.passphrase([1]), "passphrase \"1\" would open"),
            (Self.service, "command \"1\" would open"),
        ] {
            var it = try Founded([holder, other])
            let objects = it.store.objects
            let told = try words {
                _ = try it.renewed(it.first, by: holder, onDay: 100)
            }
            #expect(told.hasPrefix("the key of epoch 1 is 100 days old"), "\(told)")
            #expect(told.contains(why), "\(told)")
            #expect(it.store.objects == objects)
        }
    }

    @Test func `who comes second to rotate takes what the first one made`() throws {
        let holder = KeyHolder.file(try Rig.secret(50))
        var it = try Founded([holder, try Self.recipient(60)])
        let made = try it.rings.append(
            after: it.first, for: [holder], at: WallTime(Self.day), using: &it.chance)
        let taken = try #require(try it.renewed(it.first, by: holder, onDay: 100))
        #expect(taken.number == 2 && taken.digest == made.digest)
    }

    /// What is sealed by a ring that one store alone has is lost with that store.
    @Test func `a ring that the leading store alone took is used only once the others have it`()
        throws
    {
        let holder = KeyHolder.file(try Rig.secret(50))
        var it = try Founded([holder, try Self.recipient(60)])
        let (here, there) = (it.store, MemoryStore(it.store.objects))
        let both = CopiedStore(
            [here, there].map { store in
                CopiedStore.Copy("memory") { () throws(ObjectStoreFailure) in store }
            }, .copies(2))
        let rings = Rings(both, repository: it.rings.repository, tenant: it.rings.tenant)
        there.stop(afterPuts: 0)
        func renewed() throws -> KnownRing? {
            try rings.renewed(
                it.first, by: holder, olderThan: Self.age, at: WallTime(100 * Self.day),
                using: &it.chance)
        }
        #expect(try words { _ = try renewed() }.contains("2 copies have to be made"))
        #expect(here.objects[rings.name(2)] != nil && there.objects[rings.name(2)] == nil)
        there.stop(afterPuts: .max)
        #expect(try renewed()?.number == 2)
        #expect(there.objects[rings.name(2)] == here.objects[rings.name(2)])
    }

    /// B5: what lies there for seven years is read by the newest ring, through all that were made by themselves.
    @Test func `thirty rotations later the oldest backup is restored`() throws {
        let holder = KeyHolder.file(try Rig.secret(50))
        var it = try Founded([holder, try Self.recipient(60), Self.service])
        // The service is not this agent's: it is dropped by hand once.
        var known = try it.rings.append(
            after: it.first, for: [holder], dropping: ["2"], at: .zero, using: &it.chance)
        var volume = try MemoryVolume(1 << 20)
        var random = SeededRandom(seed: 3)
        volume.fill(60, kinds: 20, &random)
        let oldest = try Rig.back(up: volume, try Vault(it.store, ring: known.ring)).manifest
        var day: UInt64 = 0
        for _ in 0..<30 {
            day += 90
            let before = it.store.byteCount
            known = try #require(try it.renewed(known, by: holder, onDay: day))
            #expect(it.store.byteCount - before < 4_096, "a rotation stores nothing anew")
            _ = try Rig.back(up: volume, try Vault(it.store, ring: known.ring))
        }
        #expect(known.ring.current.epoch == KeyEpoch(32))
        let escrow = KeyHolder.box(BoxPrivateKey(try Rig.secret(60)))
        let vault = try Vault(it.store, ring: it.rings.newest(openedBy: escrow).ring)
        let manifest = try Manifests(vault).manifest(oldest.manifest.sequence)
        let map = try #require(manifest.manifest.volumes.first?.map)
        let target = MemoryTarget(map.shape.byteCount)
        try BackupReader(vault, threads: 2).restore(map, to: target)
        #expect(target.contents == volume.contents)
    }

    /// Who stole a ring can vouch for the one after it, and for none after that; nor can he name what is written then.
    @Test func `an incident's rotation ends what the old ring was good for`() throws {
        let (key, spare) = (KeyHolder.file(try Rig.secret(50)), KeyHolder.file(try Rig.secret(51)))
        for isRenewed in [false, true] {
            var it = try Founded([key, spare])
            let second = try it.rings.append(
                after: it.first, for: [key, spare], renewingIDs: isRenewed, at: .zero,
                using: &it.chance)
            #expect(second.ring.keepsIDs(since: .first) == !isRenewed)
            #expect(second.ring.holdsAll(of: it.first.ring))
            let (old, new) = (it.first.ring, second.ring)
            #expect((old.vouch(for: [1]) == new.vouch(for: [1])) == !isRenewed)
        }
    }

    @Test func `no rotation uploads a megabyte, however many keys and epochs there are`() throws {
        let holders = try (0..<UInt8(KeyRingObject.wrappingsMax)).map { number in
            number == 0 ? KeyHolder.file(try Rig.secret(50)) : try Self.recipient(60 + number)
        }
        var it = try Founded(holders)
        var known = it.first
        var ring = known.ring
        for _ in 1..<KeyRing.turnsMax - 1 {
            let renewal = KeyRing.Renewal(
                idSecret: .drawn(by: &it.chance), succession: .drawn(by: &it.chance))
            let isTurned = ring.rotate(
                to: .drawn(by: &it.chance), renewing: renewal, at: .zero)
            try #require(isTurned)
        }
        known = KnownRing(ring: ring, number: 1, digest: known.digest)
        let before = it.store.byteCount
        let last = try #require(try it.renewed(known, by: holders[0], onDay: 90))
        #expect(last.ring.turns.count == KeyRing.turnsMax)
        let uploaded = it.store.byteCount - before
        #expect((300_000..<1_000_000).contains(uploaded), "\(uploaded)")
    }
}
