@testable import Backup
import Mesh
import Pacing
import Repository
import Retention
import Sealing
import Testing

@Suite("Copies of backups in another repository") struct CopyTests {
    /// Another repository of another tenant, whose key was rotated once.
    private static func ring() throws -> KeyRing {
        var ring = KeyRing(
            repository: RepositoryID(high: 50, low: 2), tenant: TenantID(high: 51, low: 4),
            idSecret: try Rig.secret(150), succession: try Rig.secret(151),
            first: try Rig.secret(51), at: WallTime(5))
        let isTurned = ring.rotate(to: try Rig.secret(52), at: WallTime(9))
        try #require(isTurned)
        return ring
    }

    private struct Pair {
        let pruning = Pruning()
        let other: MemoryStore

        init(_ letters: String, other: MemoryStore = MemoryStore()) throws {
            self.other = other
            try pruning.backUp(letters)
        }

        func target() throws -> Vault { try Rig.vault(other, CopyTests.ring(), Rig.small) }

        @discardableResult func copy(_ numbers: UInt64...) throws -> [BackupCopy.Outcome] {
            let copy = try BackupCopy(from: pruning.vault(), to: target(), threads: 2)
            return try numbers.map { number in try copy.copy(number, at: WallTime(9)) }
        }

        /// Those are there and no others, each as its original is.
        func check(_ letters: String, _ wanted: [UInt64]) throws {
            let manifests = Manifests(try target())
            #expect(try manifests.numbers() == wanted)
            for number in wanted {
                let copy = try manifests.manifest(number).manifest
                let letter = letters[letters.index(letters.startIndex, offsetBy: Int(number) - 1)]
                #expect(try Rig.restored(copy, target()) == Pruning.volume(letter).contents)
            }
        }

        func collector() throws -> Collector {
            Collector(
                try target(), try Pruning.newestOnly(),
                now: WallTime(Pruning.start + 1_000 * Pruning.day))
        }
    }

    @Test func `a copy is of the same number, moment and volumes, by other names and keys`() throws
    {
        let pair = try Pair("abc")
        #expect(try pair.copy(1, 2, 3).allSatisfy(\.isNew))
        try pair.check("abc", [1, 2, 3])
        for number in 1...3 as ClosedRange<UInt64> {
            let original = try Manifests(pair.pruning.vault()).manifest(number).manifest
            let copy = try Manifests(pair.target()).manifest(number).manifest
            #expect(copy.sequence == original.sequence && copy.time == original.time)
            #expect(copy.cluster == original.cluster && copy.position == original.position)
            #expect(copy.epoch == original.epoch && copy.kind == original.kind)
            #expect(copy.volumes.map(\.name) == original.volumes.map(\.name))
            #expect(copy.volumes[0].map.top != original.volumes[0].map.top)
        }
        let shared = Set(pair.other.objects.keys).intersection(pair.pruning.store.objects.keys)
        #expect(shared == [Layout.repository])
    }

    @Test func `what was copied is neither read nor stored again`() throws {
        let pair = try Pair("abc")
        try pair.copy(1, 2)
        let (there, read) = (pair.other.objects, pair.pruning.store.readByteCount)
        #expect(try pair.copy(1, 2).allSatisfy { !$0.isNew && $0.storedByteCount == 0 })
        #expect(pair.other.objects == there)
        // Their manifests alone, where each has 84 KB.
        #expect(pair.pruning.store.readByteCount - read < 20_000)
    }

    @Test func `of each what differs from the one before is read`() throws {
        let store = MemoryStore()
        let vault = try Rig.vault(store, Rig.small)
        var volume = try MemoryVolume(300 * 4_096)
        for cell in 0..<200 as Range<UInt64> {
            volume.cells[cell] = MemoryVolume.content(cell + 1, 4_096)
        }
        _ = try Rig.back(up: volume, vault, time: 5)
        volume.cells[7] = MemoryVolume.content(900, 4_096)
        // Freed, and written where nothing was.
        volume.cells[8] = nil
        volume.cells[299] = MemoryVolume.content(901, 4_096)
        _ = try Rig.back(up: volume, vault, time: 6)
        let target = try Rig.vault(MemoryStore(), Self.ring(), Rig.small)
        let copy = try BackupCopy(from: vault, to: target, threads: 2)
        #expect(try copy.copy(1, at: WallTime(9)).readByteCount == 200 * 4_096)
        let second = try copy.copy(2, at: WallTime(9))
        #expect(second.readByteCount == 2 * 4_096 && second.storedByteCount > 2 * 4_096)
        #expect(try Rig.restored(second.manifest, target) == volume.contents)
    }

    @Test(arguments: [(4_096 * 10 + 100, 4_096 * 9 + 7), (4_096 * 9 + 7, 4_096 * 300 + 5)])
    func `a volume whose length changed is copied to its last byte`(first: Int, second: Int) throws
    {
        let vault = try Rig.vault(MemoryStore(), Rig.small)
        let target = try Rig.vault(MemoryStore(), Self.ring(), Rig.small)
        var random = SeededRandom(seed: 11)
        var wanted: [[UInt8]] = []
        for (at, byteCount) in [first, second].enumerated() {
            var volume = try MemoryVolume(UInt64(byteCount))
            volume.fill(200, kinds: 90, &random)
            _ = try Rig.back(up: volume, vault, time: 5 + UInt64(at))
            wanted.append(volume.contents)
        }
        let copy = try BackupCopy(from: vault, to: target, threads: 2)
        for number in 1...2 as ClosedRange<UInt64> {
            let made = try copy.copy(number, at: WallTime(9)).manifest
            #expect(try Rig.restored(made, target) == wanted[Int(number) - 1])
        }
    }

