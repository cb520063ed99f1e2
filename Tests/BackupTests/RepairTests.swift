import Copies
import Mesh
import Repository
import Sealing
import Testing

@testable import Backup

/// One repository in two stores, with two backups of a volume.
struct Twins {
    let stores = [MemoryStore(), MemoryStore()]
    let volume: MemoryVolume
    let backups: [Manifest]

    init(seed: UInt64 = 1) throws {
        var random = SeededRandom(seed: seed)
        var first = try MemoryVolume(1 << 20)
        first.fill(100, kinds: 400, &random)
        var second = first
        second.fill(40, kinds: 4_000, &random)
        volume = second
        for store in stores { try Vault.found(Rig.ring().repository, in: store) }
        let vault = try Rig.vault(Self.opened(stores), Rig.small)
        let one = try Rig.back(up: first, vault, threads: 1, time: 5).manifest.manifest
        let two = try Rig.back(up: second, vault, threads: 1, time: 6).manifest.manifest
        backups = [one, two]
    }

    static func opened(
        _ stores: [MemoryStore], _ demand: CopiedStore.Demand = .copies(2), past: Int? = nil
    ) -> CopiedStore {
        CopiedStore(
            stores.enumerated().map { number, store in
                CopiedStore.Copy("store \(number)", isPast: number == past) {
                    () throws(ObjectStoreFailure) in store
                }
            }, demand)
    }

    /// `past` is the store that can only be read.
    func vault(_ demand: CopiedStore.Demand = .one, past: Int? = nil) throws -> Vault {
        try Vault(Self.opened(stores, demand, past: past), ring: Rig.ring(), limits: Rig.small)
    }

    var names: [ObjectName] { stores[0].objects.keys.sorted() }
    /// Of a session before the newest one: should a part of it be missing, nobody misses it.
    func isOver(_ name: ObjectName) -> Bool {
        let session = Layout(tenant).session(1, .begun).text.dropLast()
        return name.text.hasPrefix(session)
    }
    private var tenant: TenantID { TenantID(high: 3, low: 4) }

    var packs: [ObjectName] { names.filter { Layout.kind($0) == .pack } }

    func repaired() throws -> Repair.Report { try Repair(vault(), threads: 2).run() }

    func scrubbed(withKey: Bool = true) throws -> Scrub.Report {
        let vault = try vault()
        return try Scrub(vault.store, withKey ? vault : nil, threads: 2).run()
    }

    func flip(_ name: ObjectName, in store: Int, at place: Int) {
        stores[store].change(name) { bytes in
            guard let count = bytes?.count else { return }
            bytes?[place % count] ^= 0x10
        }
    }
}

@Suite("Copies that are repaired") struct RepairTests {
    @Test func `copies that are whole are left alone`() throws {
        let twins = try Twins()
        let before = twins.stores.map(\.objects)
        let report = try twins.repaired()
        #expect(report.scrub.findings == [] && report.repaired == [] && report.lost == [])
        #expect(report.scrub.objectCount == 2 * twins.names.count)
        #expect(twins.stores.map(\.objects) == before)
    }

    @Test(arguments: [0, 1])
    func `whatever byte of whatever object turns in one store is found, and put right`(
        store: Int
    ) throws {
        let twins = try Twins()
        let before = twins.stores[store].objects
        for name in twins.names {
            let count = before[name]?.count ?? 0
            for place in [0, 50, count / 3, count / 2, count - 20, count - 1] where place < count {
                twins.flip(name, in: store, at: max(place, 0))
                let found = try twins.scrubbed().findings
                #expect(found.map(\.name) == [name.text], "\(name) byte \(place)")
                #expect(found.map(\.store) == ["store \(store)"])
                let report = try twins.repaired()
                #expect(report.repaired == found)
                #expect(try twins.scrubbed().findings == [])
                #expect(twins.stores[store].objects == before)
            }
        }
    }

