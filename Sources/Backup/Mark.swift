internal import Pacing
internal import Repository
internal import Sealing

/// What some backups lead to: which packs, and how much of each.
struct Mark {
    /// Bytes that are led to, of each pack of which any are.
    private(set) var live: [Digest: Int] = [:]
    /// Of each index its packs.
    private(set) var indexes: [Digest: Set<Digest>] = [:]
    private let tell: WorkTeller

    /// Walks all of `manifests`. A pack of `spurned` counts only for what lies in no other one: who had seen its tombstone
    /// stored that again. Throws, and names it, where anything of them can't be found or read: what can't be told from
    /// something that is missing for a moment must not be taken for dead.
    init(
        _ vault: Vault, _ inventory: Inventory, _ manifests: [ManifestObject],
        spurning spurned: Set<Digest> = [], tell: @escaping WorkTeller = { _ in }
    ) throws(BackupFailure) {
        self.tell = tell
        tell(.began("marking", in: .objects))
        var walk = try Walk(vault, tell)
        for manifest in manifests { try walk.add(manifest) }
        walk.ids.settle()
        let ids = walk.ids
        var found = [Bool](repeating: false, count: ids.count)
        var lacking = try locate(ids, vault, inventory, &found) { !spurned.contains($0) }
        if found.allSatisfy(\.self) { return }
        lacking.formUnion(
            try locate(ids, vault, inventory, &found, unless: found, spurned.contains))
        guard found.allSatisfy(\.self) else {
            throw try Self.lacking(lacking, found, ids, vault, manifests)
        }
    }

    /// Reads all indexes, and takes down in which of the packs that count the ids lie. Gives the packs that would count, and
    /// are missing or too short.
    private mutating func locate(
        _ ids: IDSet, _ vault: Vault, _ inventory: Inventory, _ found: inout [Bool],
        unless known: [Bool] = [], _ counts: (Digest) -> Bool
    ) throws(BackupFailure) -> Set<Digest> {
        var (lacking, live): (Set<Digest>, [Digest: Int]) = ([], self.live)
        let byteCount = inventory.indexes.values.reduce(UInt64(0)) { $0 + UInt64($1) }
        tell(.began("indexes", total: byteCount))
        for (name, byteCount) in inventory.indexes.sorted(by: { $0.key < $1.key }) {
            indexes[name] = try Self.packs(name, vault) { location in
                let pack = location.pack.name
                guard counts(pack), let place = ids.place(of: location.id),
                    known.isEmpty || !known[place]
                else { return }
                guard let byteCount = inventory.packs[pack],
                    location.range.upperBound <= byteCount
                else { return _ = lacking.insert(pack) }
                found[place] = true
                live[pack, default: 0] += location.range.count
            }
            tell(.advanced(UInt64(byteCount)))
        }
        self.live = live
        return lacking
    }

    /// The packs of that index, after it told of all that it knows.
    private static func packs(
        _ name: Digest, _ vault: Vault, _ tell: (BlobLocation) -> Void
    ) throws(BackupFailure) -> Set<Digest> {
        let object = vault.layout.index(name)
        // What a reader goes without may be what a backup needs.
        let packs = try vault.reading(object) { bytes throws(ObjectDamage) in
            let index = try IndexReader(bytes, for: vault.place(of: bytes))
            for block in 0..<index.blockCount {
                for location in try index.locations(inBlock: block) { tell(location) }
            }
            return index.directory.packs
        }
        return Set(packs.map(\.name))
    }

    /// Says of which backups it is that something can't be found.
    private static func lacking(
        _ packs: Set<Digest>, _ found: [Bool], _ ids: IDSet, _ vault: Vault,
        _ manifests: [ManifestObject]
    ) throws(BackupFailure) -> BackupFailure {
        var hurt: [UInt64] = []
        for manifest in manifests {
            var walk = try Walk(vault)
            var lacks = false
            walk.tell = { id in
                if let place = ids.place(of: id), !found[place] { lacks = true }
            }
            try walk.add(manifest)
            if lacks { hurt.append(manifest.manifest.sequence) }
        }
        let of = hurt.map { "\($0)" }.joined(separator: ", ")
        let what =
            packs.min().map { "\(vault.layout.pack($0)) is missing or cut off" }
            ?? "no index tells where some of their blobs lie"
        return .refused(
            "of backups \(of) something is not there: \(what). Put it back, make a full backup, which "
                + "stores again what a volume still has, or give them up with --lost")
    }
}

/// Goes from manifests to all that they lead to.
private struct Walk {
    var ids = IDSet()
    var tell: ((Digest) -> Void)?
    private var entered: Set<Digest> = []
    private let catalog: Catalog
    private let fetcher: BlobFetcher
    private let work: WorkTeller

    init(_ vault: Vault, _ work: @escaping WorkTeller = { _ in }) throws(BackupFailure) {
        self.work = work
        catalog = try Catalog(vault)
        fetcher = BlobFetcher(vault, catalog)
        try demandIndexes()
    }

    private func demandIndexes() throws(BackupFailure) {
        guard let hurt = catalog.damage.min(by: { $0.key < $1.key }) else { return }
        throw .damaged(hurt.key, hurt.value)
    }

    mutating func add(_ object: ManifestObject) throws(BackupFailure) {
        let manifest = object.manifest
        for piece in manifest.state { take(piece) }
        do {
            for volume in manifest.volumes { try walk(volume.map) }
        } catch let failure as BackupFailure {
            throw .refused("backup \(manifest.sequence) can't be followed: \(failure)")
        } catch {
            throw .refused("backup \(manifest.sequence) has a map that can't be read: \(error)")
        }
        try demandIndexes()
    }

    private mutating func take(_ id: Digest) {
        ids.insert(id)
        tell?(id)
    }

    private mutating func walk(_ map: VolumeMap) throws {
        var nodes = FetchedNodes(fetcher: fetcher)
        var (ids, entered) = (IDSet(), Set<Digest>())
        swap(&ids, &self.ids)
        swap(&entered, &self.entered)
        defer {
            swap(&ids, &self.ids)
            swap(&entered, &self.entered)
        }
        let enters = { [work] (node: Digest) in
            let isNew = entered.insert(node).inserted
            if isNew { work(.advanced(1)) }
            return isNew
        }
        try map.forEachBlob(nodes: &nodes, enters: enters) { id in
            ids.insert(id)
            tell?(id)
        }
    }
}
