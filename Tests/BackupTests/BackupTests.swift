@testable import Backup
import Mesh
import Repository
import Sealing
import Testing

@Suite("Backups") struct BackupTests {
    @Test(arguments: [1, 4_096, 4_097, 1 << 20, (3 << 20) + 5_000], [Rig.small, BackupLimits()])
    func `what is restored is what was backed up`(
        byteCount: UInt64, limits: BackupLimits
    ) throws {
        var random = SeededRandom(seed: byteCount)
        var volume = try MemoryVolume(byteCount)
        volume.fill(Int(volume.shape.cellCount / 2) + 1, kinds: 400, &random)
        let store = MemoryStore()
        let vault = try Rig.vault(store, limits)
        let (made, tally) = try Rig.back(up: volume, vault)
        #expect(made.manifest.sequence == 1)
        if limits == Rig.small, byteCount > 1 << 20 {
            #expect(tally.packCount > 3 && tally.indexCount > 2)
        }
        // Whoever opens the repository finds the same.
        let found = try #require(try Manifests(vault).newest())
        #expect(found.manifest == made.manifest)
        #expect(try Rig.restored(found.manifest, vault) == volume.contents)
    }

    @Test func `a second backup of the same stores next to nothing`() throws {
        var random = SeededRandom(seed: 1)
        var volume = try MemoryVolume(8 << 20)
        volume.fill(2_000, kinds: 1_000, &random)
        let store = MemoryStore()
        let vault = try Rig.vault(store)
        let (first, one) = try Rig.back(up: volume, vault)
        let (second, two) = try Rig.back(up: volume, vault)
        #expect(one.packCount >= 1 && two.packCount == 0 && two.storedByteCount == 0)
        #expect(first.manifest.volumes == second.manifest.volumes)
        #expect(second.manifest.predecessor == first.digest)
    }

    /// Equal cells are stored once, whichever thread comes first.
    @Test func `cells that lie side by side are written together, up to a limit`() throws {
        // Noise, so that each cell is a blob of its own; and a gap.
        var volume = try MemoryVolume(20 * 4_096 + 100)
        for cell in [UInt64](0..<9) + [12, 20] {
            volume.cells[cell] = MemoryVolume.content(3 * cell + 1, cell == 20 ? 100 : 4_096)
        }
        volume.cells[20]? += [UInt8](repeating: 0, count: 4_096 - 100)
        var limits = BackupLimits()
        limits.writeByteCountMax = 8_000
        let vault = try Rig.vault(MemoryStore(), limits)
        let map = try Rig.back(up: volume, vault, threads: 1).manifest.manifest.volumes[0].map
        let target = MemoryTarget(map.shape.byteCount)
        try BackupReader(vault, threads: 1).restore(map, to: target)
        #expect(target.contents == volume.contents)
        #expect(target.lengths == [8_192, 8_192, 8_192, 8_192, 4_096, 4_096, 100])
    }

    @Test func `of equal cells one is stored`() throws {
        let volume = try MemoryVolume(64 << 20)
        let cell = MemoryVolume.content(1, 4_096)
        let cells = Dictionary(
            uniqueKeysWithValues: (0..<volume.shape.cellCount).map { ($0, cell) })
        let store = MemoryStore()
        let vault = try Rig.vault(store)
        let (_, tally) = try Rig.back(
            up: MemoryVolume(volume.shape, cells), vault, threads: 4)
        #expect(tally.readByteCount == 64 << 20)
        #expect(try Rig.stored(.cell, store, vault).count == 1)
        // 64 leaves are one node, above which there is one.
        #expect(try Rig.stored(.node, store, vault).count == 2)
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `an incremental backup is the same as a full one`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let size = 1 + random.next() % (6 << 20)
        var volume = try MemoryVolume(size)
        volume.fill(Int(volume.shape.cellCount) / 2 + 1, kinds: 300, &random)
        let store = MemoryStore()
        let vault = try Rig.vault(store, seed % 2 == 0 ? Rig.small : BackupLimits())
        var parent = try Rig.back(up: volume, vault).manifest
        for _ in 0..<6 {
            let before = volume
            var byteCountMin = try change(&volume, &random)
            if random.chance(1, in: 2) {
                byteCountMin = min(byteCountMin, try change(&volume, &random))
            }
            let touched = Set(before.cells.keys).union(volume.cells.keys).filter {
                $0 < volume.shape.cellCount && before.cells[$0] != volume.cells[$0]
            }
            // What lay behind the least end, and came back, was written since.
            let back = volume.cells.keys.filter {
                ($0 + 1) * volume.shape.cellByteCount > byteCountMin
            }
            let changed = ChangedCells(
                parent.manifest.volumes[0].map, epoch: parent.epoch,
                cells: MemoryVolume.ranges(Set(touched).union(back)), byteCountMin: byteCountMin)
            let (made, _) = try Rig.back(up: volume, vault, since: changed)
            #expect(made.manifest.kind == .incremental)
            #expect(try Rig.restored(made.manifest, vault) == volume.contents)
            let full = try Rig.back(up: volume, Rig.vault(MemoryStore())).manifest.manifest
            #expect(full.volumes == made.manifest.volumes)
            parent = made
        }
        let cells = try Rig.stored(.cell, store, vault)
        #expect(Set(cells).count == cells.count, "each is stored once")
    }