    /// The other one may have let go of it, or have been erased; nobody here has a key of it.
    @Test
    func
        `what is missing of another tenant is left to it, and what is missing of one's own is brought back`()
        throws
    {
        let twins = try Twins()
        let other = Layout(TenantID(high: 5, low: 6))
        let names = [
            other.manifest(1), other.session(1, .begun),
            try #require(ObjectName("\(other.rings)/00000000000000000001")),
            try #require(
                ObjectName("\(other.packs)/ab/" + "ab" + String(repeating: "0", count: 62))),
        ]
        for name in names { twins.stores[1].change(name) { $0 = [1, 2, 3] } }
        let pack = twins.packs[0]
        let bytes = twins.stores[0].objects[pack]
        twins.stores[0].change(pack) { $0 = nil }
        let report = try Repair(twins.vault(), threads: 2).catchUp()
        #expect(Set(report.passedOver) == Set(names))
        #expect(report.repaired.map(\.name) == [pack.text] && report.failed.isEmpty)
        #expect(twins.stores[0].objects[pack] == bytes)
        for name in names { #expect(twins.stores[0].objects[name] == nil) }
    }

    @Test func `without a key all that turns is found, and of what which copy it is`() throws {
        let twins = try Twins()
        for name in twins.names {
            let whole = twins.stores[1].objects
            twins.flip(name, in: 1, at: 100)
            let found = try twins.scrubbed(withKey: false).findings
            #expect(found.map(\.name) == [name.text])
            #expect(found.map(\.store) == ["store 1"])
            twins.stores[1].change(name) { $0 = whole[name] }
        }
    }

    @Test func `what one store lost, or has cut off, is put there again`() throws {
        let twins = try Twins()
        let before = twins.stores[0].objects
        for name in twins.names where name != Layout.repository && !twins.isOver(name) {
            twins.stores[0].change(name) { $0 = nil }
            #expect(try twins.repaired().repaired.map(\.problem) == [.missing])
            twins.stores[0].change(name) { $0 = Array(($0 ?? []).dropLast(7)) }
            #expect(try twins.repaired().repaired.map(\.name) == [name.text])
            #expect(twins.stores[0].objects == before)
        }
    }

    @Test func `a store that was away is brought what it missed, by lists alone`() throws {
        let twins = try Twins()
        let before = twins.stores[0].objects
        for (number, name) in twins.names.enumerated()
        where number % 2 == 0 && !twins.isOver(name) {
            twins.stores[1].change(name) { $0 = nil }
        }
        twins.stores[1].change(Layout.repository) { $0 = before[Layout.repository] }
        let read = twins.stores[0].readByteCount
        let report = try Repair(twins.vault(.copies(1)), threads: 2).catchUp()
        #expect(report.repaired.count > twins.names.count / 3)
        #expect(twins.stores[1].objects == before)
        let again = try Repair(twins.vault(.copies(1)), threads: 2).catchUp()
        #expect(again.repaired == [])
        #expect(twins.stores[0].readByteCount - read < 3 * twins.stores[0].byteCount)
    }

    @Test func `who restores reads from the other store what one has damaged or lost`() throws {
        let twins = try Twins()
        for (number, name) in twins.names.enumerated() where name != Layout.repository {
            switch number % 3 {
            case 0: twins.flip(name, in: 0, at: number * 577)
            case 1: twins.stores[0].change(name) { $0 = nil }
            default: twins.flip(name, in: 1, at: number * 577)
            }
        }
        let vault = try twins.vault()
        let newest = try #require(try Manifests(vault).newest())
        #expect(newest.manifest == twins.backups[1])
        #expect(try Rig.restored(newest.manifest, vault) == twins.volume.contents)
    }

    @Test func `copies that are damaged in different places are made one whole`() throws {
        let twins = try Twins()
        let before = twins.stores[0].objects
        let long = try #require(twins.packs.first { (before[$0]?.count ?? 0) > 3 * 4_096 })
        twins.flip(long, in: 0, at: 100)
        twins.flip(long, in: 0, at: 5_000)
        twins.flip(long, in: 1, at: 9_000)
        let report = try twins.repaired()
        #expect(report.lost == [] && report.repaired.count == 2)
        #expect(twins.stores.map(\.objects) == [before, before])
    }

