internal import Mesh
internal import NIOConcurrencyHelpers
package import Repository
package import Sealing

/// Reads volumes back: each cell is opened, and is what its id says, or the restore fails and says which one is not.
package final class BackupReader: Sendable {
    let vault: Vault
    private let catalog: Catalog
    let fetcher: BlobFetcher
    let workers: Workers
    private let keptNodes: NIOLockedValueBox<Kept<Digest, [UInt8]>>

    package init(_ vault: Vault, threads: Int) throws(BackupFailure) {
        self.vault = vault
        catalog = try Catalog(vault)
        fetcher = BlobFetcher(vault, catalog)
        workers = Workers(threads)
        keptNodes = NIOLockedValueBox(Kept(vault.limits.nodesKept))
    }

    /// Indexes that can't be read: what only they tell of can't be restored.
    package var unreadableIndexes: [ObjectName: ObjectDamage] { catalog.damage }

    /// The bytes that were stored in those pieces.
    package func bytes(_ pieces: [Digest]) throws(BackupFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        for piece in pieces { bytes += try fetcher.plain(piece, .piece) }
        return bytes
    }

    /// Writes all of those cells that hold anything, with nothing behind the volume's end.
    package func restore(
        _ map: VolumeMap, _ cells: Range<UInt64>? = nil, to target: some CellTarget
    ) throws(BackupFailure) {
        for cells in windows(cells ?? 0..<map.shape.cellCount) {
            try fetch(try stored(map, cells), map.shape, target)
        }
    }

    /// What is looked up at once before it is fetched.
    func windows(_ cells: Range<UInt64>) -> some Sequence<Range<UInt64>> {
        let step = vault.limits.cellsPerFetch
        return stride(from: cells.lowerBound, to: cells.upperBound, by: Int(step)).lazy
            .map { $0..<min($0 + step, cells.upperBound) }
    }

    func fetch(
        _ stored: [StoredCell], _ shape: VolumeShape, _ target: some CellTarget
    ) throws(BackupFailure) {
        let jobs = try jobs(stored)
        try workers.perform(jobs.count) { item, _ throws(BackupFailure) in
            try self.fetch(jobs[item], shape, target)
        }
    }

    /// In which bytes a volume differs from what an earlier map says of it: whole cells, in their order. Reads the maps only,
    /// where they differ.
    package func changes(
        _ map: VolumeMap, since older: VolumeMap
    ) throws(BackupFailure) -> [Range<UInt64>] {
        var nodes = FetchedNodes(fetcher: fetcher)
        var ranges: [Range<UInt64>] = []
        do {
            try map.forEachChange(since: older, nodes: &nodes) { run in
                ranges.append(joining: map.shape.bytes(of: run.cells))
            }
        } catch let failure as BackupFailure {
            throw failure
        } catch { throw .volume("the maps can't be compared: \(error)") }
        return ranges
    }

    /// Which of those cells read zero; all behind the map's end do.
    func zeros(
        of map: VolumeMap, in cells: Range<UInt64>
    ) throws(BackupFailure) -> RangeSet<UInt64> {
        var nodes = FetchedNodes(fetcher: fetcher)
        var zeros = RangeSet<UInt64>()
        let known = cells.clamped(to: 0..<map.shape.cellCount)
        if known.upperBound < cells.upperBound {
            zeros.insert(contentsOf: known.upperBound..<cells.upperBound)
        }
        do {
            try map.forEach(in: known, nodes: &nodes) { run in
                if case .stored = run.slot { return }
                zeros.insert(contentsOf: run.cells)
            }
        } catch let failure as BackupFailure {
            throw failure
        } catch { throw .volume("a map can't be read: \(error)") }
        return zeros
    }

    /// A cell that holds anything, and what its bytes are called.
    typealias StoredCell = (cell: UInt64, id: Digest)

    struct Wanted: Sendable {
        let location: BlobLocation
        let cell: UInt64
    }

    /// Blobs of one pack that are fetched together, in the order in which they lie.
    struct Job: Sendable {
        var wanted: [Wanted]
        var range: Range<Int>
    }

    /// Those that were read last are not fetched again.
    var nodes: FetchedNodes { FetchedNodes(fetcher: fetcher, kept: keptNodes) }

    func stored(
        _ map: VolumeMap, _ cells: Range<UInt64>
    ) throws(BackupFailure) -> [StoredCell] {
        var stored: [StoredCell] = []
        var nodes = nodes
        do {
            try map.forEach(in: cells, nodes: &nodes) { run in
                guard case .stored(let id) = run.slot else { return }
                stored.append((run.cells.lowerBound, id))
            }
        } catch let failure as BackupFailure {
            throw failure
        } catch { throw .volume("its map can't be read: \(error)") }
        return stored
    }

    func jobs(_ stored: [StoredCell]) throws(BackupFailure) -> [Job] {
        var wanted: [Wanted] = []
        var places: [(pack: Digest, offset: Int, at: Int)] = []
        wanted.reserveCapacity(stored.count)
        places.reserveCapacity(stored.count)
        for (at, (cell, id)) in stored.enumerated() {
            let location = try fetcher.location(of: id, .cell)
            wanted.append(Wanted(location: location, cell: cell))
            places.append((location.pack.name, location.placed.offset, at))
        }
        // Of numbers alone: to move locations about costs more than to compare them.
        places.sort { ($0.pack, $0.offset, $0.at) < ($1.pack, $1.offset, $1.at) }
        var jobs: [Job] = []
        for place in places {
            let one = wanted[place.at]
            let range = one.location.range
            if let last = jobs.last, last.wanted[0].location.pack == one.location.pack,
                range.lowerBound <= last.range.upperBound + vault.limits.fetchGapByteCountMax,
                range.upperBound - last.range.lowerBound <= vault.limits.fetchByteCountMax
            {
                jobs[jobs.count - 1].wanted.append(one)
                let end = max(range.upperBound, last.range.upperBound)
                jobs[jobs.count - 1].range = last.range.lowerBound..<end
            } else {
                jobs.append(Job(wanted: [one], range: range))
            }
        }
        return jobs
    }

    func fetch(
        _ job: Job, _ shape: VolumeShape, _ target: some CellTarget
    ) throws(BackupFailure) {
        let bytes = sealed(job)
        var last: (id: Digest, plain: [UInt8])?
        var run = Run()
        for wanted in job.wanted {
            let id = wanted.location.id
            if last?.id != id { last = (id, try plain(wanted.location, bytes, job)) }
            guard let plain = last?.plain else { continue }
            guard plain.count == Int(shape.cellByteCount) else {
                let name = vault.layout.pack(wanted.location.pack.name)
                throw .damaged(name, .contents("cell \(id) is of another length"))
            }
            let offset = wanted.cell * shape.cellByteCount
            if run.end != offset || run.bytes.count >= vault.limits.writeByteCountMax {
                try run.write(to: target)
                run.offset = offset
            }
            run.bytes += plain.prefix(Int(min(shape.byteCount - offset, shape.cellByteCount)))
        }
        try run.write(to: target)
    }

    /// Cells that lie side by side are written together.
    private struct Run {
        var offset: UInt64 = 0
        var bytes: [UInt8] = []
        var end: UInt64 { offset + UInt64(bytes.count) }

        mutating func write(to target: some CellTarget) throws(BackupFailure) {
            if !bytes.isEmpty { try target.write(bytes, at: offset) }
            bytes.removeAll(keepingCapacity: true)
        }
    }

    /// nil where they can't be had together: each blob is then asked for alone, and elsewhere.
    private func sealed(_ job: Job) -> [UInt8]? {
        try? vault.get(vault.layout.pack(job.wanted[0].location.pack.name), job.range)
    }

    private func plain(
        _ location: BlobLocation, _ bytes: [UInt8]?, _ job: Job
    ) throws(BackupFailure) -> [UInt8] {
        if let bytes {
            let start = location.range.lowerBound - job.range.lowerBound
            let sealed = bytes.span.extracting(start..<start + location.range.count)
            if let plain = try? fetcher.plain(sealed, location, .cell) { return plain }
        }
        return try fetcher.plain(location.id, .cell)
    }
}

/// The nodes of maps that are read only.
struct FetchedNodes: MapNodes {
    struct Unwritable: Error {}
    let fetcher: BlobFetcher
    var kept: NIOLockedValueBox<Kept<Digest, [UInt8]>>?

    func node(_ id: Digest) throws -> [UInt8] {
        if let known = kept?.withLockedValue({ $0.value(of: id) }) { return known }
        let node = try fetcher.plain(id, .node)
        kept?.withLockedValue { $0.keep(node, as: id) }
        return node
    }
    func add(_ plain: [UInt8]) throws -> Digest { throw Unwritable() }
}
