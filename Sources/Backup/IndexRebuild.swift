internal import Repository
internal import Sealing

/// Makes indexes anew, for packs that none tells of that is whole: each pack's ends say what it holds.
struct IndexRebuild {
    private let vault: Vault
    private let stores: [any ObjectStore]

    /// What is made is put into each of `stores`.
    init(_ vault: Vault, _ stores: [any ObjectStore]) {
        (self.vault, self.stores) = (vault, stores)
    }

    /// How many were made, and whether they tell of all packs that no other index tells of.
    func run() throws(BackupFailure) -> (made: Int, isComplete: Bool) {
        let told = try told()
        var locations: [BlobLocation] = []
        var (made, isComplete) = (0, true)
        for object in try vault.list(vault.layout.packs) {
            guard let name = Layout.digest(object.name), !told.contains(name) else { continue }
            guard let own = self.locations(name, object) else {
                isComplete = false
                continue
            }
            locations += own
            while locations.count >= IndexWriter.locationsMax {
                try write(&locations)
                made += 1
            }
        }
        while !locations.isEmpty {
            try write(&locations)
            made += 1
        }
        return (made, isComplete)
    }

    /// The packs of which some index tells that is whole.
    private func told() throws(BackupFailure) -> Set<Digest> {
        var packs: Set<Digest> = []
        for object in try vault.list(vault.layout.indexes) {
            let index: IndexReader? = try? vault.reading(object.name) {
                bytes throws(ObjectDamage) in
                guard Digest(of: bytes.span) == Layout.digest(object.name) else { throw .end }
                return try IndexReader(bytes, for: vault.place(of: bytes))
            }
            for pack in index?.directory.packs ?? [] { packs.insert(pack.name) }
        }
        return packs
    }

    private func locations(
        _ name: Digest, _ object: ObjectListing.Object
    ) -> [BlobLocation]? {
        try? vault.reading(object.name) { bytes throws(ObjectDamage) in
            let pack = try PackReader(bytes, for: vault.place(of: bytes))
            let reference = PackReference(
                name: name, epoch: pack.header.epoch, salt: pack.header.salt)
            return pack.blobs.map { BlobLocation(pack: reference, placed: $0) }
        }
    }

    private func write(_ locations: inout [BlobLocation]) throws(BackupFailure) {
        let part = locations.prefix(IndexWriter.locationsMax)
        var writer = IndexWriter(in: vault.place)
        for location in part.sorted(by: { $0.id < $1.id }) { writer.add(location) }
        let segment: IndexSegment
        do throws(ObjectDamage) { segment = try writer.finish(random: vault.draw()) } catch {
            throw .unreadable(error)
        }
        for store in stores {
            do throws(ObjectStoreFailure) {
                _ = try store.put(vault.layout.index(segment.name), segment.bytes)
            } catch { throw .store(error) }
        }
        locations.removeFirst(part.count)
    }
}
