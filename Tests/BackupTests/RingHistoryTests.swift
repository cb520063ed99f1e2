import Copies
import Mesh
@testable import Repository
import Sealing
import Testing

@testable import Backup

@Suite("Key rings among others that somebody put") struct RingHistoryTests {
    /// Three rings for a key file and an escrow key, whose public half is anybody's.
    private struct Room {
        let stores = [MemoryStore(), MemoryStore()]
        let rings: Rings
        let all: [KnownRing]
        let holder: KeyHolder
        let escrow: KeyHolder

        init(seed: UInt64, file: UInt8) throws {
            holder = .file(try Rig.secret(file))
            let box = BoxPrivateKey(try Rig.secret(60))
            escrow = .box(box)
            var chance = SeededRandom(seed: seed)
            rings = Rings(
                Twins.opened(stores), repository: RepositoryID(high: 1, low: 2),
                tenant: TenantID(high: 3, low: 4))
            for store in stores { try Vault.found(rings.repository, in: store) }
            let holders = [
                NamedHolder("file", holder),
                NamedHolder("escrow", .recipient(try #require(box.publicKey))),
            ]
            var all = [try rings.found(for: holders, at: .zero, using: &chance)]
            for day in 1...2 as ClosedRange<UInt64> {
                all.append(
                    try rings.append(
                        after: all[all.count - 1], for: [holder], at: WallTime(day), using: &chance)
                )
            }
            self.all = all
        }

        func bytes(_ number: UInt64) throws -> [UInt8] {
            try #require(stores[0].objects[rings.name(number)])
        }
    }

    /// Answers for all but one object.
    private struct Deaf: ObjectStore {
        let store: MemoryStore
        let name: ObjectName
        var copies: [StoreCopy] { [StoreCopy("deaf", self)] }

        func get(
            _ name: ObjectName, _ range: Range<Int>?
        ) throws(ObjectStoreFailure) -> [UInt8] {
            guard name != self.name else {
                throw ObjectStoreFailure("read", name.text, in: "deaf", .service("try again"))
            }
            return try store.get(name, range)
        }
        func put(
            _ name: ObjectName, _ bytes: [UInt8]
        ) throws(ObjectStoreFailure) -> PutOutcome { try store.put(name, bytes) }
        func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
            try store.list(part)
        }
        func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
            try store.delete(name)
        }
        func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {
            try store.replace(name, with: bytes)
        }
        func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {}
        func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }
    }

    private let ours: Room
    private let theirs: Room

    init() throws {
        (ours, theirs) = (try Room(seed: 1, file: 50), try Room(seed: 2, file: 51))
    }

    @Test(arguments: 0..<3)
    func `from any ring on the ones before and behind it are known`(start: Int) throws {
        for holder in [ours.holder, ours.escrow] {
            let history = ours.rings.history(from: ours.all[start], by: holder)
            #expect(history.newest.digest == ours.all[2].digest)
            for ring in ours.all { try history.confirm(ring.number, ring.digest) }
            for ring in theirs.all {
                #expect(throws: ObjectDamage.self, "\(ring.number)") {
                    try history.confirm(ring.number, ring.digest)
                }
            }
        }
    }

    @Test func `what nothing vouches for is no next ring, also where the key opens it`() throws {
        // Closed to the public half of our escrow key, by somebody who has nothing else.
        let forged = try theirs.bytes(3)
        let history = ours.rings.history(from: ours.all[1], by: ours.escrow)
        for store in ours.stores { store.change(ours.rings.name(3)) { $0 = forged } }
        let fooled = ours.rings.history(from: ours.all[1], by: ours.escrow)
        #expect(history.newest.number == 3 && fooled.newest.number == 2)
        #expect(throws: ObjectDamage.self) { try fooled.confirm(3, theirs.all[2].digest) }
    }

    @Test func `a store that does not answer is no reason to take a ring for nobody's`() throws {
        let away = CopiedStore(
            [
                CopiedStore.Copy("here") { [store = ours.stores[0]] () throws(ObjectStoreFailure) in
                    store
                },
                CopiedStore.Copy("away") { () throws(ObjectStoreFailure) in
                    throw ObjectStoreFailure("open", "it", in: "away", .storeGone)
                },
            ], .one)
        let rings = Rings(away, repository: ours.rings.repository, tenant: ours.rings.tenant)
        #expect(rings.history(from: ours.all[0], by: ours.holder).newest.number == 3)
        let deaf = Deaf(store: ours.stores[0], name: rings.name(2))
        let others = Rings(deaf, repository: ours.rings.repository, tenant: ours.rings.tenant)
        let told = others.history(from: ours.all[0], by: ours.holder)
        #expect(told.newest.number == 1 && told.unknown?.contains("try again") == true)
        #expect(others.history(from: ours.all[2], by: ours.holder).unknown == nil)
    }

    /// It may be closed to another key than the one at hand: somebody dropped that.
    @Test func `what says that it follows our newest ring is not put out of the way`() throws {
        let history = ours.rings.history(from: ours.all[0], by: .file(try Rig.secret(99)))
        #expect(history.newest.number == 1)
        #expect(history.unknown?.contains("does not open") == true)
        let vault = try Vault(Twins.opened(ours.stores, .one), ring: ours.all[0].ring)
        let check = ObjectCheck(vault: vault, rings: history)
        let name = ours.rings.name(2)
        let (second, third) = (try ours.bytes(2), try ours.bytes(3))
        let forged = try theirs.bytes(2)
        #expect(!check.isWhole(name, second) && check.mayBeOurs(name, second))
        #expect(!check.mayBeOurs(name, forged) && !check.mayBeOurs(ours.rings.name(3), third))
        ours.stores[0].change(ours.rings.name(3)) { $0 = [1, 2, 3] }
        let report = try Repair(vault, rings: history, threads: 1, wasThere: { _ in false }).run()
        #expect(!report.planted.contains(name))
        #expect(report.lost.contains(name))
    }

    /// Sealed by a later key than is at hand.
    @Test func `what a later key seals is not put out of the way`() throws {
        let stores = ours.stores
        var chance = SeededRandom(seed: 9)
        let later = try Vault(Twins.opened(stores), ring: ours.all[2].ring, limits: Rig.small)
        var volume = try MemoryVolume(1 << 20)
        volume.fill(20, kinds: 20, &chance)
        _ = try Rig.back(up: volume, later)
        let vault = try Vault(Twins.opened(stores, .one), ring: ours.all[0].ring)
        let manifest = Layout(ours.rings.tenant).manifest(1)
        let bytes = try #require(stores[0].objects[manifest])
        let unopened = ours.rings.history(from: ours.all[0], by: .file(try Rig.secret(99)))
        let report = try Repair(vault, rings: unopened, threads: 1, wasThere: { _ in false }).run()
        #expect(!report.planted.contains(manifest) && stores[0].objects[manifest] != nil)
        // Where no later key is, who says so is not believed.
        let alone = RingHistory(
            tenant: ours.rings.tenant, newest: ours.all[0], unknown: nil, digests: [:])
        #expect(!ObjectCheck(vault: vault, rings: alone).mayBeOurs(manifest, bytes))
    }

    @Test func `a repair tells a thief's ring from ours, and puts ours back`() throws {
        let forged = try theirs.bytes(2)
        let true2 = try ours.bytes(2)
        ours.stores[0].change(ours.rings.name(2)) { $0 = forged }
        let vault = try Vault(Twins.opened(ours.stores, .one), ring: ours.all[2].ring)
        #expect(try Repair(vault, threads: 1).run().conflicts == [ours.rings.name(2)])
        let history = ours.rings.history(from: ours.all[2], by: ours.holder)
        let report = try Repair(vault, rings: history, threads: 1).run()
        #expect(report.conflicts == [] && report.repaired.count == 1)
        #expect(try ours.bytes(2) == true2)
    }
}
