@testable import Backup
import Mesh
import Repository
import Retention
import Sealing
import Testing

@Suite("Collection in two steps") struct CollectionTests {
    private let rig = Pruning()

    @Test func `what nothing leads to is deleted, and what is kept comes back`() throws {
        try rig.backUp("abc")
        let layout = try rig.vault().layout
        let packs = try rig.count(layout.packs)
        let pruned = try rig.prune()
        let swept = try #require(pruned.swept.first)
        #expect(swept.deleted.manifests == [1, 2] && pruned.waitsFor.isEmpty)
        #expect(swept.deleted.packs.count > 0 && swept.byteCount > 0)
        #expect(try rig.count(layout.packs) == packs - swept.deleted.packs.count)
        try rig.check("abc", [3])
        // Nothing is left that could go, but parts of packs.
        let again = try rig.prune()
        #expect(again.swept.isEmpty && again.plan?.dead.isEmpty == true)
        #expect(again.plan?.leftByteCount ?? 0 > 0)
        // The chain goes on, and what was deleted is stored again where it is needed.
        let next = try rig.backUp("a", from: 3)
        #expect(next[0].manifest.sequence == 4)
        try rig.check("abca", [3, 4])
        try rig.prune()
        try rig.check("abca", [4])
    }

    @Test func `what a killed backup left is deleted`() throws {
        try rig.backUp("a")
        rig.store.stop(afterPuts: 4)
        #expect(throws: BackupFailure.self) { try rig.backUp("b") }
        rig.store.stop(afterPuts: .max)
        let before = rig.store.byteCount
        // Its session is open until its writer begins another one.
        #expect(try rig.prune().waitsFor.map(\.writer) == ["rig"])
        try rig.backUp("a")
        #expect(try rig.prune().swept.isEmpty == false)
        #expect(rig.store.byteCount < before)
        try rig.check("aa", [2])
    }

    @Test func `nothing is deleted while one runs that began before the tombstones`() throws {
        try rig.backUp("ab")
        let session = try Sessions(rig.vault()).begin("other", at: .zero)
        let objects = rig.store.objects
        for _ in 0..<2 {
            let pruned = try rig.prune()
            #expect(pruned.waitsFor.map(\.number) == [session.number] && pruned.swept.isEmpty)
        }
        #expect(objects.allSatisfy { rig.store.objects[$0.key] == $0.value })
        // One that began behind them has seen them, and nothing waits for it.
        let late = try Sessions(rig.vault()).begin("late", at: .zero)
        session.giveUp("no more")
        #expect(try rig.prune().swept.map(\.collection) == [1])
        late.giveUp("done")
        try rig.check("ab", [2])
    }

    @Test func `what a running backup counted on is spared`() throws {
        try rig.backUp("ab")
        let vault = try rig.vault()
        let session = try Sessions(vault).begin("other", at: .zero)
        let writer = try BackupWriter(vault, in: session, threads: 1)
        let map = try writer.store(Pruning.volume("a"))
        let state = try writer.store(Array("state".utf8))
        try writer.finish()
        // It stored nothing: it counts on what the first one stored, and that goes.
        #expect(writer.tally.storedByteCount == 0)
        #expect(try rig.prune().swept.isEmpty)
        try Pruning.commit(session, vault, map, state)
        let pruned = try rig.prune()
        #expect(pruned.swept.first?.deleted.manifests == [1])
        try rig.checkAll("aba")
        #expect(try rig.numbers.last == 3)
    }

    @Test func `what is about to be deleted is not counted on, but stored again`() throws {
        try rig.backUp("ab")
        let blocking = try Sessions(rig.vault()).begin("other", at: .zero)
        try rig.prune()
        let (made, tally) = try Rig.back(up: Pruning.volume("a"), rig.vault(), threads: 1)
        #expect(tally.packCount > 0)
        blocking.giveUp("done")
        #expect(try rig.prune().swept.first?.deleted.packs.isEmpty == false)
        #expect(try Rig.restored(made.manifest, rig.vault()) == Pruning.volume("a").contents)
        try rig.checkAll("aba")
    }

