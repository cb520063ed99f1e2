package import Disk
package import Mesh
internal import Planted
internal import Record

/// The way back of a replica that was away for longer than the log reaches (ADR 5).
///
/// It takes from a source what the volumes were at one index (the manifest), and piece by piece the
/// bytes of the cells that it lacks, each as of a later index. Meanwhile it applies the log. Entries
/// say what bytes become and not what is done to them, so applying one again that a piece had in it
/// already changes nothing in the end: once everything up to the newest of these indexes is applied
/// (the target), all cells are what they are elsewhere. Before that some are ahead of the others, and
/// the image is nobody's (protocol-rules 7).
extension VolumeCore {
    /// These volumes are no replica yet.
    package var isResyncing: Bool { resync != nil }
    package var isAsking: Bool { resync?.phase == .asking }
    /// The images are what they seem once everything up to here is applied.
    package var resyncTarget: LogIndex? { resync?.target }

    package var missingByteCount: UInt64 {
        volumes.reduce(0) { $0 + $1.record.missing.heldByteCount }
    }

    /// Nothing is missing, and what was copied is one moment's.
    var isWhole: Bool {
        guard let resync, resync.phase == .copying,
            handed >= resync.target, applied >= resync.target, applied >= replayEnd
        else { return false }
        return volumes.allSatisfy(\.record.missing.isEmpty)
    }

    /// The log begins behind `index`: what lies between has to come from a source. False where it was
    /// applied all the same.
    package mutating func fallBehind(through index: LogIndex) throws(DiskError) -> Bool {
        handed = max(handed, index)
        guard applied < index else { return resync != nil }
        guard !isAsking else { return true }
        // Only what the last checkpoint says of the images is sure; what was folded since lies in
        // cells that the log changed since, and so is asked for.
        let limits = limits
        do throws(VolumeRecoveryRefused) {
            var state = try VolumeState.load(from: &disk) ?? VolumeState()
            state.sequence += 1
            state.resync = VolumeState.Resync(
                phase: .asking, target: state.resync?.target ?? .zero,
                wholeByteCount: state.resync?.wholeByteCount ?? 0, handed: handed)
            do throws(DiskError) { try state.save(to: &disk) } catch {
                throw VolumeRecoveryRefused.state(error)
            }
            let files = volumes.flatMap { [$0.image, $0.sums] } + doomed.map(\.file)
            for file in files { disk.close(file) }
            edges.close(&disk)
            // What changes until these volumes are whole again is changed without a look.
            snapshots.endAll(.resynced)
            snapshots.room.close(&disk)
            let ended = snapshots
            self = try VolumeCore(recovering: &disk, limits: limits, logEnd: replayEnd)
            snapshots = ended
        } catch {
            switch error {
            case .state(let error): throw error
            case .damaged(let name): throw DiskError(.read, name, .missing)
            }
        }
        handed = index
        return true
    }

    /// What the volumes are here and now, as committed, and which of their cells somebody lacks who
    /// has all up to `index`; nil where this is no source.
    package func manifest(since index: LogIndex) -> [UInt8]? {
        guard resync == nil else { return nil }
        var state = VolumeState()
        state.applied = applied
        state.volumes = volumes.map { volume in
            var record = volume.record
            for extent in volume.committed.extents {
                if case .hole = extent.content { continue }
                record.allocation.insert(extent.range)
            }
            let changed = record.changes.changed(since: index, of: record.byteCount)
            record.missing = changed?.regrained(.usual) ?? record.allocation
            record.missing.formIntersection(record.allocation)
            return record
        }
        return state.encoded(as: .unsummed)
    }

    /// Becomes what `bytes` say, and knows from then on which cells are missing. False where they are
    /// no manifest, or older than where the log begins here.
    package mutating func adopt(_ bytes: [UInt8]) throws(DiskError) -> Bool {
        guard isAsking, let state = VolumeState(parsing: bytes), state.resync == nil,
            state.applied >= handed,
            zip(state.volumes, state.volumes.dropFirst()).allSatisfy({ $0.id < $1.id })
        else { return false }
        // First, because what the source gave back is given back here too: another source's manifest
        // could be older than that.
        let target = max(resync?.target ?? .zero, state.applied)
        resync?.target = target
        try save(resync: resync)
        var adopted: [Volume] = []
        for record in state.volumes { adopted.append(try adopt(record)) }
        let kept = Set(adopted.map(\.id))
        for volume in volumes where !kept.contains(volume.id) { doom(volume) }
        volumes = adopted
        (overlayByteCount, pendingByteCount, asked, piecesLeft) = (0, 0, [], [:])
        applied = state.applied
        let copying = VolumeState.Resync(
            phase: .copying, target: target, wholeByteCount: missingByteCount)
        try save(resync: copying)
        resync = copying
        checkpointed = applied
        isSettled = true
        try removeDoomed()
        return true
    }

    private mutating func adopt(_ record: VolumeState.Record) throws(DiskError) -> Volume {
        var record = record
        guard let place = position(of: record.id),
            volumes[place].record.canGrow(to: record.byteCount)
                || volumes[place].record.byteCount == record.byteCount
        else {
            let (image, sums) = try createFiles(record.id, record.byteCount)
            for file in [image, sums] { try disk.sync(file) }
            (record.missing, record.unsummed) = (record.allocation, nil)
            return Volume(record: record, image: image, sums: sums)
        }
        let old = volumes[place]
        record.takeOver(try grownForSource(place, to: record.byteCount))
        // Also where the map here says so already: a crash may have kept what lay there before.
        for gap in record.allocation.gaps where !isPlanted(.keepsForeignGaps) {
            try disk.deallocate(old.image, gap)
        }
        try disk.sync(old.image)
        return Volume(record: record, image: old.image, sums: old.sums)
    }

    /// What is here of a volume that has grown meanwhile. Of a cell that is longer now, or one with others,
    /// all has to come.
    private mutating func grownForSource(
        _ place: Int, to byteCount: UInt64
    ) throws(DiskError) -> VolumeState.Record {
        guard volumes[place].record.byteCount < byteCount else { return volumes[place].record }
        try lengthenFiles(place, to: byteCount)
        try sumMixedCells(place, to: byteCount)
        try writeOutSums()
        let old = volumes[place].record
        try disk.sync(volumes[place].sums)
        var grown = old.grown(to: byteCount)
        for range in grown.allocation.added(to: old.allocation) { grown.missing.insert(range) }
        return grown
    }

    /// Takes the log's word for where it stands, though nothing of it was applied here.
    mutating func noteHanded(_ index: LogIndex) { handed = max(handed, index) }

    mutating func endResync() { (resync, asked, piecesLeft) = (nil, [], [:]) }
}

extension VolumeState.Record {
    /// What a source says of a volume, of which `own` is here.
    fileprivate mutating func takeOver(_ own: VolumeState.Record) {
        missing.formUnion(own.missing)
        // What is damaged has to come from elsewhere too.
        for range in own.damaged.ranges(of: byteCount) { missing.insert(range) }
        missing.formIntersection(allocation)
        // Cells that read zero on both sides need no space here, and have no sums yet.
        var held = own.allocation
        held.formUnion(missing)
        allocation.formIntersection(held)
        unsummed = own.unsummed
        unsummed?.formIntersection(allocation)
        unsummed?.subtract(missing)
        damaged = BlockSet()
    }
}
