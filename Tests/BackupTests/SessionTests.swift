@testable import Backup
import Mesh
import Repository
import Sealing
import Testing

@Suite("Sessions of writers") struct SessionTests {
    private let rig = Pruning()

    private func commit(_ session: Session) throws -> ManifestObject {
        let vault = try rig.vault()
        return try session.ending { () throws(BackupFailure) in
            try session.commits()
            return try Manifests(vault).commit { Rig.manifest(after: $0) }
        }
    }

    @Test func `a session is open until it ends or is given up`() throws {
        let sessions = Sessions(try rig.vault())
        #expect(try sessions.open() == [])
        let one = try sessions.begin("one", at: WallTime(7))
        let two = try sessions.begin("two", at: WallTime(8))
        #expect(
            try sessions.open() == [
                Sessions.Open(
                    number: 1, writer: "one", since: WallTime(7), collection: 0, commits: false),
                Sessions.Open(
                    number: 2, writer: "two", since: WallTime(8), collection: 0, commits: false),
            ])
        two.giveUp("no more")
        #expect(try sessions.open().map(\.number) == [1])
        #expect(try commit(one).manifest.sequence == 1)
        #expect(try sessions.open() == [])
    }

    @Test func `what a writer left open is over with its next session, also where it committed`()
        throws
    {
        let sessions = Sessions(try rig.vault())
        let left = try sessions.begin("one", at: .zero)
        let other = try sessions.begin("two", at: .zero)
        let committing = try sessions.begin("one", at: .zero)
        #expect(try sessions.open().map(\.number) == [2, 3])
        try committing.commits()
        #expect(try sessions.open().map(\.commits) == [false, true])
        _ = try sessions.begin("one", at: .zero)
        #expect(try sessions.open().map(\.number) == [2, 4])
        #expect(throws: BackupFailure.self) { try left.commits() }
        try other.commits()
    }

    /// Somebody takes a slow backup for a dead one (restic #3201).
    @Test func `a writer whose session somebody ended makes no backup of it`() throws {
        let vault = try rig.vault()
        let session = try Sessions(vault).begin("one", at: .zero)
        try Sessions(vault).end(session.number, why: "it hangs", commitsToo: false)
        #expect(try words { _ = try commit(session) }.contains("somebody ended session 1"))
        #expect(try rig.numbers == [])
        #expect(throws: BackupFailure.self) {
            try Sessions(vault).end(session.number, why: "again", commitsToo: false)
        }
    }

    /// What held it back is cleared away with all that was deleted for it.
    @Test func `a writer that was ended makes no backup behind a collection either`() throws {
        try rig.backUp("ab")
        let vault = try rig.vault()
        let session = try Sessions(vault).begin("one", at: .zero)
        let later = try Sessions(vault).begin("two", at: .zero)
        later.giveUp("only to be the newest")
        try Sessions(vault).end(session.number, why: "paused for long", commitsToo: false)
        for _ in 0..<2 { try rig.prune() }
        let left = try vault.find(vault.layout.session(session.number, .decided))
        #expect(left == nil, "it is cleared away")
        #expect(try words { _ = try commit(session) }.contains("it is no backup"))
        #expect(try rig.numbers.last == 2)
    }

    @Test func `a copy of another object ends no session for who deletes`() throws {
        let vault = try rig.vault()
        let session = try Sessions(vault).begin("one", at: .zero)
        let begun = rig.store.objects[vault.layout.session(session.number, .begun)]
        rig.store.change(vault.layout.session(session.number, .ended)) { $0 = begun }
        #expect(try Sessions(vault).open(isStrict: true).map(\.number) == [session.number])
        #expect(throws: BackupFailure.self) { try rig.prune() }
    }

    @Test func `a statement whose first answer was lost is its own`() throws {
        try rig.backUp("a")
        let vault = try rig.vault(Deaf(store: rig.store))
        let said = try #require(SessionStatement(1, .commits))
        #expect(try vault.put(first: said, as: vault.layout.session(9, .decided)))
        #expect(try !vault.put(first: said, as: vault.layout.session(9, .decided)))
        #expect(try !vault.put(first: said, as: vault.layout.session(8, .begun), onlyAnew: true))
        let hold = try Holds(vault).put(1, reason: "case 7", at: .zero)
        #expect(hold.reason == "case 7")
    }

    @Test func `one that commits is ended only by who says that its writer is dead`() throws {
        let vault = try rig.vault()
        let session = try Sessions(vault).begin("one", at: .zero)
        try session.commits()
        let said = try words { try Sessions(vault).end(1, why: "gone", commitsToo: false) }
        #expect(said.contains("its writer has to be dead"))
        #expect(try Sessions(vault).open().count == 1)
        try Sessions(vault).end(1, why: "gone", commitsToo: true)
        #expect(try Sessions(vault).open() == [])
    }

    @Test func `a session that can't be read is open, and whose it is is not known`() throws {
        let vault = try rig.vault()
        let session = try Sessions(vault).begin("one", at: .zero)
        let name = vault.layout.session(session.number, .begun)
        rig.store.change(name) { $0?[200] ^= 1 }
        let open = try Sessions(vault).open()
        #expect(open.map(\.writer) == [nil] && open[0].collection == 0)
        try Sessions(vault).end(1, why: "damaged", commitsToo: false)
        #expect(try Sessions(vault).open() == [])
    }

    @Test func `who is overtaken again and again takes no number`() throws {
        struct Taken: ObjectStore {
            let store: MemoryStore
            func put(
                _ name: ObjectName, _ bytes: [UInt8]
            ) throws(ObjectStoreFailure) -> PutOutcome {
                // A clone put the very same.
                name.text.contains("sessions") ? .wasThere : try store.put(name, bytes)
            }
            func get(
                _ name: ObjectName, _ range: Range<Int>?
            ) throws(ObjectStoreFailure) -> [UInt8] { try store.get(name, range) }
            func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
                try store.list(part)
            }
            func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool { false }
            func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {}
            func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {}
            func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }
        }
        let vault = try rig.vault(Taken(store: rig.store))
        #expect(throws: BackupFailure.self) { _ = try Sessions(vault).begin("one", at: .zero) }
    }
}

