import Copies
import Mesh
import Repository
import Sealing
import Testing

@testable import Backup

/// One repository in two stores, with two backups of a volume.
private struct Twins {
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
        _ stores: [MemoryStore], _ demand: CopiedStore.Demand = .copies(2)
    ) -> CopiedStore {
        CopiedStore(
            stores.enumerated().map { number, store in
                CopiedStore.Copy("store \(number)") { () throws(ObjectStoreFailure) in store }
            }, demand)
    }

    func vault(_ demand: CopiedStore.Demand = .one) throws -> Vault {
        try Vault(Self.opened(stores, demand), ring: Rig.ring(), limits: Rig.small)
    }

    var names: [ObjectName] { stores[0].objects.keys.sorted() }
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
        for name in twins.names where name != Layout.repository {
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
        for (number, name) in twins.names.enumerated() where number % 2 == 0 {
            twins.stores[1].change(name) { $0 = nil }
        }
        twins.stores[1].change(Layout.repository) { $0 = before[Layout.repository] }
        let read = twins.stores[0].readByteCount
        let report = try Repair(twins.vault(.copies(1)), threads: 2).catchUp()
        #expect(report.repaired.count >= twins.names.count / 2 - 1)
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
        let own = report.losses.filter { $0.backup == 2 }
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
