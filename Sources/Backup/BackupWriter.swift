internal import Dispatch
internal import Mesh
internal import NIOConcurrencyHelpers
package import Repository
package import Sealing

/// Stores volumes, and makes their maps: all cells, or those that changed since an earlier map.
///
/// Cells are read, named, packed, sealed and stored by a few threads, each with a pack of its own. After a failure it is
/// of no more use: what it was about to store is lost, and nothing that counts on it must become a backup.
package final class BackupWriter: Sendable {
    private let vault: Vault
    private let keeper: BlobKeeper
    private let packers: [Packer]
    private let workers: Workers
    private let reading = DispatchQueue(label: "holdfast.backup.reading")
    private struct State: Sendable {
        var readByteCount: UInt64 = 0
        var hasFailed = false
    }
    private let state = NIOLockedValueBox(State())

    /// Reads what the repository has, and counts on what `session` protects. With `threads` packs at once, which take 50 MiB
    /// each.
    package init(
        _ vault: Vault, in session: Session, threads: Int
    ) throws(BackupFailure) {
        self.vault = vault
        keeper = try BlobKeeper(vault, without: session.doomed)
        workers = Workers(threads)
        packers = (0..<threads).map { [keeper] _ in Packer(keeper) }
    }

    package var tally: BackupTally {
        var tally = keeper.tally
        tally.readByteCount = state.withLockedValue { $0.readByteCount }
        tally.unreadableIndexes = keeper.catalog.damage
        return tally
    }

    private func attempting<Value>(
        _ deed: () throws(BackupFailure) -> Value
    ) throws(BackupFailure) -> Value {
        guard !state.withLockedValue({ $0.hasFailed }) else { throw .givenUp }
        do throws(BackupFailure) { return try deed() } catch {
            state.withLockedValue { $0.hasFailed = true }
            // Nothing is still on its way behind a failure that was told.
            for packer in packers { try? packer.settle() }
            throw error
        }
    }

    /// Stores a volume, and gives its map. Without `parent` all cells are read.
    package func store(
        _ source: some CellSource, since parent: ChangedCells? = nil
    ) throws(BackupFailure) -> VolumeMap {
        try attempting { () throws(BackupFailure) in try storing(source, since: parent) }
    }

    private func storing(
        _ source: some CellSource, since parent: ChangedCells?
    ) throws(BackupFailure) -> VolumeMap {
        let shape = source.shape
        if let parent { try check(parent, shape) }
        // No cells are read meanwhile: a map's nodes lie in a pack with them, and cost no pack of their own.
        let nodes = NodeKeeper(keeper, packers[0])
        let plan = CellPlan(
            wanted: parent?.cells(of: shape) ?? [0..<shape.cellCount],
            allocated: source.allocated, cellsPerPart: vault.limits.cellsPerPart,
            cellsPerRead: max(vault.limits.readByteCountMax / shape.cellByteCount, 1))
        var map = parent?.map ?? VolumeMap(shape, top: .hole)
        var byteCountMin = min(parent?.byteCountMin ?? .max, shape.byteCount)
        // Where the volume was cut comes first: all that lay behind goes with it, and no other part reaches there.
        let cut = byteCountMin / shape.cellByteCount / plan.cellsPerPart
        var parts = plan.parts(first: cut)
        let isResized = byteCountMin < shape.byteCount || map.shape != shape
        if isResized, parts.first != cut { parts.insert(cut, at: 0) }
        for part in parts {
            let runs = try read(plan.batches(of: part), source)
            let change = VolumeChange(runs, shape: shape, byteCountMin: byteCountMin)
            map = try changing(map, by: change, nodes)
            try nodes.settle(map)
            byteCountMin = shape.byteCount
        }
        try nodes.finish(map)
        return map
    }

    private func check(_ parent: ChangedCells, _ shape: VolumeShape) throws(BackupFailure) {
        guard vault.keepsIDs(since: parent.epoch) else {
            throw .renewedIDs(since: parent.epoch)
        }
        let (old, new) = (parent.map.shape.cellByteCount, shape.cellByteCount)
        guard old == new else {
            throw .volume("its earlier map has cells of \(old) bytes, the volume is read in \(new)")
        }
    }

    private func changing(
        _ map: VolumeMap, by change: VolumeChange, _ nodes: NodeKeeper
    ) throws(BackupFailure) -> VolumeMap {
        var nodes = nodes
        do { return try map.changed(change, in: &nodes) } catch let failure as BackupFailure {
            throw failure
        } catch { throw .volume("its earlier map can't be read: \(error)") }
    }

    private func read(
        _ batches: [[CellPlan.Step]], _ source: some CellSource
    ) throws(BackupFailure) -> [CellRun] {
        let done = NIOLockedValueBox<[[CellRun]]>(Array(repeating: [], count: batches.count))
        let ahead = ReadAhead(batches.count, depth: workers.count, on: reading) {
            item throws(BackupFailure) in
            let wanted = batches[item].compactMap(\.read)
            return wanted.isEmpty ? [] : try source.read(wanted)
        }
        defer { ahead.stop() }
        try workers.perform(batches.count) { item, worker throws(BackupFailure) in
            let runs = try self.store(
                batches[item], try ahead.take(item), source.shape, self.packers[worker])
            done.withLockedValue { $0[item] = runs }
        }
        return done.withLockedValue { $0.flatMap(\.self) }
    }

    private func store(
        _ steps: [CellPlan.Step], _ pieces: [[UInt8]], _ shape: VolumeShape, _ packer: Packer
    ) throws(BackupFailure) -> [CellRun] {
        let wanted = steps.compactMap(\.read)
        var pieces = pieces[...]
        invariant(pieces.count == wanted.count, "a source gives all that is asked for")
        var runs: [CellRun] = []
        runs.reserveCapacity(wanted.reduce(steps.count) { $0 + $1.count })
        for step in steps {
            switch step {
            case .hole(let cells): runs.append(CellRun(cells, .hole))
            case .read(let cells):
                try store(cells, pieces.removeFirst(), shape, packer, &runs)
            }
        }
        return runs
    }

    private func store(
        _ cells: Range<UInt64>, _ bytes: [UInt8], _ shape: VolumeShape, _ packer: Packer,
        _ runs: inout [CellRun]
    ) throws(BackupFailure) {
        let size = Int(shape.cellByteCount)
        invariant(bytes.count == cells.count * size, "a source gives all that is asked for")
        state.withLockedValue { $0.readByteCount += UInt64(bytes.count) }
        let starts = (0..<cells.count).map { $0 * size }.filter { !bytes[$0..<$0 + size].isZero }
        var ids = try packer.add(starts, size, in: bytes.span)[...]
        var filled = starts[...]
        for (cell, start) in zip(cells, stride(from: 0, to: bytes.count, by: size)) {
            let isFilled = filled.first == start
            if isFilled { filled.removeFirst() }
            runs.append(CellRun(cell..<cell + 1, isFilled ? .stored(ids.removeFirst()) : .zeros))
        }
    }

    /// Stores bytes that are no volume, in pieces.
    package func store(_ bytes: [UInt8]) throws(BackupFailure) -> [Digest] {
        try attempting { () throws(BackupFailure) in
            var ids: [Digest] = []
            for start in stride(from: 0, to: bytes.count, by: Blob.plainByteCountMax) {
                let end = min(start + Blob.plainByteCountMax, bytes.count)
                ids.append(try packers[0].add(bytes.span.extracting(start..<end), .piece))
            }
            return ids
        }
    }

    /// All that was stored is durable when this returns, and found by whoever opens the repository.
    package func finish() throws(BackupFailure) {
        try attempting { () throws(BackupFailure) in
            try workers.perform(packers.count) { item, _ throws(BackupFailure) in
                try self.packers[item].flush()
            }
            try keeper.finish()
        }
    }
}

