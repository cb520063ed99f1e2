@testable import Backup
import Mesh
import NIOConcurrencyHelpers
import Repository
import Sealing
import Testing

/// Who backs up, collects or rotates is killed behind each of its writes: `make backup-killpoints`.
@Suite("Killed at every write", .serialized) struct KillPointTests {
    struct Figures: Sendable {
        var points = 0
        var lost = 0
    }
    private static let figures = NIOLockedValueBox(Figures())

    /// Runs `deed` on copies of `before`, killed behind more and more of its writes, until it comes to its end.
    private static func kill(
        _ before: [ObjectName: [UInt8]], _ deed: (MemoryStore) throws -> Void,
        then check: (MemoryStore) throws -> Bool
    ) throws -> Int {
        for count in 0... {
            let store = MemoryStore(before)
            store.stop(afterPuts: count)
            let isDone = (try? deed(store)) != nil
            store.stop(afterPuts: .max)
            let isWhole = try check(store)
            #expect(isWhole, "killed behind write \(count)")
            figures.withLockedValue {
                $0.points += 1
                $0.lost += isWhole ? 0 : 1
            }
            if isDone { return count }
        }
        return 0
    }

    /// Whether all of these backups come back, and the next backup and the next collection come to their ends.
    private static func goesOn(
        _ store: MemoryStore, _ letters: String, kept: [UInt64], next: Character = "z"
    ) throws -> Bool {
        let rig = Pruning(store)
        guard try Set(kept).isSubset(of: rig.numbers) else { return false }
        try rig.checkAll(letters + String(repeating: next, count: 2))
        let made = try rig.backUp("\(next)", from: 500)
        try rig.checkAll(letters + String(repeating: next, count: 2))
        let pruned = try rig.prune()
        guard pruned.waitsFor.isEmpty, try rig.numbers == [made[0].manifest.sequence] else {
            return false
        }
        try rig.checkAll(letters + String(repeating: next, count: 2))
        let again = try rig.collector().plan()
        return again.dead.isEmpty
    }

    @Test func `a backup`() throws {
        let rig = Pruning()
        try rig.backUp("abc")
        // One that counts on what is there, and one that does not.
        for letter in ["a", "q"] as [Character] {
            let count = try Self.kill(rig.store.objects) { store in
                try Pruning(store).backUp("\(letter)", from: 10)
            } then: { store in
                try Self.goesOn(store, "abc", kept: [1, 2, 3], next: letter)
            }
            #expect(count > 3)
        }
    }

    @Test func `a collection`() throws {
        let rig = Pruning()
        try rig.backUp("abacd")
        let holds = Holds(try rig.vault())
        _ = try holds.put(2, reason: "case 7", at: .zero)
        let count = try Self.kill(rig.store.objects) { store in
            try Pruning(store).prune()
        } then: { store in
            let killed = Pruning(store)
            try killed.checkAll("abacd")
            let kept = try Set(killed.numbers).isSuperset(of: [2, 5])
            // Another collection first, and a backup first.
            let other = Pruning(MemoryStore(store.objects))
            try other.prune()
            try other.check("abacd", [2, 5])
            _ = try Holds(killed.vault()).release(2)
            return try kept && Self.goesOn(store, "abacd", kept: [5], next: "a")
        }
        #expect(count > 10)
    }

    /// In one that waits: the tombstones are there, a backup is made that counts on what they name, and then all is deleted.
    @Test func `a collection behind a backup that it waited for`() throws {
        let rig = Pruning()
        try rig.backUp("abc")
        let session = try Sessions(rig.vault()).begin("other", at: .zero)
        let vault = try rig.vault()
        let writer = try BackupWriter(vault, in: session, threads: 1)
        let map = try writer.store(Pruning.volume("a"))
        let state = try writer.store(Array("state".utf8))
        try writer.finish()
        try rig.prune()
        try Pruning.commit(session, vault, map, state)
        let count = try Self.kill(rig.store.objects) { store in
            try Pruning(store).prune()
        } then: { store in
            try Self.goesOn(store, "abca", kept: [4])
        }
        #expect(count > 5)
    }

    @Test func `a rotation`() throws {
        let store = MemoryStore()
        let ring = try Rig.ring()
        let rings = Rings(store, repository: ring.repository, tenant: ring.tenant)
        try Vault.found(ring.repository, in: store)
        let holders: [KeyHolder] = [.file(try Rig.secret(50)), .file(try Rig.secret(51))]
        var chance = SeededRandom(seed: 1)
        let first = try rings.found(
            for: [NamedHolder("key", holders[0]), NamedHolder("spare", holders[1])],
            at: .zero, using: &chance)
        let volume = try Pruning.volume("a")
        _ = try Rig.back(up: volume, Vault(store, ring: first.ring, limits: Rig.small), threads: 1)
        let before = store.objects
        _ = try Self.kill(before) { store in
            let rings = Rings(store, repository: ring.repository, tenant: ring.tenant)
            var chance = SeededRandom(seed: 2)
            _ = try rings.append(after: first, for: holders, at: .zero, using: &chance)
        } then: { store in
            let rings = Rings(store, repository: ring.repository, tenant: ring.tenant)
            var isWhole = true
            for holder in holders {
                let newest = try rings.newest(openedBy: holder, since: first)
                let copy = MemoryStore(store.objects)
                let vault = try Vault(copy, ring: newest.ring, limits: Rig.small)
                let manifest = try Manifests(vault).manifest(1).manifest
                isWhole = try isWhole && Rig.restored(manifest, vault) == volume.contents
                _ = try Rig.back(up: Pruning.volume("b"), vault, threads: 1)
                let collector = Collector(vault, try Pruning.newestOnly(), now: .zero)
                isWhole = try isWhole && collector.prune().waitsFor.isEmpty
                // What was there before goes only with its backup.
                let made = try #require(try Manifests(vault).newest())
                isWhole =
                    try isWhole
                    && Rig.restored(made.manifest, vault) == Pruning.volume("b").contents
            }
            return isWhole
        }
    }

    /// The last of the suite: what `make backup-killpoints` reads.
    @Test func `so many points, and nothing lost`() {
        let figures = Self.figures.withLockedValue { $0 }
        print("figures: {\"points\":\(figures.points),\"lost\":\(figures.lost)}")
        #expect(figures.lost == 0)
    }
}
