import Backup
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
        // With one thread all runs put the same.
        let one = try Rig.back(up: first, Rig.vault(before), threads: 1).manifest.manifest
        let whole = MemoryStore(before.objects)
        _ = try Rig.back(up: second, Rig.vault(whole), threads: 1)
        #expect(whole.putCount >= 3)
        for count in 0..<whole.putCount {
            let store = MemoryStore(before.objects)
            let vault = try Rig.vault(store)
            store.stop(afterPuts: count)
            #expect(throws: BackupFailure.self) {
                _ = try Rig.back(up: second, vault, threads: 1)
            }
            store.stop(afterPuts: .max)
            let newest = try #require(try Manifests(vault).newest())
            #expect(newest.manifest == one)
            #expect(try Rig.restored(one, vault) == first.contents)
            let again = try Rig.back(up: second, vault).manifest.manifest
            #expect(try Rig.restored(again, vault) == second.contents)
        }
    }

    @Test func `whatever object is damaged or gone, a restore gives nothing wrong and names it`()
        throws
    {
        let volume = try Self.volume(3)
        let store = MemoryStore()
        let made = try Rig.back(up: volume, Rig.vault(store)).manifest.manifest
        for (name, bytes) in store.objects {
            for isGone in [true, false] {
                let hurt = MemoryStore(store.objects)
                hurt.change(name) { $0 = nil }
                if !isGone {
                    // In a piece that is read: behind the header, before the padding.
                    let at = name.text.contains("manifests") ? bytes.count - 100 : 200
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
                #expect(said.contains(name.text) || said.contains("no index tells"), "\(said)")
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
