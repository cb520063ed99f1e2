@testable import Backup
import Mesh
@testable import Repository
import Sealing
import Testing

@Suite("Tenants that are erased") struct ErasingTests {
    private struct Founded {
        let store: MemoryStore
        let rings: Rings
        let newest: KnownRing
        let key: KeyHolder

        /// With two rings and a backup of each.
        init(_ store: MemoryStore, tenant: UInt64) throws {
            self.store = store
            rings = Rings(
                store, repository: RepositoryID(high: 1, low: 2),
                tenant: TenantID(high: 3, low: tenant))
            let (key, spare) = (
                KeyHolder.file(try Rig.secret(UInt8(tenant))), KeyHolder.file(try Rig.secret(99))
            )
            self.key = key
            var chance = SeededRandom(seed: tenant)
            let first = try rings.found(
                for: [NamedHolder("key", key), NamedHolder("spare", spare)], at: .zero,
                using: &chance)
            try Vault.found(rings.repository, in: store)
            _ = try Rig.back(up: try MemoryVolume(1 << 20), try Vault(store, ring: first.ring))
            newest = try rings.append(
                after: first, for: [key, spare], at: .zero, using: &chance)
        }

        func erase(
            kept: ([UInt8]) throws(BackupFailure) -> Void = { _ in }
        ) throws(BackupFailure) -> Rings.Erasure {
            try rings.erase(newest, by: "ann", reason: "asked for", at: WallTime(7), kept: kept)
        }
    }

    @Test func `no ring of an erased tenant is left, and nothing of another one is touched`() throws
    {
        let store = MemoryStore()
        let (gone, other) = (try Founded(store, tenant: 4), try Founded(store, tenant: 5))
        let before = store.objects.filter { !$0.key.text.hasPrefix("\(gone.rings.tenant)/") }
        let digests = try [1, 2].map { try gone.rings.digest($0) }
        let done = try gone.erase()
        #expect(done.ringCount == 2)
        #expect(!store.objects.keys.contains { $0.text.hasPrefix("\(gone.rings.tenant)/keys") })
        let told = try words { _ = try gone.rings.newest(openedBy: gone.key) }
        #expect(told.contains("or was the tenant erased?"))
        #expect(store.objects.filter { before.keys.contains($0.key) } == before)
        #expect(try other.rings.newest(openedBy: other.key).digest == other.newest.digest)
        // The record is checked by the key that the rings gave, when there are none any more.
        let publicKey = try #require(gone.newest.ring.erasureKey.publicKey)
        let stored = try #require(store.objects[Layout(gone.rings.tenant).erasure(1)])
        let record = try ErasureRecord(parsing: stored, signedBy: publicKey)
        #expect(stored == done.record && record.rings.map(\.digest) == digests)
        #expect(record.tenant == gone.rings.tenant && record.by == "ann")
    }

    @Test func `killed anywhere, an erasure is asked for again, and ends`() throws {
        for puts in 0..<3 {
            let it = try Founded(MemoryStore(), tenant: 4)
            it.store.stop(afterPuts: puts)
            #expect(throws: BackupFailure.self) { try it.erase() }
            it.store.stop(afterPuts: .max)
            #expect(try it.rings.newest(openedBy: it.key).digest == it.newest.digest)
            _ = try it.erase()
            #expect(throws: BackupFailure.self) { try it.rings.newest(openedBy: it.key) }
        }
    }

    @Test func `nothing is deleted where the record can't be kept, or another ring came`() throws {
        let it = try Founded(MemoryStore(), tenant: 4)
        let objects = it.store.objects
        #expect(throws: BackupFailure.self) {
            try it.erase { _ throws(BackupFailure) in throw .refused("no room") }
        }
        var chance = SeededRandom(seed: 1)
        let spare = KeyHolder.file(try Rig.secret(99))
        #expect(it.store.objects == objects)
        _ = try it.rings.append(after: it.newest, for: [it.key, spare], at: .zero, using: &chance)
        let told = try words { _ = try it.erase() }
        #expect(told.contains("another ring came meanwhile: nothing was deleted"))
        #expect(try it.rings.wrappings(3).count == 2)
        let long = try words {
            _ = try it.rings.erase(
                try it.rings.newest(openedBy: it.key), by: "a\nb", reason: "r", at: .zero
            ) { _ in }
        }
        #expect(long.contains("one line each"))
    }
}
