@testable import Backup
import Dispatch
import Mesh
import NIOConcurrencyHelpers
import Repository
import Testing

/// Looking into a volume of a backup without restoring it.
@Suite("Views") struct ViewTests {
    /// A volume, in which the last cell is cut, and its backup.
    private struct Place {
        let store = MemoryStore()
        let vault: Vault
        let volume: MemoryVolume
        let map: VolumeMap

        init(_ byteCount: UInt64, cells: Int, limits: BackupLimits, seed: UInt64 = 1) throws {
            var random = SeededRandom(seed: seed)
            var volume = try MemoryVolume(byteCount)
            volume.fill(cells, kinds: 5_000, &random)
            vault = try Rig.vault(store, limits)
            map = try Rig.back(up: volume, vault).manifest.manifest.volumes[0].map
            self.volume = volume
        }

        func view() throws -> VolumeView { VolumeView(map, try BackupReader(vault, threads: 2)) }
    }

    /// Four windows, of sixteen cells each, are kept.
    private static var narrow: BackupLimits {
        var limits = Rig.small
        limits.windowByteCount = 64 << 10
        limits.openedByteCountKept = 256 << 10
        limits.windowsRemembered = 8
        return limits
    }

    @Test(arguments: 0..<4 as Range<UInt64>)
    func `any range reads as it was, whatever was read before`(seed: UInt64) throws {
        let place = try Place(2_000_123, cells: 300, limits: Self.narrow, seed: seed)
        let (view, contents) = (try place.view(), place.volume.contents)
        var random = SeededRandom(seed: seed)
        for _ in 0..<60 {
            let start = random.next() % 2_100_000
            let range = start..<start + 1 + random.next() % 100_000
            let inside = range.clamped(to: 0..<2_000_123)
            let expected =
                Array(contents[Int(inside.lowerBound)..<Int(inside.upperBound)])
                + [UInt8](repeating: 0, count: range.count - inside.count)
            #expect(try view.read(range) == expected)
        }
    }

    @Test func `who reads on from several places at once gets what was there`() async throws {
        let place = try Place(1 << 20, cells: 250, limits: Self.narrow)
        let (view, contents) = (try place.view(), place.volume.contents)
        let wrong = NIOLockedValueBox<[String]>([])
        try await onThreads(8) { number in
            let first = UInt64(number) * (128 << 10)
            for start in stride(from: first, to: first + (128 << 10), by: 23_456) {
                let end = min(start + 23_456, 1 << 20)
                let read = try? view.read(start..<end)
                if read != Array(contents[Int(start)..<Int(end)]) {
                    wrong.withLockedValue { $0.append("\(start)") }
                }
            }
        }
        #expect(wrong.withLockedValue { $0 } == [])
    }

    @Test func `a few bytes cost a few blobs, and nothing when they are read again`() throws {
        let place = try Place(2 << 20, cells: 512, limits: Self.narrow)
        let view = try place.view()
        let before = place.store.readByteCount
        _ = try view.read(1_000_000..<1_000_100)
        // Nodes of the map, blocks of indexes, and one cell of the five hundred.
        #expect(place.store.readByteCount - before < 100 << 10)
        let after = place.store.readByteCount
        _ = try view.read(1_000_000..<1_000_200)
        #expect(place.store.readByteCount == after)
    }

    @Test func `who reads all in its order fetches hardly anything twice`() throws {
        let place = try Place(2 << 20, cells: 1_024, limits: Self.narrow)
        let reader = try BackupReader(place.vault, threads: 2)
        let start = place.store.readByteCount
        let target = MemoryTarget(2 << 20)
        try reader.restore(place.map, to: target)
        let restored = place.store.readByteCount - start
        let view = try place.view()
        let before = place.store.readByteCount
        var bytes: [UInt8] = []
        for at in stride(from: UInt64(0), to: 2 << 20, by: 4_096) {
            bytes += try view.read(at..<at + 4_096)
        }
        #expect(bytes == target.contents)
        #expect(place.store.readByteCount - before < 2 * restored)
    }

