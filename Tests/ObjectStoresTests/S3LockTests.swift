import Mesh
import NIOConcurrencyHelpers
import Repository
import S3Protocol
import S3Store
import Sealing
import Testing

@Suite("Objects in a bucket that are locked") struct S3LockTests {
    private static let day: UInt64 = 86_400
    private static let began: UInt64 = 1_440_938_160  // 2015-08-30T12:36:00Z

    private struct Room {
        let service: FakeS3
        let time = NIOLockedValueBox(S3LockTests.began)

        init(_ service: FakeS3 = FakeS3(locks: true)) { self.service = service }

        func store(days: UInt64? = 30) -> S3Store {
            let time = time
            let world = S3World(
                now: { .zero }, unixSeconds: { time.withLockedValue { $0 } }, sleep: { _ in })
            return S3Bench(service, bucket: FakeS3.bucket).opened(
                S3Patience(), lock: days.map { S3Lock(.compliance, days: $0) }, world: world)
        }

        func pass(days: UInt64) {
            time.withLockedValue { $0 += days * S3LockTests.day }
            service.state.withLockedValue { $0.seconds += days * S3LockTests.day }
        }
        func versions(_ name: String) -> [FakeS3.Version] {
            service.state.withLockedValue { $0.versions["p/q/" + name] ?? [] }
        }
    }

    private static func name(_ text: String) throws -> ObjectName {
        try StoreContractTests.name(text)
    }
    private static func failure(_ deed: () throws -> Any) -> ObjectStoreFailure? {
        StoreContractTests.failure(deed)
    }

