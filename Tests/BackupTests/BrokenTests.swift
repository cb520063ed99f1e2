@testable import Backup
import Mesh
import Repository
import Sealing
import Testing

@Suite("Backups that meet trouble") struct BrokenTests {
    private static func volume(_ seed: UInt64) throws -> MemoryVolume {
        var random = SeededRandom(seed: seed)
        var volume = try MemoryVolume(3 << 20)
        volume.fill(600, kinds: 2_000, &random)
        return volume
    }

    /// A store that is gone is the same as a process that is killed: what it was about to put is not there.
    @Test func `whenever a backup ends, the one before it can be restored, and the next completes`()
        throws
    {
        let (first, second) = (try Self.volume(1), try Self.volume(2))
        let before = MemoryStore()
        // With one thread all runs put the same; the first one is that of the repository itself.
        let vault = try Rig.vault(before, Rig.small)
        let one = try Rig.back(up: first, vault, threads: 1).manifest.manifest
        let whole = MemoryStore(before.objects)
        _ = try Rig.back(up: second, Rig.vault(whole, Rig.small), threads: 1)
        #expect(whole.putCount > 20)
        var stored = 0
        // The last one says only that it is over.
        for count in 0..<whole.putCount - 2 {
            let store = MemoryStore(before.objects)
            let vault = try Rig.vault(store, Rig.small)
            store.stop(afterPuts: count)
            #expect(throws: BackupFailure.self) {
                _ = try Rig.back(up: second, vault, threads: 1)
            }
            store.stop(afterPuts: .max)
            let newest = try #require(try Manifests(vault).newest())
            #expect(newest.manifest == one)
            #expect(try Rig.restored(one, vault) == first.contents)
            let (again, tally) = try Rig.back(up: second, vault, threads: 1)
            #expect(try Rig.restored(again.manifest, vault) == second.contents)
            // What was in an index by then is not stored again.
            #expect(count == 0 || tally.storedByteCount <= stored)
            stored = max(tally.storedByteCount, stored)
            if count == whole.putCount - 3 { #expect(tally.storedByteCount == 0) }
        }
    }