/// What is known of a volume since an earlier backup of it.
package struct ChangedCells: Sendable {
    package let map: VolumeMap
    /// Of the manifest that has the map.
    package let epoch: KeyEpoch
    /// In their order, none twice. The cell that the volume's end cut need not be among them.
    package let cells: [Range<UInt64>]
    /// Of how few bytes the volume was meanwhile.
    package let byteCountMin: UInt64

    package init(
        _ map: VolumeMap, epoch: KeyEpoch, cells: [Range<UInt64>], byteCountMin: UInt64
    ) {
        (self.map, self.epoch, self.cells) = (map, epoch, cells)
        self.byteCountMin = min(byteCountMin, map.shape.byteCount)
    }

    /// With the cell that was cut, and without those that are no more.
    fileprivate func cells(of shape: VolumeShape) -> [Range<UInt64>] {
        var cells = cells.map { $0.clamped(to: 0..<shape.cellCount) }.filter { !$0.isEmpty }
        let least = min(byteCountMin, shape.byteCount)
        let cut = least / shape.cellByteCount
        guard least % shape.cellByteCount != 0, !cells.contains(where: { $0.contains(cut) }) else {
            return cells
        }
        cells.insert(
            cut..<cut + 1, at: cells.firstIndex { $0.lowerBound > cut } ?? cells.endIndex)
        return cells
    }
}