@Suite("Holds") struct HoldTests {
    private let rig = Pruning()

    @Test func `what is held stays, and goes once it is released`() throws {
        try rig.backUp("abc")
        let holds = Holds(try rig.vault())
        let hold = try holds.put(1, reason: "case 7", at: WallTime(9))
        #expect(try holds.numbers() == [1] && holds.hold(1) == hold && hold.reason == "case 7")
        #expect(try words { _ = try holds.put(1, reason: "x", at: .zero) }.contains("case 7"))
        #expect(throws: BackupFailure.self) { try holds.put(2, reason: "", at: .zero) }
        #expect(throws: BackupFailure.self) { try holds.put(9, reason: "none such", at: .zero) }
        try rig.prune()
        try rig.check("abc", [1, 3])
        #expect(try holds.release(1))
        #expect(try !holds.release(1))
        try rig.prune()
        try rig.check("abc", [3])
    }

    @Test func `a hold that can't be read holds`() throws {
        try rig.backUp("ab")
        let vault = try rig.vault()
        _ = try Holds(vault).put(1, reason: "case 7", at: .zero)
        rig.store.change(vault.layout.hold(1)) { $0?[200] ^= 1 }
        #expect(throws: BackupFailure.self) { try Holds(vault).hold(1) }
        try rig.prune()
        try rig.check("ab", [1, 2])
    }

    @Test func `who comes too late to hold is told so, and who comes in time is heard`() throws {
        try rig.backUp("ab")
        let vault = try rig.vault()
        let session = try Sessions(vault).begin("other", at: .zero)
        try rig.prune()
        #expect(
            try words { _ = try Holds(vault).put(1, reason: "case 7", at: .zero) }
                .contains("being let go of"))
        #expect(try Holds(vault).numbers() == [])
        // As if it had been put just before the tombstones.
        let manifest = try Manifests(vault).manifest(1)
        let hold = try #require(
            Hold(1, manifest: manifest.digest, time: .zero, reason: "case 7"))
        #expect(try vault.put(first: hold, as: vault.layout.hold(1)))
        session.giveUp("done")
        #expect(try rig.prune().swept.first?.deleted.manifests == [])
        try rig.check("ab", [1, 2])
    }
}

/// A store of which the first answer to each put is lost: the second try finds what the first one put.
private struct Deaf: ObjectStore {
    let store: MemoryStore

    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome {
        _ = try store.put(name, bytes)
        return try store.put(name, bytes)
    }
    func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8] {
        try store.get(name, range)
    }
    func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        try store.list(part)
    }
    func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool { try store.delete(name) }
    func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) { try store.quarantine(name) }
    func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {}
    func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }
}
