import Copies
import Mesh
import NIOConcurrencyHelpers
import Repository
import Sealing
import Testing

private let layout = Layout(TenantID(high: 1, low: 2))
private let manifest = layout.manifest(7)
private let bytes: [UInt8] = [1, 2, 3]
private let digest = Digest(of: bytes.span)

/// Three stores of one repository, the first of which leads.
private struct Bench {
    let journal = NIOLockedValueBox<[String]>([])
    let stores: [MemoryStore]

    init() {
        let journal = journal
        stores = ["a", "b", "c"].map { MemoryStore($0, journal) }
    }

    func opened(
        _ demand: CopiedStore.Demand,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) -> CopiedStore {
        CopiedStore(
            stores.map { store in
                CopiedStore.Copy(store.name) { () throws(ObjectStoreFailure) in store }
            }, demand, now: now)
    }

    func fail(_ number: Int, _ cause: ObjectStoreFailure.Cause = .service("it is away")) {
        stores[number].contents.withLockedValue { $0.failure = cause }
    }

    func having(_ name: ObjectName) -> [String] {
        stores.filter { $0.objects[name] != nil }.map(\.name)
    }
}

private func failure(
    _ body: () throws(ObjectStoreFailure) -> some Any
) -> ObjectStoreFailure? {
    do throws(ObjectStoreFailure) {
        _ = try body()
        return nil
    } catch { return error }
}

@Suite("Several stores") struct CopiedStoreTests {
    @Test func `what is put is in all of them`() throws {
        let bench = Bench()
        #expect(try bench.opened(.copies(2)).put(manifest, bytes) == .stored)
        #expect(bench.having(manifest) == ["a", "b", "c"])
    }

    @Test func `as many as are asked for are enough, and what the other lacks is told`() throws {
        let bench = Bench()
        bench.fail(2)
        let store = bench.opened(.copies(2))
        _ = try store.put(manifest, bytes)
        #expect(bench.having(manifest) == ["a", "b"])
        #expect(store.shortfalls.map(\.store) == ["c"])
        #expect(store.shortfalls.first?.failures == 1)
    }

    @Test func `a put that too few stores took fails, and names the one that did not`() {
        let bench = Bench()
        bench.fail(1)
        bench.fail(2)
        let store = bench.opened(.copies(2))
        let failure = failure { () throws(ObjectStoreFailure) in try store.put(manifest, bytes) }
        #expect(failure?.description.contains("2 copies have to be made") == true)
        #expect(failure?.description.contains("b: it is away") == true)
    }

    @Test(arguments: [manifest, layout.pack(digest), layout.index(digest)])
    func `nothing is put where the leading store is away`(name: ObjectName) {
        let bench = Bench()
        bench.fail(0)
        let store = bench.opened(.copies(1))
        #expect(failure { () throws(ObjectStoreFailure) in try store.put(name, bytes) } != nil)
    }

    @Test func `the leading store decides who was first`() throws {
        let bench = Bench()
        bench.stores[0].objects[manifest] = [9]
        let store = bench.opened(.copies(1))
        let failure = failure { () throws(ObjectStoreFailure) in try store.put(manifest, bytes) }
        #expect(failure?.cause == .taken)
        #expect(bench.having(manifest) == ["a"])
    }

    @Test func `other bytes in a store behind it are no sign that somebody was first`() throws {
        let bench = Bench()
        bench.stores[1].objects[manifest] = [9]
        let failure = failure { () throws(ObjectStoreFailure) in
            try bench.opened(.all).put(manifest, bytes)
        }
        guard case .service = failure?.cause else {
            Issue.record("\(String(describing: failure))")
            return
        }
    }

