internal import NIOConcurrencyHelpers
package import Repository
internal import Sealing

/// Sees to it that each blob is stored once: knows what the repository has, what is on its way there, and what of it no
/// index tells of yet.
final class BlobKeeper: Sendable {
    fileprivate struct Gathered: Sendable {
        /// On their way, or durable and in no index yet.
        var claimed: Set<Digest> = []
        var locations: [BlobLocation] = []
        var packByteCount = 0
        var tally = BackupTally()
    }

    let vault: Vault
    let catalog: Catalog
    private let packs: KnownPacks
    private let gathered = NIOLockedValueBox(Gathered())

    /// Reads what the indexes tell, and which packs are there: what an index says of one that is lost, or about to be deleted, is
    /// stored again.
    init(
        _ vault: Vault, without doomed: CollectionStatement.Names
    ) throws(BackupFailure) {
        self.vault = vault
        catalog = try Catalog(vault, doomed: Set(doomed.indexes))
        packs = try KnownPacks(vault, doomed: Set(doomed.packs))
    }

    var tally: BackupTally { gathered.withLockedValue { $0.tally } }

    /// Whether the caller has to store it: nobody has yet, and nobody else is about to.
    func claim(_ id: Digest) throws(BackupFailure) -> Bool {
        guard gathered.withLockedValue({ $0.claimed.insert(id).inserted }) else { return false }
        guard try catalog.location(of: id, lasting: true, where: packs.hold) != nil else {
            return true
        }
        gathered.withLockedValue { _ = $0.claimed.remove(id) }
        return false
    }

    /// Makes a pack durable, and now and then an index of what is.
    func store(_ pack: Pack, codecFaults: Int) throws(BackupFailure) {
        try vault.put(vault.layout.pack(pack.reference.name), pack.bytes)
        packs.add(pack.reference.name, byteCount: pack.bytes.count)
        let limits = vault.limits
        let due = gathered.withLockedValue { gathered in
            gathered.locations += pack.blobs.map { BlobLocation(pack: pack.reference, placed: $0) }
            gathered.packByteCount += pack.bytes.count
            gathered.tally.packCount += 1
            gathered.tally.storedByteCount += pack.bytes.count
            gathered.tally.codecFaultCount += codecFaults
            return gathered.takeLocations(isLast: false, limits)
        }
        try writeIndex(of: due)
    }

    /// All packs are durable: so is where their blobs lie, when this returns.
    func finish() throws(BackupFailure) {
        let limits = vault.limits
        while case let due = gathered.withLockedValue({ $0.takeLocations(isLast: true, limits) }),
            !due.isEmpty
        {
            try writeIndex(of: due)
        }
        let left = gathered.withLockedValue { $0.claimed.count }
        guard left == 0 else { throw .unfinished(blobs: left) }
    }

    private func writeIndex(of locations: [BlobLocation]) throws(BackupFailure) {
        guard !locations.isEmpty else { return }
        var writer = IndexWriter(in: vault.place)
        for location in locations.sorted(by: { $0.id < $1.id }) { writer.add(location) }
        let segment: IndexSegment
        do throws(ObjectDamage) { segment = try writer.finish(random: vault.draw()) } catch {
            throw .unreadable(error)
        }
        let name = vault.layout.index(segment.name)
        try vault.put(name, segment.bytes)
        catalog.add(name, segment.directory)
        gathered.withLockedValue { gathered in
            gathered.tally.storedByteCount += segment.bytes.count
            gathered.tally.indexCount += 1
            for location in locations { gathered.claimed.remove(location.id) }
        }
    }
}

extension BlobKeeper.Gathered {
    fileprivate mutating func takeLocations(
        isLast: Bool, _ limits: BackupLimits
    ) -> [BlobLocation] {
        guard
            isLast || locations.count >= limits.locationsPerIndex
                || packByteCount >= limits.packBytesPerIndex
        else { return [] }
        let taken = Array(locations.prefix(IndexWriter.locationsMax))
        locations.removeFirst(taken.count)
        packByteCount = 0
        return taken
    }
}

/// What a backup did.
package struct BackupTally: Hashable, Sendable {
    /// Of cells that were read, with those of zeros; holes are not read.
    package var readByteCount: UInt64 = 0
    package var packCount = 0
    package var indexCount = 0
    package var storedByteCount = 0
    /// How often what the codec made was not what it was made from.
    package var codecFaultCount = 0
    /// Indexes that could not be read: what they tell of was stored again.
    package var unreadableIndexes: [ObjectName: ObjectDamage] = [:]
}