    /// What it was about to store is lost, and must not become a backup by a second try.
    @Test func `a backup that failed is given up, whatever failed and whatever is tried next`()
        throws
    {
        let volume = try Self.volume(5)
        for count in 0..<6 {
            let store = MemoryStore()
            let vault = try Rig.vault(store, Rig.small)
            let session = try Sessions(vault).begin("rig", at: .zero)
            let writer = try BackupWriter(vault, in: session, threads: 2)
            store.stop(afterPuts: count)
            #expect(throws: BackupFailure.self) {
                _ = try writer.store(volume)
                try writer.finish()
            }
            store.stop(afterPuts: .max)
            #expect(try words { try writer.finish() }.contains("given up"))
            #expect(try words { _ = try writer.store(volume) }.contains("given up"))
            #expect(try words { _ = try writer.store([1, 2]) }.contains("given up"))
        }
    }

    @Test func `an index that can't be read is named, and gone without`() throws {
        let (one, two) = (try Self.volume(6), try Self.volume(7))
        let store = MemoryStore()
        let vault = try Rig.vault(store)
        _ = try Rig.back(up: one, vault)
        let index = try #require(store.objects.keys.first { $0.text.contains("/indexes/") })
        store.change(index) { $0?[300] ^= 1 }
        let readme = try #require(ObjectName("\(vault.layout.indexes)/readme"))
        store.change(readme) { $0 = [1] }
        let empty = vault.layout.index(Digest(of: [UInt8](repeating: 1, count: 1).span))
        store.change(empty) { $0 = [] }
        let (made, tally) = try Rig.back(up: one, vault)
        #expect(tally.unreadableIndexes.keys.sorted() == [empty, index].sorted())
        #expect(try Rig.restored(made.manifest, vault) == one.contents)
        let other = try Rig.back(up: two, vault).manifest.manifest
        #expect(try Rig.restored(other, vault) == two.contents)
    }

    /// An index outlives a pack: to believe it would make no later backup whole.
    @Test func `what a lost or shortened pack held is stored again with the next backup`() throws {
        let volume = try Self.volume(9)
        let store = MemoryStore()
        let vault = try Rig.vault(store, Rig.small)
        _ = try Rig.back(up: volume, vault)
        let packs = store.objects.keys.filter { $0.text.contains("/packs/") }.sorted()
        #expect(packs.count > 10)
        let cells = try Rig.stored(.cell, store, vault)
        store.change(packs[0]) { $0 = nil }
        store.change(packs[1]) { $0 = $0.map { Array($0.prefix(100)) } }
        let made = try Rig.back(up: volume, vault).manifest.manifest
        #expect(try Rig.restored(made, vault) == volume.contents)
        store.change(packs[1]) { $0 = nil }
        let again = try Rig.stored(.cell, store, vault)
        #expect(again.sorted() == cells.sorted(), "no more than what was lost")
    }

    /// Two agents that met the same cells at once have both stored them.
    @Test func `of two copies of a blob one that is whole is enough`() throws {
        let volume = try Self.volume(8)
        let store = MemoryStore()
        let vault = try Rig.vault(store)
        let made = try Rig.back(up: volume, vault).manifest.manifest
        let apart = MemoryStore()
        _ = try Rig.back(up: volume, Rig.vault(apart))
        let own = store.objects.keys.filter { $0.text.contains("/packs/") }
        for (name, bytes) in apart.objects where !name.text.contains("manifests") {
            store.change(name) { $0 = $0 ?? bytes }
        }
        for name in own { store.change(name) { $0?[1_000] ^= 1 } }
        #expect(try Rig.restored(made, vault) == volume.contents)
        for name in own { store.change(name) { $0 = nil } }
        #expect(try Rig.restored(made, vault) == volume.contents)
    }

    @Test func `a store that is not this repository is refused`() throws {
        let store = MemoryStore()
        let ring = try Rig.ring()
        let draw = try Rig.vault(MemoryStore()).draw
        #expect(try words { _ = try Vault(store, ring: ring, draw: draw) }.contains("repository"))
        try Vault.found(RepositoryID(high: 9, low: 9), in: store)
        let said = try words { _ = try Vault(store, ring: ring, draw: draw) }
        #expect(said.contains("belongs to repository 00000000000000090000000000000009"))
        #expect(throws: BackupFailure.self) { try Vault.found(ring.repository, in: store) }
        store.change(Layout.repository) { $0?[3] ^= 1 }
        #expect(throws: BackupFailure.self) { _ = try Vault(store, ring: ring, draw: draw) }
    }

    @Test func `whatever object is damaged or gone, a restore gives nothing wrong and names it`()
        throws
    {
        let volume = try Self.volume(3)
        let store = MemoryStore()
        let made = try Rig.back(up: volume, Rig.vault(store)).manifest.manifest
        for (name, bytes) in store.objects
        where name != Layout.repository && !name.text.contains("/sessions/") {
            for isGone in [true, false] {
                let hurt = MemoryStore(store.objects)
                hurt.change(name) { $0 = nil }
                if !isGone {
                    // In a piece that is read, however few bytes it has: right behind the header.
                    let at = name.text.contains("manifests") ? bytes.count - 100 : 100
                    hurt.change(name) { $0 = bytes }
                    hurt.change(name) { $0?[at] ^= 4 }
                }
                let vault = try Rig.vault(hurt)
                if name.text.contains("manifests"), isGone {
                    #expect(try Manifests(vault).numbers() == [])
                    continue
                }
                let said = try words {
                    let manifest = try Manifests(vault).newest()
                    _ = try Rig.restored(#require(manifest).manifest, vault)
                }
                let isLost = isGone && name.text.contains("/indexes/")
                #expect(said.contains(isLost ? "no index tells" : name.text), "\(said)")
            }
        }
        #expect(try Rig.restored(made, Rig.vault(store)) == volume.contents)
    }

    @Test func `a source that fails ends the backup, and no manifest is put`() throws {
        struct Failing: CellSource {
            let volume: MemoryVolume
            var shape: VolumeShape { volume.shape }
            var allocated: [Range<UInt64>] { volume.allocated }
            func read(_ cells: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
                if cells.contains(300) { throw .volume("the disk is gone") }
                return try volume.read(cells)
            }
        }
        let store = MemoryStore()
        let vault = try Rig.vault(store)
        var volume = try Self.volume(4)
        volume.cells[300] = MemoryVolume.content(1, 4_096)
        let failing = Failing(volume: volume)
        #expect(try words { _ = try Rig.back(up: failing, vault) } == "the disk is gone")
        #expect(try Manifests(vault).numbers() == [])
    }

    @Test func `who is overtaken again and again gives up, and says so`() throws {
        let vault = try Rig.vault(MemoryStore())
        let said = try words {
            _ = try Manifests(vault).commit { former throws(BackupFailure) in
                let other = try? Manifests(vault).commit { Rig.manifest(after: $0) }
                guard other != nil else { throw .volume("the other one failed") }
                return Rig.manifest(after: former)
            }
        }
        #expect(said.contains("16 times in a row"))
        #expect(try Manifests(vault).numbers().count == Manifests.triesMax)
    }

    /// What is in an earlier map would stand at other places.
    @Test func `a map of other cells is neither gone on with nor restored`() throws {
        let (store, volume) = (MemoryStore(), try Self.volume(10))
        let vault = try Rig.vault(store)
        let made = try Rig.back(up: volume, vault).manifest
        let map = made.manifest.volumes[0].map
        let shape = try #require(
            VolumeShape(byteCount: 2 * map.shape.byteCount, cellByteCount: 8_192))
        let changed = ChangedCells(map, epoch: made.epoch, cells: [], byteCountMin: .max)
        let other = MemoryVolume(shape, [:])
        let said = try words { _ = try Rig.back(up: other, vault, since: changed) }
        #expect(said.contains("cells of 4096 bytes"))
        let reader = try BackupReader(vault, threads: 2)
        let target = MemoryTarget(shape.byteCount)
        let refused = try words { try reader.restore(VolumeMap(shape, top: map.top), to: target) }
        #expect(refused.contains("is of another length"))
    }

    /// Another agent may have put several into one since.
    @Test func `an index that goes between its listing and its reading is none`() throws {
        struct Ghostly: ObjectStore {
            let store: MemoryStore
            let ghost: ObjectName
            func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
                var listing = try store.list(part)
                if ghost.text.hasPrefix(part?.text ?? "") {
                    listing.objects.append(.init(name: ghost, byteCount: 8_192))
                }
                return listing
            }
            func put(
                _ name: ObjectName, _ bytes: [UInt8]
            ) throws(ObjectStoreFailure) -> PutOutcome { try store.put(name, bytes) }
            func get(
                _ name: ObjectName, _ range: Range<Int>?
            ) throws(ObjectStoreFailure) -> [UInt8] { try store.get(name, range) }
            func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool { false }
            func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {}
            func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {}
            func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }
        }
        let layout = Layout(try Rig.ring().tenant)
        let store = Ghostly(store: MemoryStore(), ghost: layout.index(.ofNothing))
        let vault = try Rig.vault(store)
        let volume = try Self.volume(11)
        let (made, tally) = try Rig.back(up: volume, vault)
        #expect(tally.unreadableIndexes.isEmpty)
        #expect(try Rig.restored(made.manifest, vault) == volume.contents)
    }

    @Test func `a manifest under another's number is refused`() throws {
        let store = MemoryStore()
        let vault = try Rig.vault(store)
        _ = try Rig.back(up: MemoryVolume(4_096), vault)
        _ = try Rig.back(up: MemoryVolume(8_192), vault)
        let second = store.objects[vault.layout.manifest(2)]
        store.change(vault.layout.manifest(1)) { $0 = second }
        #expect(try words { _ = try Manifests(vault).manifest(1) }.contains("manifest 2"))
    }
}