    /// The cell in which it ends is called as before, and what lies behind it is read as zeros.
    @Test func `a volume that got shorter keeps what is before its end`() throws {
        let vault = try Rig.vault(MemoryStore(), Rig.small)
        let target = try Rig.vault(MemoryStore(), Self.ring(), Rig.small)
        let copy = try BackupCopy(from: vault, to: target, threads: 2)
        let ends = MemoryVolume.content(5, 7) + [UInt8](repeating: 0, count: 4_096 - 7)
        for (number, byteCount) in [4_096 * 9, 4_096 * 2 + 7].enumerated() {
            var volume = try MemoryVolume(UInt64(byteCount))
            volume.cells[2] = ends
            _ = try Rig.back(up: volume, vault, time: 5 + UInt64(number))
            let made = try copy.copy(UInt64(number) + 1, at: WallTime(9)).manifest
            #expect(try Rig.restored(made, target) == volume.contents)
        }
    }

    /// Who collects there must not take for lost what nobody copied.
    @Test func `numbers that were passed over are known not to be there`() throws {
        let pair = try Pair("abcdef")
        try pair.copy(2, 3)
        try pair.copy(6)
        try pair.check("abcdef", [2, 3, 6])
        let plan = try pair.collector().plan()
        #expect(plan.dead.manifests == [2, 3])
        _ = try pair.collector().prune()
        try pair.check("abcdef", [6])
        // And it goes on behind that.
        try pair.pruning.backUp("gh", from: 6)
        try pair.copy(8)
        try pair.check("abcdefgh", [6, 8])
        #expect(try pair.collector().plan().dead.manifests == [6])
    }

    /// Writers look for the tombstones of the newest collection alone.
    @Test func `no number is passed over while something is collected there`() throws {
        let pair = try Pair("abcd")
        try pair.copy(1)
        var names = CollectionStatement.Names()
        names.packs = [.ofNothing]
        let isPut = try Collections(pair.target()).put(1, .begun(names))
        try #require(isPut)
        let why = try #require(failure { try pair.copy(4) })
        #expect(why.contains("is being collected"))
        #expect(try Collections(pair.target()).tombstones() == names)
        // Where no number is passed over nothing has to be said of it.
        try pair.copy(2)
        try pair.check("abcd", [1, 2])
    }

    @Test func `none is put before one that is there`() throws {
        let pair = try Pair("abc")
        try pair.copy(2)
        let there = pair.other.objects
        let why = try #require(failure { try pair.copy(1) })
        #expect(why.contains("come to backup 2") && pair.other.objects == there)
    }

    @Test func `where a repository has backups of its own nothing is copied`() throws {
        let pair = try Pair("ab")
        _ = try Rig.back(up: Pruning.volume("x"), pair.target(), time: 77)
        let there = pair.other.objects
        let why = try #require(failure { try pair.copy(1) })
        #expect(why.contains("another one there") && pair.other.objects == there)
    }

    @Test func `no repository is copied to itself`() throws {
        let pair = try Pair("a")
        let vault = try pair.pruning.vault()
        #expect(failure { _ = try BackupCopy(from: vault, to: vault, threads: 1) } != nil)
    }

    @Test func `what is held is held in the copy, too`() throws {
        let pair = try Pair("ab")
        _ = try Holds(pair.pruning.vault()).put(1, reason: "case 7", at: WallTime(3))
        try pair.copy(1, 2)
        #expect(try Holds(pair.target()).numbers() == [1])
        #expect(try Holds(pair.target()).hold(1).reason == "case 7")
        // Later, of what was copied before.
        _ = try Holds(pair.pruning.vault()).put(2, reason: "case 8", at: WallTime(3))
        try pair.copy(2)
        #expect(try Holds(pair.target()).numbers() == [1, 2])
        #expect(try pair.collector().plan().dead.manifests == [])
    }

    @Test func `of what can't be read there is no copy`() throws {
        let pair = try Pair("a")
        let pack = try #require(
            pair.pruning.store.objects.keys.filter { $0.text.contains("/packs/") }.min())
        pair.pruning.store.change(pack) { $0?[5_000] ^= 1 }
        let why = try #require(failure { try pair.copy(1) })
        #expect(why.contains(pack.text))
        #expect(try Manifests(pair.target()).numbers() == [])
        pair.pruning.store.change(pack) { $0?[5_000] ^= 1 }
        try pair.copy(1)
        try pair.check("a", [1])
    }

    @Test func `ended at any put, the same command goes on, and nothing half is a backup`() throws {
        var isOver = false
        var count = 0
        while !isOver {
            let pair = try Pair("abcd")
            try pair.copy(1)
            pair.other.stop(afterPuts: count)
            let why = failure {
                try pair.copy(2)
                try pair.copy(4)
            }
            isOver = why == nil
            pair.other.stop(afterPuts: .max)
            let numbers = try Manifests(pair.target()).numbers()
            #expect([[1], [1, 2], [1, 2, 4]].contains(numbers), "after \(count) puts")
            try pair.check("abcd", numbers)
            try pair.copy(2, 4)
            try pair.check("abcd", [1, 2, 4])
            #expect(try pair.collector().plan().dead.manifests == [1, 2], "after \(count) puts")
            count += 1
        }
        #expect(count > 15)
    }

    private func failure(_ deed: () throws -> Void) -> String? {
        do { try deed() } catch { return "\(error)" }
        return nil
    }
}