    @Test func `what is damaged is told where it is read, and the rest goes on`() throws {
        let place = try Place(512 << 10, cells: 200, limits: Self.narrow)
        let (contents, vault) = (place.volume.contents, place.vault)
        let packs = place.store.objects.filter { $0.key.text.contains("/packs/") }.mapValues {
            (try? PackReader($0, for: vault.place(of: $0)).blobs.map(\.blob)) ?? []
        }
        // Without nodes of the map: all cells below one would be lost with it.
        let ofCells = packs.filter { $0.value.allSatisfy { $0.kind == .cell } }
        let pack = try #require(ofCells.max { $0.value.count < $1.value.count }?.key)
        place.store.change(pack) { bytes in
            guard let count = bytes?.count else { return }
            for at in stride(from: 96, to: count - 200, by: 32) { bytes?[at] ^= 1 }
        }
        let lost = Set(ofCells[pack]?.map(\.id) ?? [])
        let view = try place.view()
        let ids = Dictionary(
            uniqueKeysWithValues: try view.reader.stored(place.map, 0..<128).map { ($0, $1) })
        var damaged = 0
        // From one window to another, so that none is taken for one that is read in its order at first.
        for cell in (0..<UInt64(128)).map({ $0 * 37 % 128 }) {
            let range = cell * 4_096..<(cell + 1) * 4_096
            let isLost = ids[cell].map(lost.contains) ?? false
            do throws(BackupFailure) {
                let read = try view.read(range)
                #expect(read == Array(contents[Int(range.lowerBound)..<Int(range.upperBound)]))
                #expect(!isLost)
            } catch {
                #expect(isLost && "\(error)".contains(pack.text), "cell \(cell): \(error)")
                damaged += 1
            }
        }
        #expect((8..<64).contains(damaged))
    }

    @Test func `extents say what is stored, what is zeros and what is nothing`() throws {
        var volume = try MemoryVolume(3 << 20)
        for cell in [0, 1, 7, 700] as [UInt64] {
            volume.cells[cell] = MemoryVolume.content(cell + 1, 4_096)
        }
        for cell in 20..<24 as Range<UInt64> {
            volume.cells[cell] = [UInt8](repeating: 0, count: 4_096)
        }
        let vault = try Rig.vault(MemoryStore(), Self.narrow)
        let map = try Rig.back(up: volume, vault).manifest.manifest.volumes[0].map
        let view = VolumeView(map, try BackupReader(vault, threads: 2))
        let told = view.extents(100..<4_000_000, countMax: 100)
        let cells: [(UInt64, ViewExtent.Kind)] = [
            (2, .data), (7, .hole), (8, .data), (20, .hole), (24, .zeros), (700, .hole),
            (701, .data),
        ]
        var (expected, at) = ([ViewExtent](), UInt64(100))
        for (end, kind) in cells {
            expected.append(ViewExtent(at..<end * 4_096, kind))
            at = end * 4_096
        }
        expected.append(ViewExtent(at..<4_000_000, .hole))
        #expect(told == expected)
        #expect(view.extents(100..<4_000_000, countMax: 3) == Array(expected.prefix(3)))
    }

    @Test(arguments: 0..<4 as Range<UInt64>)
    func `a range comes back alone, and costs what lies in it`(seed: UInt64) throws {
        let place = try Place(2 << 20, cells: 1_024, limits: Self.narrow)
        let contents = place.volume.contents
        let reader = try BackupReader(place.vault, threads: 2)
        var random = SeededRandom(seed: seed)
        let start = random.next() % (2_000_000)
        let range = start..<start + 1 + random.next() % 50_000
        let target = MemoryTarget(UInt64(range.count))
        let before = place.store.readByteCount
        try reader.restore(place.map, bytes: range, to: target)
        #expect(target.contents == Array(contents[Int(range.lowerBound)..<Int(range.upperBound)]))
        // The packs are about a megabyte together.
        #expect(place.store.readByteCount - before < 200 << 10)
    }
}

/// Calls it on so many threads that may wait.
func onThreads(_ count: Int, _ deed: @escaping @Sendable (Int) -> Void) async throws {
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
        let left = NIOLockedValueBox(count)
        for number in 0..<count {
            DispatchQueue(label: "views.\(number)").async {
                deed(number)
                let isLast = left.withLockedValue { left in
                    left -= 1
                    return left == 0
                }
                if isLast { done.resume() }
            }
        }
    }
}