    /// Writes, gives back, shrinks or grows; gives of how few bytes it was meanwhile.
    private func change(
        _ volume: inout MemoryVolume, _ random: inout SeededRandom
    ) throws -> UInt64 {
        let before = volume.shape.byteCount
        let isResized = random.chance(1, in: 2)
        let after = isResized ? 1 + random.next() % (6 << 20) : before
        let shape = try #require(
            VolumeShape(byteCount: after, cellByteCount: volume.shape.cellByteCount))
        var cells = volume.cells.filter { $0.key < shape.cellCount }
        let cut = after / shape.cellByteCount
        if let bytes = cells[cut] {
            let kept = Int(after % shape.cellByteCount)
            cells[cut] =
                bytes.prefix(kept) + [UInt8](repeating: 0, count: bytes.count - kept)
        }
        for cell in cells.keys.sorted() where random.chance(1, in: 20) { cells[cell] = nil }
        volume = MemoryVolume(shape, cells)
        volume.fill(Int(random.next() % 40), kinds: 300, &random)
        return min(before, after)
    }

    @Test func `two backups tell in which cells they differ`() throws {
        let vault = try Rig.vault(MemoryStore(), Rig.small)
        var volume = try MemoryVolume(600 * 4_096 + 5)
        for cell in 0..<500 as Range<UInt64> {
            volume.cells[cell] = MemoryVolume.content(cell + 1, 4_096)
        }
        let one = try Rig.back(up: volume, vault).manifest.manifest.volumes[0].map
        volume.cells[7] = MemoryVolume.content(9_000, 4_096)
        volume.cells[8] = nil
        volume.cells[600] = MemoryVolume.content(9_001, 5) + [UInt8](repeating: 0, count: 4_091)
        let two = try Rig.back(up: volume, vault).manifest.manifest.volumes[0].map
        let reader = try BackupReader(vault, threads: 1)
        #expect(try reader.changes(one, since: one) == [])
        let wanted: [Range<UInt64>] = [7 * 4_096..<9 * 4_096, 600 * 4_096..<600 * 4_096 + 5]
        #expect(try reader.changes(two, since: one) == wanted)
        #expect(try reader.changes(one, since: two) == wanted)
    }

    @Test func `what was stored before a rotation need not be stored again, and opens`() throws {
        var random = SeededRandom(seed: 2)
        var volume = try MemoryVolume(4 << 20)
        volume.fill(700, kinds: 500, &random)
        let store = MemoryStore()
        let first = try Rig.back(up: volume, Rig.vault(store)).manifest.manifest
        let vault = try Rig.vault(store, rotations: 1)
        let (second, tally) = try Rig.back(up: volume, vault)
        #expect(tally.storedByteCount == 0)
        volume.fill(10, kinds: 5_000, &random)
        let third = try Rig.back(up: volume, vault).manifest.manifest
        #expect(try Rig.restored(third, vault) == volume.contents)
        #expect(try Rig.restored(second.manifest, vault) == Rig.restored(first, vault))
        // Who has the ring of before can't read what came behind the rotation, and is told so.
        let old = try Rig.vault(store)
        #expect(throws: BackupFailure.self) { try Manifests(old).newest() }
    }

    /// What a thief of the old ring could have stored is not counted on.
    @Test func `after the id secret was renewed all is stored anew, and no earlier map counts`()
        throws
    {
        var random = SeededRandom(seed: 3)
        var volume = try MemoryVolume(1 << 20)
        volume.fill(200, kinds: 100, &random)
        let store = MemoryStore()
        let first = try Rig.back(up: volume, Rig.vault(store)).manifest
        var ring = try Rig.ring()
        let renewal = KeyRing.Renewal(
            idSecret: try Rig.secret(110), succession: try Rig.secret(111))
        let isTurned = ring.rotate(to: try Rig.secret(2), renewing: renewal, at: .zero)
        #expect(isTurned)
        let vault = try Rig.vault(store, ring)
        let changed = ChangedCells(
            first.manifest.volumes[0].map, epoch: first.epoch, cells: [], byteCountMin: .max)
        #expect(try words { _ = try Rig.back(up: volume, vault, since: changed) }.contains("full"))
        let before = try Rig.stored(.cell, store, vault).count
        let (second, _) = try Rig.back(up: volume, vault)
        #expect(try Rig.stored(.cell, store, vault).count == 2 * before)
        #expect(try Rig.restored(second.manifest, vault) == volume.contents)
        #expect(try Rig.restored(first.manifest, vault) == volume.contents)
    }

    /// Who has the key of an earlier epoch can seal a manifest, and put it.
    @Test func `the newest manifest has to follow the one before it, under no earlier key`() throws
    {
        let store = MemoryStore()
        let old = try Rig.vault(store)
        let one = try Rig.back(up: MemoryVolume(4_096), old).manifest
        let vault = try Rig.vault(store, rotations: 1)
        let two = try Rig.back(up: MemoryVolume(8_192), vault).manifest
        func sealed(after former: ManifestObject, in place: SealedPlace) throws -> ManifestObject {
            try ManifestObject(
                sealing: Rig.manifest(after: former), in: place, random: vault.draw())
        }
        let name = vault.layout.manifest(3)
        let ofAnEarlierKey = try sealed(after: two, in: old.place)
        let behindAnother = try sealed(
            after: sealed(after: one, in: vault.place), in: vault.place)
        for forged in [ofAnEarlierKey, behindAnother] {
            #expect(forged.manifest.sequence == 3)
            store.change(name) { $0 = forged.bytes }
            #expect(try words { _ = try Manifests(vault).newest() }.contains("forged"))
            store.change(name) { $0 = nil }
        }
        #expect(try Manifests(vault).newest()?.digest == two.digest)
        // Behind a gap it has nobody to follow, and still has to be of no earlier key.
        let far = try ManifestObject(
            sealing: Rig.manifest(after: sealed(after: two, in: vault.place)), in: old.place,
            random: vault.draw())
        store.change(vault.layout.manifest(4)) { $0 = far.bytes }
        #expect(try words { _ = try Manifests(vault).newest() }.contains("forged"))
        store.change(vault.layout.manifest(4)) { $0 = nil }
        // The one before may have been let go of.
        store.change(vault.layout.manifest(1)) { $0 = nil }
        #expect(try Manifests(vault).newest()?.digest == two.digest)
    }

    /// Two that run at once don't lose each other's.
    @Test func `of two backups that end at once both count, one behind the other`() throws {
        let vault = try Rig.vault(MemoryStore())
        let one = try Rig.back(up: try MemoryVolume(4_096), vault).manifest
        var inner: ManifestObject?
        let outer = try Manifests(vault).commit { former in
            if inner == nil { inner = try? Rig.back(up: MemoryVolume(4_096), vault).manifest }
            return Rig.manifest(after: former)
        }
        #expect(inner?.manifest.predecessor == one.digest)
        #expect(outer.manifest.predecessor == inner?.digest && outer.manifest.sequence == 3)
    }
}
