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
            handed >= resync.target, applied >= resync.target
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
            self = try VolumeCore(recovering: &disk, limits: limits, logEnd: replayEnd)
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
            record.missing =
                record.changes.changed(since: index, of: record.byteCount) ?? record.allocation
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
        try removeDoomed()
        return true
    }

    private mutating func adopt(_ record: VolumeState.Record) throws(DiskError) -> Volume {
        var record = record
        guard let place = position(of: record.id),
            volumes[place].record.byteCount == record.byteCount
        else {
            let (image, sums) = try createFiles(record.id, record.byteCount)
            for file in [image, sums] { try disk.sync(file) }
            (record.missing, record.unsummed) = (record.allocation, nil)
            return Volume(record: record, image: image, sums: sums)
        }
        let old = volumes[place]
        record.takeOver(old.record)
        // Also where the map here says so already: a crash may have kept what lay there before.
        for gap in record.allocation.gaps where !isPlanted(.keepsForeignGaps) {
            try disk.deallocate(old.image, gap)
        }
        try disk.sync(old.image)
        return Volume(record: record, image: old.image, sums: old.sums)
    }

    /// Takes the log's word for where it stands, though nothing of it was applied here.
    mutating func noteHanded(_ index: LogIndex) { handed = max(handed, index) }

    mutating func note(_ write: VolumeWrite, at index: LogIndex, _ place: Int) {
        let byteCount = volumes[place].record.byteCount
        volumes[place].record.changes.note(write.range, of: byteCount, at: index)
        for at in asked.indices where asked[at].piece.volume == write.volume {
            asked[at].touch(write.range, at: index)
        }
    }

    /// From now on what is written over `piece` is remembered until it comes, or is given up. Gives
    /// what is applied here: an older piece would be of no use.
    @discardableResult
    package mutating func ask(_ piece: Piece) -> LogIndex {
        if resync != nil { countParts(of: piece) }
        asked.append(AskedPiece(piece, since: applied))
        return applied
    }

    private mutating func countParts(of piece: Piece) {
        guard let id = cellInPart(piece), piecesLeft[id] == nil else { return }
        let whole = cellRange(id)
        let size = UInt64(limits.resync.pieceByteCountMax)
        piecesLeft[id] = Int((UInt64(whole.count) + size - 1) / size)
    }

    package mutating func giveUp(_ piece: Piece) { asked.removeAll { $0.piece == piece } }

    /// The cell that `piece` is only a part of.
    private func cellInPart(_ piece: Piece) -> CellID? {
        guard let place = position(of: piece.volume) else { return nil }
        let record = volumes[place].record
        let id = CellID(
            volume: piece.volume, cell: piece.range.lowerBound / record.missing.cellByteCount)
        return cellRange(id).count > piece.range.count ? id : nil
    }

    private func cellRange(_ id: CellID) -> Range<UInt64> {
        guard let place = position(of: id.volume) else { return 0..<0 }
        let record = volumes[place].record
        let start = id.cell * record.missing.cellByteCount
        return start..<min(start + record.missing.cellByteCount, record.byteCount)
    }

    /// What a source holds in `piece`, as of `applied`; nil bytes are zeros, nil is no answer.
    package mutating func contents(of piece: Piece) throws(DiskError) -> (
        bytes: [UInt8]?, at: LogIndex
    )? {
        guard resync == nil, let place = position(of: piece.volume),
            piece.range.upperBound <= volumes[place].record.byteCount,
            piece.range.count <= VolumeLimits.pieceByteCountMax
        else { return nil }
        let read = try readCommitted(
            piece.volume, at: piece.range.lowerBound, count: piece.range.count)
        guard case .success(let bytes) = read else {
            guard isPlanted(.givesDamaged) else { return nil }
            return (
                try disk.read(
                    volumes[place].image, at: piece.range.lowerBound, count: piece.range.count),
                applied
            )
        }
        return (bytes.allSatisfy { $0 == 0 } ? nil : bytes, applied)
    }

    /// Takes a piece as a source had it at `index`; nil bytes are zeros.
    package mutating func take(_ piece: Piece, _ bytes: [UInt8]?, asOf index: LogIndex)
        throws(DiskError) -> TakenPiece
    {
        guard let at = asked.firstIndex(where: { $0.piece == piece }), index >= asked[at].since,
            let place = position(of: piece.volume),
            bytes.map({ $0.count == piece.range.count }) ?? true
        else { return .unknown }
        let found = asked.remove(at: at)
        guard !found.isOverrun else { return .stale }
        var edges: [UInt64] = []
        let later = isPlanted(.mendsOverLater) ? LogIndex(.max) : index
        for part in found.parts(asOf: later) {
            let start = Int(part.lowerBound - piece.range.lowerBound)
            edges += try take(part, bytes?[start..<start + part.count], place)
        }
        for block in Set(edges).sorted() {
            guard try mend(edge: block, place) else { return .stale }
        }
        if let target = resync?.target, target < index { resync?.target = index }
        settle(piece, place)
        return .taken
    }

    /// Whole blocks go into the image, what is left at the ends into the overlay. Gives the blocks of
    /// which that is a part: the log wrote in them meanwhile.
    private mutating func take(
        _ part: Range<UInt64>, _ bytes: ArraySlice<UInt8>?, _ place: Int
    ) throws(DiskError) -> [UInt64] {
        func slice(_ range: Range<UInt64>) -> ArraySlice<UInt8>? {
            bytes.map { bytes in
                let from = bytes.startIndex + Int(range.lowerBound - part.lowerBound)
                return bytes[from..<from + range.count]
            }
        }
        let size = BlockSum.blockByteCount
        let isToEnd = part.upperBound == volumes[place].record.byteCount
        let start = min((part.lowerBound + size - 1) / size * size, part.upperBound)
        let end = max(start, isToEnd ? part.upperBound : part.upperBound / size * size)
        cut(part, place)
        if start < end {
            if let bytes = slice(start..<end) {
                try write(place, at: start, [Array(bytes)])
            } else {
                try deallocate(place, start..<end)
            }
        }
        let ends = [part.lowerBound..<start, end..<part.upperBound].filter { !$0.isEmpty }
        for edge in ends {
            let content = slice(edge).map { ExtentMap.Content.data($0, held: $0.count) }
            insert(ExtentMap.Extent(range: edge, content: content ?? .hole, owner: 0), place)
        }
        return ends.map { $0.lowerBound / size }
    }

    private mutating func insert(_ extent: ExtentMap.Extent, _ place: Int) {
        overlayByteCount -= volumes[place].committed.cost
        volumes[place].committed.insert(extent)
        overlayByteCount += volumes[place].committed.cost
    }

    private mutating func settle(_ piece: Piece, _ place: Int) {
        guard resync != nil else { return }
        guard let id = cellInPart(piece), let left = piecesLeft[id] else {
            return volumes[place].record.missing.remove(piece.range)
        }
        piecesLeft[id] = left > 1 ? left - 1 : nil
        if left == 1 { volumes[place].record.missing.remove(cellRange(id)) }
    }

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
