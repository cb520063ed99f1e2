internal import Mesh
internal import Repository
internal import Sealing
internal import Synchronization

/// Where the repository's blobs lie. Of each index segment only its directory is held; its blocks are fetched when
/// an id may be in them, and the last few are kept.
final class Catalog: Sendable {
    /// Of 80 KiB each.
    static let blocksKeptMax = 256
    /// Enough for a segment's directory but where its packs are tiny.
    private static let tailByteCount = 448 << 10

    private struct Segment: Sendable {
        let name: ObjectName
        let directory: IndexDirectory
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
    private let segments = Mutex<[Segment]>([])
    private let kept = Mutex(Kept())

    /// Reads what all indexes say of themselves.
    init(_ vault: Vault) throws(BackupFailure) {
        self.vault = vault
        for object in try vault.list(vault.layout.indexes) {
            try add(object.name, byteCount: object.byteCount)
        }
    }

    private func add(_ name: ObjectName, byteCount: Int) throws(BackupFailure) {
        let head = try vault.get(name, 0..<min(SealedHeader.byteCount, byteCount))
        let place = try vault.reading(name) { () throws(ObjectDamage) in try vault.place(of: head) }
        var tailByteCount = min(Self.tailByteCount, byteCount)
        while true {
            let tail = try vault.get(name, byteCount - tailByteCount..<byteCount)
            do throws(ObjectDamage) {
                let directory = try IndexDirectory(
                    head: head, tail: tail, of: byteCount, for: place)
                return add(name, directory)
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
        segments.withLock { $0.append(Segment(name: name, directory: directory)) }
    }

    /// Where the blob of that id lies; nil where no index knows of it.
    func location(of id: Digest) throws(BackupFailure) -> BlobLocation? {
        let segments = segments.withLock { $0 }
        // What was written last is asked for most.
        for number in segments.indices.reversed() {
            guard let block = segments[number].directory.block(of: id) else { continue }
            let locations = try locations(BlockID(segment: number, number: block), segments[number])
            if let found = locations.location(of: id) { return found }
        }
        return nil
    }

    private func locations(
        _ id: BlockID, _ segment: Segment
    ) throws(BackupFailure) -> [BlobLocation] {
        if let held = kept.withLock({ $0.blocks[id] }) { return held }
        let sealed = try vault.get(segment.name, segment.directory.range(ofBlock: id.number))
        let locations = try vault.reading(segment.name) { () throws(ObjectDamage) in
            try segment.directory.locations(inBlock: id.number, sealed.span)
        }
        kept.withLock { kept in
            guard kept.blocks.updateValue(locations, forKey: id) == nil else { return }
            if let oldest = kept.order.push(id, keeping: Self.blocksKeptMax) {
                kept.blocks[oldest] = nil
            }
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