    @Test func `only the newest collection and session are remembered`() throws {
        for (day, letters) in ["ab", "cd", "ef"].enumerated() {
            try rig.backUp(letters, from: UInt64(day) * 10)
            try rig.prune()
        }
        let layout = try rig.vault().layout
        #expect(
            try rig.store.list(layout.collections).objects.map(\.name)
                == Stage.allCases.map { layout.collection(3, $0) })
        #expect(
            try rig.store.list(layout.sessions).objects.map(\.name)
                == Stage.allCases.map { layout.session(6, $0) })
        #expect(try Collections(rig.vault()).letGo().numbers.ranges == [1...5])
        try rig.check("abcdef", [6])
    }

    @Test func `two that collect at once delete the same`() throws {
        try rig.backUp("abc")
        // Another one does all while this one looks.
        var inner: Collector.Pruned?
        let pruned = try rig.collector().prune { _ in
            inner = try? rig.prune()
            return true
        }
        #expect(inner?.swept.map(\.collection) == [1])
        #expect(pruned.swept.map(\.collection) == [2])
        #expect(pruned.swept.first?.byteCount == 0)
        try rig.check("abc", [3])
        // Another one begins while this one looks, and waits.
        try rig.backUp("d", from: 5)
        let session = try Sessions(rig.vault()).begin("other", at: .zero)
        #expect(throws: BackupFailure.self) {
            try rig.collector().prune { _ in (try? rig.prune()) != nil }
        }
        session.giveUp("done")
        try rig.prune()
        try rig.check("abcd", [4])
        #expect(try rig.prune().swept.isEmpty)
    }

    /// Whoever has the keys can write one; what backups lead to is deleted all the same by nobody.
    @Test func `a decision that would delete what is needed is refused`() throws {
        try rig.backUp("ab")
        let vault = try rig.vault()
        var all = CollectionStatement.Names()
        all.packs = try Inventory(rig.store.list(vault.layout.all), of: vault.layout).packs.keys
            .sorted()
        let collections = Collections(vault)
        #expect(try collections.put(1, .begun(all)))
        let digest = try collections.begun(1).digest
        #expect(
            try collections.put(
                1,
                .decided(
                    tombstones: digest, spared: CollectionStatement.Names(), letGo: NumberSet())))
        let said = try words { try rig.prune() }
        #expect(said.contains("nothing is deleted"))
        try rig.check("ab", [1, 2])
    }
}

@Suite("A collection that meets trouble deletes nothing") struct CollectionRefusalTests {
    private let rig = Pruning()

    /// What prune says, with nothing deleted.
    private func refused(
        _ store: (any ObjectStore)? = nil, _ change: (Layout) throws -> Void = { _ in }
    ) throws -> String {
        try rig.backUp("abcd")
        try change(rig.vault().layout)
        let before = rig.store.objects
        let said = try words { _ = try rig.collector(store).prune() }
        // Nor does a dry run say that anything could go.
        #expect(throws: BackupFailure.self) { try rig.collector(store).plan() }
        #expect(rig.store.objects == before)
        return said
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a manifest is missing, and may be given up`(number: UInt64) throws {
        let said = try refused { rig.store.change($0.manifest(number)) { $0 = nil } }
        #expect(said.contains("backup \(number) is missing"))
        try rig.prune(lost: [number])
        try rig.check("abcd", [4])
        // That it is gone is known from then on.
        try rig.backUp("e", from: 9)
        try rig.prune()
        try rig.check("abcde", [5])
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `a manifest can't be read`(number: UInt64) throws {
        let said = try refused { rig.store.change($0.manifest(number)) { $0?[200] ^= 1 } }
        #expect(said.contains("manifests/0000000000000000000\(number)"))
    }

