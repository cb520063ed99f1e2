@testable import Backup
import Copies
import Mesh
import NIOConcurrencyHelpers
import Repository
import Testing

@Suite("What a rate counts") struct PacedStoreTests {
    private final class Count: Sendable {
        private let state = NIOLockedValueBox<[Int]>([])
        var all: [Int] { state.withLockedValue { $0 } }
        var byteCount: Int { all.reduce(0, +) }
        func take(_ count: Int) { state.withLockedValue { $0.append(count) } }
    }

    private struct Nowhere: CellTarget {
        func write(_ bytes: [UInt8], at offset: UInt64) {}
    }

    private static func volume() throws -> MemoryVolume {
        var random = SeededRandom(seed: 3)
        var volume = try MemoryVolume(1 << 20)
        volume.fill(200, kinds: 1_000, &random)
        return volume
    }

    @Test func `all bytes of objects that a backup puts and reads are counted, each once`() throws {
        let store = MemoryStore()
        let count = Count()
        let vault = try Rig.vault(PacedStore(store, count.take), Rig.small)
        _ = try Rig.back(up: Self.volume(), vault)
        #expect(count.byteCount == store.byteCount + store.readByteCount)
        #expect(store.byteCount > 100_000)
    }

    @Test func `all bytes of objects that a restore reads are counted, each once`() throws {
        let store = MemoryStore()
        let made = try Rig.back(up: Self.volume(), try Rig.vault(store, Rig.small)).manifest
        let count = Count()
        let vault = try Rig.vault(PacedStore(store, count.take), Rig.small)
        let (before, counted) = (store.readByteCount, count.byteCount)
        let reader = try BackupReader(vault, threads: 2)
        try reader.restore(made.manifest.volumes[0].map, to: Nowhere())
        #expect(count.byteCount - counted == store.readByteCount - before)
        #expect(store.readByteCount - before > 100_000)
    }

    @Test func `what goes to two stores counts twice, and a copy that is asked by itself once`()
        throws
    {
        let stores = [MemoryStore(), MemoryStore()]
        for store in stores { try Vault.found(Rig.ring().repository, in: store) }
        let count = Count()
        let paced = PacedStore(Twins.opened(stores), count.take)
        let name = try Layout(Rig.ring().tenant).manifest(9)
        _ = try paced.put(name, [1, 2, 3])
        #expect(count.all == [6] && stores.allSatisfy { $0.objects[name] == [1, 2, 3] })
        #expect(paced.copies.map(\.name) == ["store 0", "store 1"])
        #expect(try paced.copies[1].store.get(name, 1..<3) == [2, 3])
        #expect(count.all == [6, 2])
        _ = try paced.copies[0].store.put(name, [1, 2, 3])
        #expect(count.all == [6, 2, 3])
    }

    /// Or it would go out first, and be waited for behind.
    @Test func `what is put is paid for before it goes`() throws {
        let store = MemoryStore()
        let seen = NIOLockedValueBox<Int?>(nil)
        let paced = PacedStore(store) { _ in seen.withLockedValue { $0 = store.putCount } }
        _ = try paced.put(Layout(Rig.ring().tenant).manifest(9), [1])
        #expect(seen.withLockedValue { $0 } == 0 && store.putCount == 1)
    }

    @Test func `who waits for a long restore can know before how much it is`() throws {
        let store = MemoryStore()
        let vault = try Rig.vault(store, Rig.small)
        let volume = try Self.volume()
        let map = try Rig.back(up: volume, vault).manifest.manifest.volumes[0].map
        let reader = try BackupReader(vault, threads: 2)
        for bytes in [0..<1 << 20, 0..<1, 4_095..<4_097, 100_000..<900_001] as [Range<UInt64>] {
            let count = Count()
            try reader.restore(map, bytes: bytes, to: Counting(count: count))
            #expect(try reader.storedByteCount(map, bytes) == UInt64(count.byteCount), "\(bytes)")
        }
        #expect(try reader.storedByteCount([map, map]) == 2 * reader.storedByteCount(map))
    }

    private struct Counting: CellTarget {
        let count: Count
        func write(_ bytes: [UInt8], at offset: UInt64) { count.take(bytes.count) }
    }
}