    @Test func `what is put is locked for the days, but what is nobody's only copy`()
        throws
    {
        let room = Room()
        let store = room.store()
        for text in [
            "repository", "t/packs/aa/b", "t/manifests/1", "t/keys/1", "t/log/m-1/1",
            "t/sessions/1-1",
        ] {
            _ = try store.put(Self.name(text), [1, 2])
            let version = try #require(room.versions(text).first)
            #expect(
                version.mode == "COMPLIANCE" && version.until == "2015-09-29T12:36:00Z", "\(text)")
        }
        try store.replace(Self.name("t/packs/aa/b"), with: [3])
        #expect(room.versions("t/packs/aa/b").last?.mode == "COMPLIANCE")
        let others = room.service.state.withLockedValue { state in
            state.versions.filter { $0.key.contains("/.") }.values.joined().map(\.mode)
        }
        #expect(others.count == 2 && others.allSatisfy { $0 == nil }, "the trial, and a quarantine")
    }

    /// Archived, too long, or sealed by a key of whoever put it: it can be listed, and not read.
    @Test func `what can't be read keeps nothing out of a bucket that keeps all versions`() throws {
        let name = try Self.name("t/packs/aa/b")
        for isLocked in [true, false] {
            let room = Room(FakeS3(locks: isLocked))
            let store = room.store(days: isLocked ? 30 : nil)
            _ = try store.put(name, [1])
            room.service.state.withLockedValue {
                $0.faults = [.answer(FakeS3.error(403, "InvalidObjectState"))]
            }
            let refused = Self.failure { try store.replace(name, with: [3]) }
            #expect((refused == nil) == isLocked)
            #expect(try store.get(name, nil) == (isLocked ? [3] : [1]))
        }
    }

    @Test func `a bucket that can't lock is refused before anything is put, with what to do`()
        throws
    {
        let room = Room(FakeS3())
        let refused = Self.failure { try room.store().put(Self.name("a"), [1]) }
        #expect(refused?.description.contains("object lock enabled") == true)
        #expect(room.service.state.withLockedValue { $0.objects.isEmpty })
        #expect(Self.failure { try room.store().extendLocks() } != nil)
        #expect(try room.store(days: nil).put(Self.name("a"), [1]) == .stored)
    }

    @Test
    func `a service that takes the wish and locks nothing is found out with the first object`()
        throws
    {
        let room = Room(FakeS3(locks: true, forgetsLocks: true))
        let refused = Self.failure { try room.store().put(Self.name("t/packs/aa/b"), [1]) }
        #expect(refused?.description.contains("does not lock it") == true)
    }

    @Test func `a lock of which less than half is left is extended, and no other`() throws {
        let room = Room()
        let store = room.store()
        _ = try store.put(Self.name("t/packs/aa/old"), [1])
        room.pass(days: 10)
        _ = try store.put(Self.name("t/packs/aa/young"), [1])
        room.pass(days: 5)
        #expect(try store.extendLocks().extended == 0, "half is left of the older one")
        room.pass(days: 1)
        let report = try store.extendLocks()
        #expect(report.looked == 2 && report.extended == 1 && report.unlocked == 0)
        #expect(room.versions("t/packs/aa/old").first?.until == "2015-10-15T12:36:00Z")
        #expect(room.versions("t/packs/aa/young").first?.until == "2015-10-09T12:36:00Z")
        #expect(try store.extendLocks().extended == 0)
    }

    @Test func `what was put before there were locks gets one, and what was deleted none`() throws {
        let room = Room()
        let before = room.store(days: nil)
        for text in ["t/packs/aa/a", "t/packs/aa/gone"] {
            _ = try before.put(Self.name(text), [1])
        }
        _ = try before.delete(Self.name("t/packs/aa/gone"))
        let report = try room.store().extendLocks()
        #expect(report.looked == 1 && report.extended == 1 && report.unlocked == 1)
        #expect(room.versions("t/packs/aa/gone").first?.mode == nil)
    }

    @Test func `of what was written over, what was there first stays locked too`() throws {
        let room = Room()
        let store = room.store()
        _ = try store.put(Self.name("t/packs/aa/b"), [1])
        for byte in [2, 3, 4, 7, 8, 9] as [UInt8] {
            try S3Bench(room.service, bucket: FakeS3.bucket).plant("t/packs/aa/b", [byte])
        }
        room.pass(days: 16)
        #expect(try store.extendLocks().extended == 5)
        #expect(
            room.versions("t/packs/aa/b").map { $0.until == "2015-10-15T12:36:00Z" } == [
                true, true, true, true, false, false, true,
            ])
    }

    private static func past(
        _ store: S3Store, asOf days: UInt64,
        by isWhole: @escaping S3Versions.Check = { _, _ in true }
    ) -> S3Versions { S3Versions(of: store, asOf: began + days * day, by: isWhole) }

    @Test func `what was deleted or written over is read behind it, and nothing is put there`()
        throws
    {
        let room = Room()
        let store = room.store()
        let names = ["t/packs/aa/a", "t/packs/aa/b", "t/packs/aa/c"]
        for text in names { _ = try store.put(Self.name(text), Array(text.utf8)) }
        room.pass(days: 1)
        _ = try store.delete(Self.name(names[0]))
        try S3Bench(room.service, bucket: FakeS3.bucket).plant(names[1], [6])
        _ = try store.delete(Self.name(names[1]))
        let past = Self.past(store, asOf: 0)
        #expect(try past.list(nil).objects.map(\.name.text) == names)
        #expect(try past.list(Self.name("t/keys")).objects.isEmpty)
        for text in names {
            #expect(try past.get(Self.name(text), nil) == Array(text.utf8))
            #expect(try past.get(Self.name(text), 2..<4) == Array(Array(text.utf8)[2..<4]))
            #expect(try past.wasThere(Self.name(text)))
        }
        #expect(Self.failure { try past.get(Self.name("t/packs/aa/d"), nil) }?.cause == .missing)
        #expect(Self.failure { try past.get(Self.name("t/packs/aa/a"), 0..<99) } != nil)
        #expect(Self.failure { try past.put(Self.name("t/x"), [1]) }?.cause == .readOnly)
    }

    @Test func `of versions that are whole the newest one of until then counts`() throws {
        let room = Room()
        let (store, bench) = (room.store(), S3Bench(room.service, bucket: FakeS3.bucket))
        let name = try Self.name("t/manifests/1")
        // Damaged, moved away and rightly put anew; then in a thief's hands.
        for byte in [1, 2, 9, 3, 4] as [UInt8] {
            try bench.plant(name.text, [byte])
            room.pass(days: 1)
        }
        let whole: S3Versions.Check = { _, bytes in bytes[0] < 9 }
        for (days, byte) in [(0, 1), (1, 2), (2, 2), (3, 3), (9, 4)] as [(UInt64, UInt8)] {
            #expect(
                try Self.past(store, asOf: days, by: whole).get(name, nil) == [byte], "\(days)")
        }
        let newer = Self.past(store, asOf: 1) { _, bytes in bytes[0] > 2 && bytes[0] < 9 }
        #expect(try newer.get(name, nil) == [3], "of what came since, the oldest")
        let none = Self.past(store, asOf: 1) { _, _ in false }
        #expect(try none.get(name, nil) == [2])
    }

    @Test func `what was deleted by then stays so, and what came later is to be seen`() throws {
        let room = Room()
        let store = room.store()
        let (gone, late) = (try Self.name("t/holds/1"), try Self.name("t/holds/2"))
        _ = try store.put(gone, [1])
        _ = try store.delete(gone)
        room.pass(days: 1)
        _ = try store.put(late, [2])
        _ = try store.delete(late)
        let past = Self.past(store, asOf: 0)
        #expect(
            try past.list(nil).objects.isEmpty && Self.failure { try past.get(late, nil) } != nil)
        past.choose(try Self.name("t")) { _, _ in true }
        #expect(try past.list(nil).objects.map(\.name) == [late])
        #expect(Self.failure { try past.get(gone, nil) }?.cause == .missing)
        #expect(try past.get(late, nil) == [2] && !past.wasThere(late) && !past.wasThere(gone))
        // A thief's: no version of it is whole.
        past.choose(try Self.name("t")) { _, _ in false }
        #expect(try past.list(nil).objects.isEmpty)
        #expect(Self.failure { try past.get(late, nil) }?.cause == .missing)
    }

    /// Sealed by a key of whoever put it, say, and locked for a century.
    @Test func `a version that nobody can read hides neither another one nor other names`() throws {
        let room = Room()
        let (store, bench) = (room.store(), S3Bench(room.service, bucket: FakeS3.bucket))
        let (name, other) = (try Self.name("t/sessions/1-1"), try Self.name("t/sessions/2-1"))
        _ = try store.put(name, [1])
        room.pass(days: 1)
        try bench.plant(name.text, [9])
        try bench.plant(other.text, [9])
        let past = Self.past(store, asOf: 1)
        past.choose(try Self.name("t")) { _, bytes in bytes == [1] }
        func refuse() {
            room.service.state.withLockedValue {
                $0.faults = [.answer(FakeS3.error(403, "InvalidObjectState"))]
            }
        }
        _ = try past.list(nil)
        refuse()
        #expect(try past.get(name, nil) == [1], "behind the newest one, which can't be read")
        for (asked, seen) in [("sessions", false), ("holds", true)] {
            let name = try Self.name("t/\(asked)/3-1")
            try bench.plant(name.text, [9])
            let later = Self.past(store, asOf: 0)
            later.choose(try Self.name("t")) { _, bytes in bytes == [1] }
            _ = try later.wasThere(name)
            refuse()
            let listed = try later.list(Self.name("t/\(asked)")).objects.map(\.name)
            #expect(
                listed.contains(name) == seen,
                "\(asked): what can't be read is told, or hides nothing")
        }
    }

    @Test func `of one tenant's past nothing of another one is to be seen`() throws {
        let room = Room()
        let store = room.store()
        for text in ["repository", "t/keys/1", "tt/keys/1"] {
            _ = try store.put(Self.name(text), [1])
        }
        #expect(try Self.past(store, asOf: 0).list(nil).objects.count == 3)
        let past = Self.past(store, asOf: 0)
        past.choose(try Self.name("t")) { _, _ in true }
        #expect(try past.list(nil).objects.map(\.name.text) == ["repository", "t/keys/1"])
        #expect(Self.failure { try past.get(Self.name("tt/keys/1"), nil) }?.cause == .missing)
        #expect(try past.get(Layout.repository, nil) == [1])
    }
}