    @Test func `an index can't be read, or is gone`() throws {
        let said = try refused { layout in
            let index = try #require(rig.store.list(layout.indexes).objects.last)
            rig.store.change(index.name) { $0?[200] ^= 1 }
        }
        #expect(said.contains("/indexes/"))
        let other = Pruning()
        try other.backUp("abcd")
        for object in try other.store.list(other.vault().layout.indexes).objects {
            let hurt = Pruning(MemoryStore(other.store.objects))
            hurt.store.change(object.name) { $0 = nil }
            let before = hurt.store.objects
            // Of some only backups tell that go: those may be gone.
            do { try hurt.prune() } catch { #expect(hurt.store.objects == before) }
            if (try? hurt.prune()) != nil { try hurt.check("abcd", [4]) }
        }
    }

    @Test func `a pack is missing that a kept backup needs`() throws {
        try rig.backUp("abcd")
        let needed = try #require(rig.collector().plan().dead.packs.first)
        let all = try rig.store.list(rig.vault().layout.packs).objects
        let dead = try Set(rig.collector().plan().dead.packs)
        for object in all {
            let name = try #require(Layout.digest(object.name))
            let hurt = Pruning(MemoryStore(rig.store.objects))
            hurt.store.change(object.name) { $0 = nil }
            guard !dead.contains(name) else {
                try hurt.prune()
                try hurt.check("abcd", [4])
                continue
            }
            let before = hurt.store.objects
            #expect(throws: BackupFailure.self) { try hurt.prune() }
            #expect(hurt.store.objects == before)
        }
        #expect(dead.contains(needed))
    }

    @Test func `nobody knows what lies there`() throws {
        let said = try refused { layout in
            let name = try #require(ObjectName("\(layout.packs)/ab/notes"))
            rig.store.change(name) { $0 = [1] }
        }
        #expect(said.contains("nobody knows what") && said.contains("notes"))
    }

    @Test func `what nobody knows hinders no backup`() throws {
        let layout = try rig.vault().layout
        for part in [layout.sessions, layout.collections, layout.holds] {
            let name = try #require(ObjectName("\(part)/notes"))
            rig.store.change(name) { $0 = [1] }
        }
        try rig.backUp("ab")
        #expect(throws: BackupFailure.self) { try rig.prune() }
        try rig.check("ab", [1, 2])
    }

    @Test func `the key of a later epoch is not here`() throws {
        let turned = try Rig.vault(rig.store, rotations: 1, Rig.small)
        try rig.backUp("a")
        _ = try Rig.back(up: Pruning.volume("b"), turned, threads: 1)
        let before = rig.store.objects
        #expect(throws: BackupFailure.self) { try rig.prune() }
        #expect(rig.store.objects == before)
    }

    /// Lists nothing whose name has these words in it, and has it.
    /// Who has the key of an earlier epoch can seal a decision, and put it.
    @Test func `who has an earlier key lets go of no later backup`() throws {
        let rig = Pruning()
        try rig.backUp("a")
        let later = try Rig.vault(rig.store, rotations: 1, Rig.small)
        _ = try Rig.back(
            up: Pruning.volume("b"), later, threads: 1, time: Pruning.start + Pruning.day)
        func put(_ letGo: [UInt64]) throws {
            let said = CollectionStatement(
                1,
                .decided(
                    tombstones: .ofNothing, spared: CollectionStatement.Names(),
                    letGo: NumberSet(letGo)))
            let old = try rig.vault()
            let bytes = try said.sealed(in: old.place, random: old.draw())
            rig.store.change(later.layout.collection(1, .decided)) { $0 = bytes }
            let ended = try CollectionStatement(1, .ended).sealed(
                in: old.place, random: old.draw())
            rig.store.change(later.layout.collection(1, .ended)) { $0 = ended }
        }
        func survey() throws { _ = try Survey(later, lost: []) }
        try put([2])
        rig.store.change(later.layout.manifest(2)) { $0 = $0 }
        #expect(try words(survey).contains("forged"))
        try put([1])
        rig.store.change(later.layout.manifest(1)) { $0 = nil }
        try survey()
    }

    @Test func `what is put under the number of a backup that was let go of is none`() throws {
        let rig = Pruning()
        let made = try rig.backUp("abc")
        try rig.prune()
        _ = try rig.collector().plan()
        let name = try rig.vault().layout.manifest(1)
        rig.store.change(name) { $0 = made[0].bytes }
        #expect(
            try words { _ = try rig.collector().plan() }.contains("backup 1 was let go of"))
        rig.store.change(name) { $0 = nil }
        _ = try rig.collector().plan()
    }

    private struct Short: ObjectStore {
        let store: MemoryStore
        let hidden: String

        func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
            var listing = try store.list(part)
            listing.objects.removeAll { $0.name.text.contains(hidden) }
            return listing
        }
        func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome {
            try store.put(name, bytes)
        }
        func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8] {
            try store.get(name, range)
        }
        func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
            try store.delete(name)
        }
        func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {}
        func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {}
        func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }
    }

    @Test(arguments: [
        "manifests/", "manifests/00000000000000000004", "manifests/00000000000000000002",
        "/indexes/",
    ])
    func `the store lists too little`(hidden: String) throws {
        let said = try refused(Short(store: rig.store, hidden: hidden))
        #expect(!said.isEmpty)
    }

    @Test func `a pack that is not listed is not deleted, and one that is needed is missed`() throws
    {
        try rig.backUp("abcd")
        for object in try rig.store.list(rig.vault().layout.packs).objects {
            let copy = MemoryStore(rig.store.objects)
            let other = Pruning(copy)
            _ = try? other.collector(Short(store: copy, hidden: object.name.text)).prune()
            try other.checkAll("abcd")
        }
    }

    @Test func `a session that is not listed is missed`() throws {
        try rig.backUp("ab")
        let session = try Sessions(rig.vault()).begin("other", at: .zero)
        let short = Short(
            store: rig.store, hidden: try rig.vault().layout.session(session.number, .begun).text)
        #expect(
            try words { _ = try rig.collector(short).prune() }.contains("does not list session"))
        try rig.check("ab", [1, 2])
    }
}
