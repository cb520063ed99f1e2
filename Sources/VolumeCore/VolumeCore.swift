package import Disk
package import Mesh
internal import Planted
package import Record

/// Protected disks: an image for each, and above it an overlay of what the log holds and the image
/// does not yet. Reads look through pending, committed, image, in this order.
///
/// A `DiskError` thrown here is final (see `Disk`): drop the core and recover from the disk.
package struct VolumeCore<D: Disk>: Sendable {
    package let limits: VolumeLimits
    /// Sorted by id.
    var volumes: [Volume] = []
    var sequence: UInt64
    /// All entries up to here are in the overlay or the images.
    package internal(set) var applied: LogIndex
    /// The log may forget what is at or below.
    package internal(set) var checkpointed: LogIndex
    var pendingByteCount = 0
    var overlayByteCount = 0
    var lastOpening: ExportGeneration
    /// What is missing of these volumes has to come from another replica first.
    var resync: VolumeState.Resync?
    /// What was handed in, or passed over at a start, reaches up to here; `applied` may be ahead.
    var handed: LogIndex
    /// A log that ends before this is not the one that these volumes were fed from, or was rolled back.
    package let logEndMin: LogIndex
    /// Pieces that are on their way from a source.
    var asked: [AskedPiece] = []
    /// Blocks that an operator distrusts.
    var distrusted: Set<Piece> = []
    /// Of cells that come in several pieces, how many are still to come.
    var piecesLeft: [CellID: Int] = [:]
    /// An image was created whose name is not safe yet.
    var hasNewNames = false
    /// Files whose volumes are deleted, until a checkpoint says so durably.
    var doomed: [(name: String, file: FileHandle)] = []
    var sums: SumPages
    var edges: EdgeFile
    /// The volumes as of an earlier index, for a backup.
    var cut: Cut?
    /// The volumes as of earlier indexes, for whom it may concern.
    var snapshots: Snapshots
    /// A block was found damaged, and nobody was told yet.
    var hasNewDamage = false
    package internal(set) var scrub = Scrub()
    /// Bytes of the present pass, and of all cells when it began.
    var scrubbed: (done: UInt64, whole: UInt64) = (0, 0)
    /// Until this is applied, and is in the images, blocks may differ from their sums because the last
    /// process was writing them.
    let replayEnd: LogIndex
    var isSettled: Bool
    /// The last, so that the places of all the others are known when this is compiled.
    package internal(set) var disk: D

    /// Recovers from `disk`; entries above `checkpointed` have to be applied again. The log ends at
    /// `logEnd`: no process has applied more.
    package init(
        disk: D, limits: VolumeLimits = VolumeLimits(), logEnd: LogIndex = .zero
    ) throws(VolumeRecoveryRefused) {
        var disk = disk
        try self.init(recovering: &disk, limits: limits, logEnd: logEnd)
    }

    /// The same; on failure `disk` is what it has become.
    package init(
        recovering disk: inout D, limits: VolumeLimits, logEnd: LogIndex = .zero
    ) throws(VolumeRecoveryRefused) {
        self.limits = limits
        lastOpening = try OpeningFile.load(from: &disk)
        let found = try VolumeState.load(from: &disk)
        let state = found ?? VolumeState()
        sequence = state.sequence
        applied = state.applied
        checkpointed = state.applied
        resync = state.resync
        scrub = state.scrub
        logEndMin = state.resync?.handed ?? state.applied
        // Handed in again from the log's base on, which is not known here.
        handed = .zero
        replayEnd = logEnd
        isSettled = state.applied >= logEnd
        sums = SumPages(count: limits.sumPagesMax)
        snapshots = Snapshots(roomByteCount: limits.snapshotRoomByteCount)
        do throws(DiskError) {
            if found == nil { try state.save(to: &disk) }
            edges = try EdgeFile(&disk, sequence: state.sequence)
        } catch { throw .state(error) }
        self.disk = disk
        do throws(DiskError) {
            try open(state)
            try restoreEdges()
            disk = self.disk
        } catch {
            disk = self.disk
            throw .state(error)
        }
    }

    private mutating func open(_ state: VolumeState) throws(DiskError) {
        for record in state.volumes {
            let image = try disk.open(VolumeState.image(of: record.id), create: false)
            let name = VolumeState.sums(of: record.id)
            let sums = try disk.open(name, create: state.format != .summed)
            if state.format != .summed {
                try disk.resize(sums, to: BlockSum.fileByteCount(of: record.byteCount))
                hasNewNames = true
            }
            volumes.append(Volume(record: record, image: image, sums: sums))
        }
        // Files of no volume: created above the checkpoint, so the log creates it again; or deleted
        // at it. Snapshots ended with the last process.
        let known = Set(
            state.volumes.flatMap { [VolumeState.image(of: $0.id), VolumeState.sums(of: $0.id)] })
        for name in try disk.list()
        where VolumeState.isVolumeFile(name) && !known.contains(name)
            || name == SnapshotRoom.name
        {
            try disk.remove(name)
        }
    }

    package var list: [VolumeInfo] {
        volumes.map { volume in
            let record = volume.record
            var info = VolumeInfo(
                id: volume.id, name: record.name, byteCount: record.byteCount,
                isSync: record.isSync, generation: volume.open,
                pendingBytes: volume.pending.cost)
            if !record.damaged.isEmpty {
                info.damagedBlocks = record.damaged.count
                let ranges = record.damaged.ranges(of: record.byteCount)
                info.damagedRanges = Array(ranges.prefix(VolumeInfo.damagedRangesMax))
            }
            return info
        }
    }

    /// Bytes answered to clients that no majority holds yet.
    package var pendingBytes: Int { pendingByteCount }
    /// Memory of committed bytes that no image holds yet.
    package var overlayBytes: Int { overlayByteCount }

    func position(of id: VolumeID) -> Int? {
        let place = insertion(of: id)
        return place < volumes.count && volumes[place].id == id ? place : nil
    }

    func insertion(of id: VolumeID) -> Int {
        var (low, high) = (0, volumes.count)
        while low < high {
            let middle = (low + high) / 2
            if volumes[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Opens a volume for I/O. The caller is the primary, holds its lease, and has applied every
    /// committed record (protection.md, "Volumes").
    package mutating func open(_ id: VolumeID, generation: ExportGeneration) -> VolumeRefused? {
        guard let place = position(of: id) else { return .unknownVolume }
        guard resync == nil else { return .closed }
        guard volumes[place].open == nil,
            generation > max(volumes[place].record.generation, volumes[place].barred)
        else {
            return .staleGeneration
        }
        volumes[place].open = generation
        volumes[place].nextNumber = 1
        return nil
    }

    /// Ends a generation: all that is pending fails, and it never opens again (protocol-rules 14).
    /// Gives the writes that were answered and may be lost.
    package mutating func close(_ id: VolumeID) -> [VolumeWrite] {
        guard let place = position(of: id), let generation = volumes[place].open else { return [] }
        let lost = Array(volumes[place].queue.all)
        pendingByteCount -= lost.reduce(0) { $0 + cost(of: $1) }
        volumes[place].open = nil
        volumes[place].queue.removeAll()
        volumes[place].pending = ExtentMap()
        volumes[place].barred = generation
        return lost
    }

    func cost(of write: VolumeWrite) -> Int {
        write.data.count + ExtentMap.Extent.overheadByteCount
    }

    /// Takes the log one entry further, which changes no volume.
    package mutating func skip(_ index: LogIndex) {
        noteHanded(index)
        guard index > applied else { return }
        invariant(index == applied.next, "entry \(index) after \(applied)")
        applied = index
    }

    /// Takes the log one entry further. `epoch` is the one current at the entry's index; `.zero` is
    /// nobody's, so nothing is written under it.
    package mutating func apply(_ entry: Entry, epoch: Epoch) throws(DiskError) -> Applied {
        guard entry.index > applied else {
            noteHanded(entry.index)
            return .nothing
        }
        skip(entry.index)
        guard entry.kind == .write else { return .nothing }
        guard entry.epoch == epoch, epoch != .zero else {
            return .refused(.staleEpoch(entry.epoch))
        }
        let write: VolumeWrite
        do throws(VolumeWriteRefused) {
            write = try VolumeWrite(parsing: entry)
        } catch { return .refused(.malformed(error)) }
        guard let place = position(of: write.volume) else {
            return .refused(.unknownVolume(write.volume))
        }
        if let refused = admit(write, at: place) { return refused }
        try keepForCut(write.range, place)
        try keepForSnapshots(write, place)
        note(write, at: entry.index, place)
        settle(write, at: place)
        if overlayBytes > limits.overlayByteCountMax {
            try fold(bytesMax: limits.overlayByteCountMax)
        }
        return .applied(write.volume, write.generation, number: write.number)
    }

    /// Exactly last + 1 of the newest generation passes (protocol-rules 16), so that the answer
    /// depends on the log alone and is the same on every replica.
    private mutating func admit(_ write: VolumeWrite, at place: Int) -> Applied? {
        let record = volumes[place].record
        guard write.generation >= record.generation else {
            return .refused(.staleGeneration(write.generation))
        }
        let last = write.generation == record.generation ? record.number : 0
        guard write.number > last else { return .nothing }
        guard write.number == last + 1 else {
            return .refused(.numberGap(expected: last + 1, got: write.number))
        }
        guard write.range.upperBound <= record.byteCount else { return .refused(.outOfRange) }
        volumes[place].record.generation = write.generation
        volumes[place].record.number = write.number
        return nil
    }

    private mutating func settle(_ write: VolumeWrite, at place: Int) {
        if volumes[place].open == write.generation, let first = volumes[place].queue.first {
            invariant(
                first.number == write.number,
                "write \(write.number) committed before \(first.number)")
            let owner = isPlanted(.dropsNewerPending) ? nil : write.number
            volumes[place].pending.cut(write.range, owner: owner)
            pendingByteCount -= cost(of: write)
            volumes[place].queue.popFirst()
        }
        overlayByteCount -= volumes[place].committed.cost
        volumes[place].committed.insert(extent(of: write))
        overlayByteCount += volumes[place].committed.cost
    }

    func extent(of write: VolumeWrite) -> ExtentMap.Extent {
        let content: ExtentMap.Content =
            switch write.operation {
            case .write: .data(write.data, held: write.data.count)
            case .zeroes: write.keepsAllocated ? .zeroes : .hole
            case .trim: .hole
            }
        return ExtentMap.Extent(range: write.range, content: content, owner: write.number)
    }
}
