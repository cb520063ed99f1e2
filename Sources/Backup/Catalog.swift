internal import NIOConcurrencyHelpers
internal import Repository
internal import Sealing

/// Where the repository's blobs lie. Of each index segment only its directory is held; its blocks are fetched when
/// an id may be in them, and the last few are kept.
///
/// A segment that can't be read is noted and gone without: a backup stores a little more, a restore may still find all it
/// needs.
final class Catalog: Sendable {
    private struct Segment: Sendable {
        let name: ObjectName
        let directory: IndexDirectory
        /// It is about to be deleted: what only it tells of is not counted on.
        let isDoomed: Bool
    }

    private struct BlockID: Hashable {
        let segment: Int
        let number: Int
    }

    private struct Kept: Sendable {
        var blocks: [BlockID: [BlobLocation]] = [:]
        /// The oldest first.
        var order = Fifo()
    }

    private let vault: Vault
    /// The newest last.
    private let segments = NIOLockedValueBox<[Segment]>([])
    private let kept = NIOLockedValueBox(Kept())
    private let unreadable = NIOLockedValueBox<[ObjectName: ObjectDamage]>([:])

    /// Reads what all indexes say of themselves. Those of `doomed` are read like others, and not counted on.
    init(_ vault: Vault, doomed: Set<Digest> = []) throws(BackupFailure) {
        self.vault = vault
        for object in try vault.list(vault.layout.indexes) {
            guard let digest = Layout.digest(object.name) else { continue }
            do throws(BackupFailure) {
                try add(object, isDoomed: doomed.contains(digest))
            } catch {
                switch error {
                case .damaged(let name, let damage): note(name, damage)
                // Merged into others since it was listed.
                case .store(let failure) where failure.cause == .missing: break
                default: throw error
                }
            }
        }
    }

    /// Indexes that can't be read, and why.
    var damage: [ObjectName: ObjectDamage] { unreadable.withLockedValue { $0 } }

    private func note(_ name: ObjectName, _ damage: ObjectDamage) {
        unreadable.withLockedValue { $0[name] = damage }
    }

    private func add(
        _ object: ObjectListing.Object, isDoomed: Bool
    ) throws(BackupFailure) {
        let name = object.name
        do throws(BackupFailure) {
            return add(name, try directory(object), isDoomed: isDoomed)
        } catch {
            guard case .damaged = error, vault.store.copies.count > 1 else { throw error }
        }
        // A copy that is too long, or whose ends are of two copies, hides from who reads its ends alone.
        let directory = try vault.reading(name) { bytes throws(ObjectDamage) in
            try IndexReader(bytes, for: vault.place(of: bytes)).directory
        }
        add(name, directory, isDoomed: isDoomed)
    }

    private func directory(
        _ object: ObjectListing.Object
    ) throws(BackupFailure) -> IndexDirectory {
        let (name, byteCount) = (object.name, object.byteCount)
        let head = try vault.get(name, 0..<min(SealedHeader.byteCount, byteCount))
        let place = try vault.blaming(name) { () throws(ObjectDamage) in try vault.place(of: head) }
        var tailByteCount = min(vault.limits.indexTailByteCount, byteCount)
        while true {
            let tail = try vault.get(name, byteCount - tailByteCount..<byteCount)
            do throws(ObjectDamage) {
                return try IndexDirectory(head: head, tail: tail, of: byteCount, for: place)
            } catch {
                guard case .truncated(let wanted, _) = error, wanted > tailByteCount,
                    wanted <= byteCount
                else { throw .damaged(name, error) }
                tailByteCount = wanted
            }
        }
    }

    /// One that was just written.
    func add(_ name: ObjectName, _ directory: IndexDirectory) {
        add(name, directory, isDoomed: false)
    }

    private func add(_ name: ObjectName, _ directory: IndexDirectory, isDoomed: Bool) {
        // Made anew: those who look something up hold the former list.
        segments.withLockedValue { segments in
            var longer: [Segment] = []
            longer.reserveCapacity(segments.count + 1)
            for segment in segments { longer.append(segment) }
            longer.append(Segment(name: name, directory: directory, isDoomed: isDoomed))
            segments = longer
        }
    }

    /// All places where the blob of that id lies: two agents that met the same cell at once have both stored it.
    func locations(of id: Digest) throws(BackupFailure) -> [BlobLocation] {
        var found: [BlobLocation] = []
        _ = try location(of: id) { location in
            found.append(location)
            return false
        }
        return found
    }

    /// The newest of them for which `isWanted` holds; `lasting` is where it will be found later, too.
    func location(
        of id: Digest, lasting: Bool = false, where isWanted: (BlobLocation) -> Bool = { _ in true }
    ) throws(BackupFailure) -> BlobLocation? {
        let segments = segments.withLockedValue { $0 }
        // What was written last is asked for most.
        for number in segments.indices.reversed() {
            if lasting, segments[number].isDoomed { continue }
            guard let block = segments[number].directory.block(of: id) else { continue }
            let locations = try locations(BlockID(segment: number, number: block), segments[number])
            if let found = locations.location(of: id), isWanted(found) { return found }
        }
        return nil
    }

    private func locations(
        _ id: BlockID, _ segment: Segment
    ) throws(BackupFailure) -> [BlobLocation] {
        if let held = kept.withLockedValue({ $0.blocks[id] }) { return held }
        let locations: [BlobLocation]
        do throws(BackupFailure) {
            let range = segment.directory.range(ofBlock: id.number)
            locations = try vault.reading(segment.name, range) { sealed throws(ObjectDamage) in
                try segment.directory.locations(inBlock: id.number, sealed.span)
            }
        } catch {
            switch error {
            case .damaged(let name, let damage): note(name, damage)
            // Deleted since its directory was read: no backup that is kept needs it.
            case .store(let failure) where failure.cause == .missing: break
            default: throw error
            }
            locations = []
        }
        let most = vault.limits.indexBlocksKept
        kept.withLockedValue { kept in
            guard kept.blocks.updateValue(locations, forKey: id) == nil else { return }
            if let oldest = kept.order.push(id, keeping: most) { kept.blocks[oldest] = nil }
        }
        return locations
    }

    /// A ring of so many; what falls out of it is given back.
    private struct Fifo: Sendable {
        private var ids: [BlockID] = []
        private var next = 0

        mutating func push(_ id: BlockID, keeping count: Int) -> BlockID? {
            guard ids.count == count else {
                ids.append(id)
                return nil
            }
            defer {
                ids[next] = id
                next = (next + 1) % count
            }
            return ids[next]
        }
    }
}
