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

        func pass(days: UInt64) { time.withLockedValue { $0 += days * S3LockTests.day } }
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
        for byte in [7, 8] as [UInt8] {
            try S3Bench(room.service, bucket: FakeS3.bucket).plant("t/packs/aa/b", [byte])
        }
        room.pass(days: 16)
        #expect(try store.extendLocks().extended == 2)
        #expect(
            room.versions("t/packs/aa/b").map(\.until) == [
                "2015-10-15T12:36:00Z", nil, "2015-10-15T12:36:00Z",
            ])
    }

    @Test func `what was deleted or written over is read behind it, and what is whole is chosen`()
        throws
    {
        let room = Room()
        let store = room.store()
        let bench = S3Bench(room.service, bucket: FakeS3.bucket)
        for text in ["t/packs/aa/a", "t/packs/aa/b", "t/packs/aa/c"] {
            _ = try store.put(Self.name(text), Array(text.utf8))
        }
        _ = try store.delete(Self.name("t/packs/aa/a"))
        try bench.plant("t/packs/aa/b", [6])
        _ = try store.delete(Self.name("t/packs/aa/b"))
        let past = S3Versions(of: store)
        #expect(
            try past.list(nil).objects.map(\.name.text) == [
                "t/packs/aa/a", "t/packs/aa/b", "t/packs/aa/c",
            ])
        #expect(try past.list(Self.name("t/keys")).objects.isEmpty)
        for text in ["t/packs/aa/a", "t/packs/aa/b", "t/packs/aa/c"] {
            #expect(try past.get(Self.name(text), nil) == Array(text.utf8))
            #expect(try past.get(Self.name(text), 2..<4) == Array(Array(text.utf8)[2..<4]))
        }
        past.choose { _, bytes in bytes == [6] }
        #expect(try past.get(Self.name("t/packs/aa/b"), nil) == [6])
        #expect(Self.failure { try past.get(Self.name("t/packs/aa/d"), nil) }?.cause == .missing)
        #expect(Self.failure { try past.get(Self.name("t/packs/aa/a"), 0..<99) } != nil)
        #expect(Self.failure { try past.put(Self.name("t/x"), [1]) }?.cause == .readOnly)
    }
}