    @Test func `an index is in the leading store last: whoever finds it there finds copies`() throws
    {
        let bench = Bench()
        _ = try bench.opened(.copies(3)).put(layout.index(digest), bytes)
        #expect(bench.journal.withLockedValue { $0.last } == "a")
        bench.fail(1)
        bench.fail(2)
        let other: [UInt8] = [4]
        let name = layout.index(Digest(of: other.span))
        #expect(
            failure { () throws(ObjectStoreFailure) in try bench.opened(.copies(2)).put(name, other)
            }
                != nil)
        #expect(bench.having(name) == [])
    }

    @Test func `a manifest is in the leading store first`() throws {
        let bench = Bench()
        _ = try bench.opened(.copies(3)).put(manifest, bytes)
        #expect(bench.journal.withLockedValue { $0.first } == "a")
    }

    @Test func `what one store lost is read from another`() throws {
        let bench = Bench()
        _ = try bench.opened(.all).put(manifest, bytes)
        bench.stores[0].objects[manifest] = nil
        bench.stores[1].objects[manifest] = [1]
        let store = bench.opened(.copies(1))
        #expect(try store.get(manifest, 0..<3) == bytes)
        #expect(try store.list(layout.manifests).objects.map(\.byteCount) == [3])
    }

    @Test func `that an object is missing is known only from those that must know`() {
        let bench = Bench()
        bench.fail(1)
        func cause(_ demand: CopiedStore.Demand) -> ObjectStoreFailure.Cause? {
            failure { () throws(ObjectStoreFailure) in
                try bench.opened(demand).get(manifest, nil)
            }?.cause
        }
        #expect(cause(.one) == .missing)
        #expect(cause(.copies(1)) == .missing)
        #expect(cause(.all) == .service("it is away"))
    }

    @Test func `who deletes gets no list that a store was not asked for`() throws {
        let bench = Bench()
        _ = try bench.opened(.all).put(manifest, bytes)
        bench.fail(1)
        func listed(_ demand: CopiedStore.Demand) -> [ObjectName]? {
            try? bench.opened(demand).list(layout.manifests).objects.map(\.name)
        }
        #expect(listed(.one) == [manifest])
        #expect(listed(.copies(1)) == [manifest])
        #expect(listed(.all) == nil)
        bench.fail(0)
        #expect(listed(.one) == [manifest])
        #expect(listed(.copies(1)) == nil)
    }

    @Test func `what is deleted is gone everywhere, or it fails and the leading store has it`()
        throws
    {
        let bench = Bench()
        let store = bench.opened(.all)
        _ = try store.put(manifest, bytes)
        bench.fail(1)
        #expect(failure { () throws(ObjectStoreFailure) in try store.delete(manifest) } != nil)
        #expect(bench.having(manifest).first == "a")
        bench.stores[1].contents.withLockedValue { $0.failure = nil }
        #expect(try store.delete(manifest))
        #expect(bench.having(manifest) == [])
    }

    @Test func `a store that holds no repository, or another one, is not used`() throws {
        let bench = Bench()
        bench.stores[1].objects = [:]
        bench.stores[2].objects[Layout.repository] =
            RepositoryObject(id: RepositoryID(high: 3, low: 4)).encoded
        let store = bench.opened(.copies(1))
        _ = try store.put(manifest, bytes)
        #expect(bench.having(manifest) == ["a"])
        let words = store.shortfalls.map(\.last.description)
        #expect(words.first?.contains("no repository is there") == true)
        #expect(words.last?.contains("another repository is there than in a") == true)
    }

    @Test(arguments: [1, 2, 3])
    func `other bytes behind the leading store's end every put, whatever is asked for`(
        copies: Int
    ) {
        let bench = Bench()
        bench.stores[2].objects[manifest] = [9]
        let failure = failure { () throws(ObjectStoreFailure) in
            try bench.opened(.copies(copies)).put(manifest, bytes)
        }
        #expect(failure?.description.contains("agents disagree on which store leads") == true)
    }

    @Test func `who reads is told which stores could not be asked for what is missing`() {
        let bench = Bench()
        bench.fail(0)
        let failure = failure { () throws(ObjectStoreFailure) in
            try bench.opened(.one).get(manifest, nil)
        }
        #expect(failure?.cause == .missing)
        #expect(failure?.description.contains("it is away") == true)
    }

    @Test func `a store that is away is passed over, and does not hold each put up`() throws {
        let bench = Bench()
        bench.fail(2)
        let store = bench.opened(.copies(2))
        for number in 1...20 { _ = try store.put(layout.manifest(UInt64(number)), bytes) }
        #expect(bench.stores[2].contents.withLockedValue { $0.requests } == 1)
        #expect(store.shortfalls.first?.failures == 20)
    }

    /// Whoever asks has to be the one who tries: else a store that is back is never tried by those who need it.
    @Test func `a read that does without a store leaves the turn to try it to others`() throws {
        let bench = Bench()
        let clock = NIOLockedValueBox(ContinuousClock.now)
        let store = bench.opened(.copies(1), now: { clock.withLockedValue { $0 } })
        bench.fail(2)
        _ = try store.put(layout.manifest(1), bytes)
        bench.stores[2].contents.withLockedValue { $0.failure = nil }
        clock.withLockedValue { $0 += .seconds(31) }
        for _ in 0..<5 { _ = try store.get(layout.manifest(1), nil) }
        _ = try store.put(layout.manifest(2), bytes)
        #expect(bench.having(layout.manifest(2)) == ["a", "b", "c"])
    }

    @Test func `a store that stays away is tried at twice the distance each time`() throws {
        let bench = Bench()
        let clock = NIOLockedValueBox(ContinuousClock.now)
        let store = bench.opened(.copies(1), now: { clock.withLockedValue { $0 } })
        bench.fail(2)
        var tried: [Int] = []
        for second in 0..<4_000 {
            let before = bench.stores[2].contents.withLockedValue { $0.requests }
            _ = try store.put(layout.manifest(UInt64(second + 1)), bytes)
            if bench.stores[2].contents.withLockedValue({ $0.requests }) > before {
                tried.append(second)
            }
            clock.withLockedValue { $0 += .seconds(1) }
        }
        #expect(tried == [0, 30, 90, 210, 450, 930, 1_890, 2_850, 3_810])
    }

    @Test func `what is replaced, or taken out of the way, is so in every store`() throws {
        let bench = Bench()
        let store = bench.opened(.all)
        _ = try store.put(manifest, bytes)
        try store.replace(manifest, with: [7])
        #expect(bench.stores.map { $0.objects[manifest] } == [[7], [7], [7]])
        bench.stores[1].objects[manifest] = nil
        try store.quarantine(manifest)
        #expect(bench.having(manifest) == [])
        let again = failure { () throws(ObjectStoreFailure) in
            try store.quarantine(manifest)
            return 0
        }
        #expect(again?.cause == .missing)
    }
}