    @Test func `what is whole nowhere is named, with what the backups lack, and left as it is`()
        throws
    {
        let twins = try Twins()
        let vault = try twins.vault()
        let map = twins.backups[0].volumes[0].map
        // The first cell that both backups have, and where it lies.
        let cell = try #require(
            twins.volume.cells.keys.sorted().first {
                twins.volume.cells[$0]?.contains { $0 != 0 } == true
            })
        let plain = try #require(twins.volume.cells[cell])
        let id = vault.ids.id(of: plain.span, .cell)
        let location = try #require(try Catalog(vault).location(of: id))
        let pack = vault.layout.pack(location.pack.name)
        for store in 0...1 { twins.flip(pack, in: store, at: location.range.lowerBound + 8) }
        let before = twins.stores.map(\.objects)
        let report = try twins.repaired()
        #expect(report.lost == [pack] && report.repaired == [])
        #expect(twins.stores.map(\.objects) == before)
        let own = (report.losses ?? []).filter { $0.backup == 2 }
        let lost = own.flatMap(\.ranges)
        let size = map.shape.cellByteCount
        let expected = twins.volume.cells.filter { $0.value == twins.volume.cells[cell] }.keys
        #expect(
            Set(lost.flatMap { stride(from: $0.lowerBound, to: $0.upperBound, by: Int(size)) })
                == Set(expected.map { $0 * size }))
        #expect(own.map(\.volume) == ["disk"])
    }

    @Test func `an index that is whole nowhere is made again, and the backups are restored by it`()
        throws
    {
        let twins = try Twins()
        for name in twins.names where Layout.kind(name) == .index {
            for store in 0...1 { twins.flip(name, in: store, at: 200) }
        }
        #expect(throws: BackupFailure.self) {
            _ = try Rig.restored(twins.backups[1], twins.vault())
        }
        let report = try twins.repaired()
        #expect(!report.rebuilt.isEmpty && report.lost == [] && report.losses == [])
        #expect(try twins.scrubbed().findings == [])
        #expect(try Rig.restored(twins.backups[1], twins.vault()) == twins.volume.contents)
    }

    @Test func `two copies that are different, and both open, are left to a person`() throws {
        let twins = try Twins()
        let name = Layout(try Rig.ring().tenant).manifest(2)
        let vault = try twins.vault()
        let other = try ManifestObject(
            sealing: Rig.manifest(after: try Manifests(vault).manifest(1), time: 99),
            in: vault.place, random: vault.draw())
        twins.stores[1].change(name) { $0 = other.bytes }
        let before = twins.stores.map(\.objects)
        let report = try twins.repaired()
        #expect(report.conflicts == [name] && report.repaired == [])
        #expect(twins.stores.map(\.objects) == before)
    }

    @Test func `what was let go of does not come back from a store that missed it`() throws {
        let twins = try Twins()
        let old = twins.stores[1].objects
        let vault = try twins.vault(.all)
        let now = WallTime(Pruning.start)
        _ = try Collector(vault, Pruning.newestOnly(), now: now, lost: []).prune()
        let name = vault.layout.manifest(1)
        #expect(twins.stores.allSatisfy { $0.objects[name] == nil })
        twins.stores[1].change(name) { $0 = old[name] }
        _ = try twins.repaired()
        #expect(twins.stores[0].objects[name] == nil)
    }

    /// Whoever is killed between the two steps of a repair must not have taken away what the next one needs.
    @Test func `a repair that fails midway leaves what can still be combined`() throws {
        let twins = try Twins()
        let before = twins.stores[0].objects
        let long = try #require(twins.packs.first { (before[$0]?.count ?? 0) > 3 * 4_096 })
        twins.flip(long, in: 0, at: 100)
        twins.flip(long, in: 1, at: 9_000)
        for store in twins.stores { store.stop(afterPuts: 0) }
        let failed = try twins.repaired()
        #expect(failed.repaired == [] && failed.lost == [] && failed.failed.count == 2)
        for store in twins.stores { store.stop(afterPuts: .max) }
        #expect(try twins.repaired().repaired.count == 2)
        #expect(twins.stores.map(\.objects) == [before, before])
    }

    @Test func `what is damaged where another store can't be asked is not called lost`() throws {
        let twins = try Twins()
        let pack = try #require(twins.packs.first)
        twins.flip(pack, in: 0, at: 100)
        let one = twins.stores[0]
        let store = CopiedStore(
            [
                CopiedStore.Copy("here") { () throws(ObjectStoreFailure) in one },
                CopiedStore.Copy("there") { () throws(ObjectStoreFailure) in
                    throw ObjectStoreFailure("open", "it", in: "there", .service("it is away"))
                },
            ], .one)
        let vault = try Vault(store, ring: Rig.ring(), limits: Rig.small)
        let report = try Repair(vault, threads: 1).run()
        #expect(report.undecided == [pack] && report.lost == [] && report.losses == nil)
    }

    @Test func `one object that may not be read is that object's trouble alone`() throws {
        let twins = try Twins()
        let pack = try #require(twins.packs.first)
        let (one, other) = (twins.stores[0], twins.stores[1])
        let store = CopiedStore(
            [
                CopiedStore.Copy("here") { () throws(ObjectStoreFailure) in one },
                CopiedStore.Copy("there") { () throws(ObjectStoreFailure) in
                    Forbidding(store: other, name: pack)
                },
            ], .one)
        let report = try Scrub(store, nil, threads: 2).run()
        #expect(report.absent.isEmpty)
        #expect(report.findings.map(\.problem) == [.unreadable(.denied)])
        #expect(report.objectCount == 2 * twins.names.count - 1)
    }

    @Test func `one object that can't be put right does not end the repair of its store`() throws {
        let twins = try Twins()
        try #require(twins.packs.count > 1)
        for pack in twins.packs { twins.flip(pack, in: 1, at: 100) }
        let (one, other, name) = (twins.stores[0], twins.stores[1], twins.packs[0])
        let store = CopiedStore(
            [
                CopiedStore.Copy("here") { () throws(ObjectStoreFailure) in one },
                CopiedStore.Copy("there") { () throws(ObjectStoreFailure) in
                    Forbidding(store: other, name: name, onlyReplacing: true)
                },
            ], .one)
        let vault = try Vault(store, ring: Rig.ring(), limits: Rig.small)
        let report = try Repair(vault, threads: 1).run()
        #expect(report.failed.map(\.finding.name) == [name.text])
        #expect(Set(report.repaired.map(\.name)) == Set(twins.packs.dropFirst().map(\.text)))
    }

    @Test func `what a store missed the deletion of does not come back from it`() throws {
        let twins = try Twins()
        let writer = try twins.vault(.copies(2))
        // None of them leads to what another one has.
        for letter in ["a", "b"] as [Character] {
            _ = try Rig.back(up: Pruning.volume(letter), writer, threads: 1, time: Pruning.start)
        }
        let old = twins.stores[1].objects
        let now = WallTime(Pruning.start)
        let pruned = try Collector(
            twins.vault(.all), Pruning.newestOnly(), now: now, lost: []
        ).prune()
        #expect(pruned.swept.first?.deleted.packs.isEmpty == false)
        let left = twins.stores[0].objects
        // As if it had been out of the file meanwhile.
        for (name, bytes) in old { twins.stores[1].change(name) { $0 = bytes } }
        for name in left.keys where old[name] == nil { twins.stores[1].change(name) { $0 = nil } }
        let report = try twins.repaired()
        #expect(!report.passedOver.isEmpty)
        #expect(Set(twins.stores[0].objects.keys) == Set(left.keys))
        #expect(twins.stores[0].objects == left)
        // It has all that the other one has.
        #expect(Set(left.keys).isSubset(of: twins.stores[1].objects.keys))
    }

    @Test func `a pack that is missing in all stores is missed by what is lost beside it`() throws {
        let twins = try Twins()
        let packs = twins.packs
        for store in 0...1 {
            twins.stores[store].change(packs[0]) { $0 = nil }
            twins.flip(packs[1], in: store, at: 120)
        }
        let report = try twins.repaired()
        #expect(report.lost == [packs[1]])
        let hurt = (report.losses ?? []).flatMap(\.ranges).reduce(0) { $0 + $1.count }
        let vault = try twins.vault()
        for backup in twins.backups {
            let fails = (try? Rig.restored(backup, vault)) == nil
            let named = report.losses?.contains { $0.backup == backup.sequence } == true
            #expect(fails == named)
        }
        #expect(hurt > 0 || report.losses?.contains { $0.why != nil } == true)
    }

    @Test func `who writes counts on no pack of which there are too few copies`() throws {
        let twins = try Twins()
        let packs = twins.packs.count
        for name in twins.packs { twins.stores[0].change(name) { $0 = nil } }
        let vault = try Rig.vault(Twins.opened(twins.stores), Rig.small)
        let made = try Rig.back(up: twins.volume, vault, threads: 1, time: 7)
        #expect(made.tally.packCount > 0)
        twins.stores[1].change(Layout.repository) { $0 = nil }
        let alone = try Vault(
            CopiedStore(
                [
                    CopiedStore.Copy("here") {
                        [one = twins.stores[0]] () throws(ObjectStoreFailure) in one
                    }
                ],
                .one), ring: Rig.ring(), limits: Rig.small)
        #expect(try Rig.restored(made.manifest.manifest, alone) == twins.volume.contents)
        #expect(packs > 0)
    }

    /// An erased tenant's record is signed by a key that nobody has any more; the repository has other tenants.
    @Test func `the record of an erasure is no damage, and is copied like the rest`() throws {
        let twins = try Twins()
        let name = Layout(TenantID(high: 8, low: 9)).erasure(1)
        twins.stores[0].change(name) { $0 = Array("signed".utf8) }
        #expect(try twins.scrubbed().findings.map(\.problem) == [.missing])
        #expect(try twins.repaired().repaired.map(\.name) == [name.text])
        #expect(try twins.scrubbed().findings == [])
        #expect(try twins.scrubbed(withKey: false).findings == [])
    }

    @Test func `where nobody can tell what was let go of, what is missing is told as a failure`()
        throws
    {
        let twins = try Twins()
        _ = try Collector(
            twins.vault(.all), Pruning.newestOnly(), now: WallTime(Pruning.start), lost: []
        ).prune()
        let decided = Layout(try Rig.ring().tenant).collection(1, .decided)
        for store in 0...1 { twins.flip(decided, in: store, at: 100) }
        let pack = try #require(twins.packs.first)
        twins.stores[1].change(pack) { $0 = nil }
        let report = try twins.repaired()
        #expect(report.passedOver == [] && report.lost == [decided])
        #expect(report.failed.map(\.finding.name) == [pack.text])
        #expect(twins.stores[1].objects[pack] == nil)
    }

    @Test func `a store that is away is told, and the others are read`() throws {
        let twins = try Twins()
        let (one, other) = (twins.stores[0], twins.stores[1])
        let store = CopiedStore(
            [
                CopiedStore.Copy("here") { () throws(ObjectStoreFailure) in one },
                CopiedStore.Copy("there") { () throws(ObjectStoreFailure) in
                    throw ObjectStoreFailure("open", "it", in: "there", .service("it is away"))
                },
            ], .one)
        other.change(Layout.repository) { $0 = nil }
        let report = try Scrub(store, nil, threads: 2).run()
        #expect(report.absent.count == 1 && report.findings == [])
        #expect(report.objectCount == twins.names.count)
    }
}

/// A store that may be read, but for one object.
private struct Forbidding: ObjectStore {
    let store: MemoryStore
    let name: ObjectName
    /// It may be read, and not replaced.
    var onlyReplacing = false

    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome {
        try store.put(name, bytes)
    }
    func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8] {
        guard name != self.name || onlyReplacing else {
            throw ObjectStoreFailure("read", name.text, in: "memory", .denied)
        }
        return try store.get(name, range)
    }
    func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        try store.list(part)
    }
    func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool { try store.delete(name) }
    func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) { try store.quarantine(name) }
    func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }
    func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {
        guard name != self.name || !onlyReplacing else {
            throw ObjectStoreFailure("replace", name.text, in: "memory", .service("it is archived"))
        }
        try store.replace(name, with: bytes)
    }
}
