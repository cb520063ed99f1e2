internal import Repository
internal import Sealing
internal import Synchronization

/// Sees to it that each blob is stored once: knows what the repository has, what is on its way there, and what of it no
/// index tells of yet.
final class BlobKeeper: Sendable {
    /// An index is written as soon as so many blobs are durable, which are a gigabyte of usual cells: whoever is killed
    /// does not store again what lies there.
    static let locationsPerIndex = 1 << 16

    fileprivate struct Gathered: Sendable {
        /// On their way, or durable and in no index yet.
        var claimed: Set<Digest> = []
        var locations: [BlobLocation] = []
        var tally = BackupTally()
    }

    let vault: Vault
    let catalog: Catalog
    private let gathered = Mutex(Gathered())

    init(_ vault: Vault) throws(BackupFailure) {
        self.vault = vault
        catalog = try Catalog(vault)
    }

    var tally: BackupTally { gathered.withLock { $0.tally } }

    /// Whether the caller has to store it: nobody has yet, and nobody else is about to.
    func claim(_ id: Digest) throws(BackupFailure) -> Bool {
        guard gathered.withLock({ $0.claimed.insert(id).inserted }) else { return false }
        guard try catalog.location(of: id) != nil else { return true }
        gathered.withLock { _ = $0.claimed.remove(id) }
        return false
    }

    /// Makes a pack durable, and now and then an index of what is.
    func store(_ pack: Pack, codecFaults: Int) throws(BackupFailure) {
        try vault.put(vault.layout.pack(pack.reference.name), pack.bytes)
        let due = gathered.withLock { gathered in
            gathered.locations += pack.blobs.map { BlobLocation(pack: pack.reference, placed: $0) }
            gathered.tally.packCount += 1
            gathered.tally.storedByteCount += pack.bytes.count
            gathered.tally.codecFaultCount += codecFaults
            return gathered.takeLocations(atLeast: Self.locationsPerIndex)
        }
        try writeIndex(of: due)
    }

    /// All packs are durable: so is where their blobs lie, when this returns.
    func finish() throws(BackupFailure) {
        while case let due = gathered.withLock({ $0.takeLocations(atLeast: 1) }), !due.isEmpty {
            try writeIndex(of: due)
        }
    }

    private func writeIndex(of locations: [BlobLocation]) throws(BackupFailure) {
        guard !locations.isEmpty else { return }
        var writer = IndexWriter(in: vault.place)
        for location in locations.sorted(by: { $0.id < $1.id }) { writer.add(location) }
        let segment: IndexSegment
        let directory: IndexDirectory
        do throws(ObjectDamage) {
            segment = try writer.finish(random: vault.draw())
            directory = try IndexReader(segment.bytes, for: vault.place).directory
        } catch { throw .damaged(vault.layout.indexes, error) }
        let name = vault.layout.index(segment.name)
        try vault.put(name, segment.bytes)
        catalog.add(name, directory)
        gathered.withLock { gathered in
            gathered.tally.storedByteCount += segment.bytes.count
            for location in locations { gathered.claimed.remove(location.id) }
        }
    }
}

extension BlobKeeper.Gathered {
    fileprivate mutating func takeLocations(atLeast count: Int) -> [BlobLocation] {
        guard self.locations.count >= count else { return [] }
        let taken = Array(locations.prefix(IndexWriter.locationsMax))
        locations.removeFirst(taken.count)
        return taken
    }
}

/// What a backup did.
package struct BackupTally: Hashable, Sendable {
    /// Of cells that were read, with those of zeros; holes are not read.
    package var readByteCount: UInt64 = 0
    package var packCount = 0
    package var storedByteCount = 0
    /// How often what the codec made was not what it was made from.
    package var codecFaultCount = 0
}
