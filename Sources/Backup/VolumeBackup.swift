internal import Mesh
package import Repository
package import Sealing
internal import Synchronization

/// Stores volumes, and makes their maps: all cells, or those that changed since an earlier map.
///
/// Cells are read, named, packed, sealed and stored by a few threads, each with a pack of its own.
package final class BackupWriter: Sendable {
    private let keeper: BlobKeeper
    private let packers: [Packer]
    private let workers: Workers
    private let readByteCount = Mutex<UInt64>(0)

    /// Reads what the repository has. With `threads` packs at once, which take 50 MiB each.
    package init(_ vault: Vault, threads: Int) throws(BackupFailure) {
        keeper = try BlobKeeper(vault)
        workers = Workers(threads)
        packers = (0..<threads).map { [keeper] _ in Packer(keeper) }
    }

    package var tally: BackupTally {
        var tally = keeper.tally
        tally.readByteCount = readByteCount.withLock { $0 }
        return tally
    }

    /// Stores a volume, and gives its map. Without `parent` all cells are read.
    package func store(
        _ source: some CellSource, since parent: ChangedCells? = nil
    ) throws(BackupFailure) -> VolumeMap {
        let shape = source.shape
        let nodes = NodeKeeper(keeper)
        let wanted = parent?.cells ?? [0..<shape.cellCount]
        var map = parent?.map ?? VolumeMap(shape, top: .hole)
        var byteCountMin = parent?.byteCountMin ?? shape.byteCount
        let plan = CellPlan(wanted, allocated: source.allocated)
        for batch in plan.batches {
            let change = VolumeChange(
                try read(batch, source), shape: shape, byteCountMin: byteCountMin)
            map = try changing(map, by: change, nodes)
            try nodes.settle(map)
            byteCountMin = shape.byteCount
        }
        if plan.batches.isEmpty {
            let change = VolumeChange([], shape: shape, byteCountMin: byteCountMin)
            map = try changing(map, by: change, nodes)
        }
        try nodes.finish(map)
        return map
    }

    private func changing(
        _ map: VolumeMap, by change: VolumeChange, _ nodes: NodeKeeper
    ) throws(BackupFailure) -> VolumeMap {
        var nodes = nodes
        do { return try map.changed(change, in: &nodes) } catch let failure as BackupFailure {
            throw failure
        } catch let damage as ObjectDamage {
            throw .damaged(keeper.vault.layout.indexes, damage)
        } catch { throw .volume("\(error)") }
    }

    private func read(
        _ steps: [CellPlan.Step], _ source: some CellSource
    ) throws(BackupFailure) -> [CellRun] {
        let done = Mutex<[[CellRun]]>(Array(repeating: [], count: steps.count))
        try workers.perform(steps.count) { item, worker throws(BackupFailure) in
            let runs: [CellRun]
            switch steps[item] {
            case .hole(let cells): runs = [CellRun(cells, .hole)]
            case .read(let cells): runs = try self.store(cells, of: source, self.packers[worker])
            }
            done.withLock { $0[item] = runs }
        }
        return done.withLock { $0.flatMap(\.self) }
    }

    private func store(
        _ cells: Range<UInt64>, of source: some CellSource, _ packer: Packer
    ) throws(BackupFailure) -> [CellRun] {
        let bytes = try source.read(cells)
        let size = Int(source.shape.cellByteCount)
        invariant(bytes.count == cells.count * size, "a source gives all that is asked for")
        readByteCount.withLock { $0 += UInt64(bytes.count) }
        var runs: [CellRun] = []
        runs.reserveCapacity(cells.count)
        for at in 0..<cells.count {
            let own = at * size..<(at + 1) * size
            let cell = cells.lowerBound + UInt64(at)
            if bytes[own].isZero {
                runs.append(CellRun(cell..<cell + 1, .zeros))
            } else {
                let id = try packer.add(bytes.span.extracting(own), .cell)
                runs.append(CellRun(cell..<cell + 1, .stored(id)))
            }
        }
        return runs
    }

    /// Stores bytes that are no volume, in pieces.
    package func store(_ bytes: [UInt8]) throws(BackupFailure) -> [Digest] {
        var ids: [Digest] = []
        for start in stride(from: 0, to: bytes.count, by: VolumeBackup.pieceByteCount) {
            let end = min(start + VolumeBackup.pieceByteCount, bytes.count)
            ids.append(try packers[0].add(bytes.span.extracting(start..<end), .piece))
        }
        return ids
    }

    /// All that was stored is durable when this returns, and found by whoever opens the repository.
    package func finish() throws(BackupFailure) {
        try workers.perform(packers.count) { item, _ throws(BackupFailure) in
            try self.packers[item].flush()
        }
        try keeper.finish()
    }
}

/// What is known of a volume since an earlier backup of it.
package struct ChangedCells: Sendable {
    package let map: VolumeMap
    /// In their order, none twice.
    package let cells: [Range<UInt64>]
    /// Of how few bytes the volume was meanwhile.
    package let byteCountMin: UInt64

    package init(_ map: VolumeMap, cells: [Range<UInt64>], byteCountMin: UInt64) {
        (self.map, self.cells, self.byteCountMin) = (map, cells, byteCountMin)
    }
}

enum VolumeBackup {
    /// One node of level 0.
    static let cellsPerRead: UInt64 = 256
    /// One node of level 1: it and all below it are made once.
    static let cellsPerBatch: UInt64 = 65_536
    static let pieceByteCount = 1 << 20
}
