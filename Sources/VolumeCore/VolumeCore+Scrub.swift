internal import Disk
internal import Mesh

extension VolumeCore {
    package var scrubStanding: ScrubStanding {
        ScrubStanding(
            doneByteCount: scrubbed.done, wholeByteCount: scrubbed.whole, ended: scrub.ended)
    }

    /// Reads the next of what the images hold. Gives what; nil at the end of a pass, and while there
    /// is nothing that could be told from damage.
    mutating func scrubNext(at wall: WallTime) throws(DiskError) -> Piece? {
        guard resync == nil, !isReplaying else { return nil }
        if scrub.began == .zero {
            scrub.began = wall
            (scrub.volume, scrub.offset) = (VolumeID(0), 0)
            countScrub()
        }
        if scrubbed.whole == 0 { countScrub() }
        while let place = volumes.indices.first(where: { volumes[$0].id >= scrub.volume }) {
            if volumes[place].id > scrub.volume {
                (scrub.volume, scrub.offset) = (volumes[place].id, 0)
            }
            if let run = volumes[place].record.allocation.next(from: scrub.offset) {
                return try scrub(run, place)
            }
            (scrub.volume, scrub.offset) = (VolumeID(volumes[place].id.rawValue + 1), 0)
        }
        (scrub.began, scrub.ended) = (.zero, wall)
        scrubbed.done = scrubbed.whole
        return nil
    }

    private mutating func scrub(
        _ run: Range<UInt64>, _ place: Int
    ) throws(DiskError) -> Piece {
        var end = min(run.upperBound, run.lowerBound + Scrub.sliceByteCount)
        if volumes[place].record.unsummed?.holds(run.lowerBound) ?? false {
            let cell = volumes[place].record.allocation.cell(at: run.lowerBound)
            end = cell.upperBound
            try sumCell(at: run.lowerBound, place)
        } else {
            _ = try imageBytes(place, run.lowerBound..<end)
        }
        scrub.offset = end
        scrubbed.done += end - run.lowerBound
        return Piece(volumes[place].id, run.lowerBound..<end)
    }

    /// Reads the maps whole, and so not more than once a pass.
    private mutating func countScrub() {
        scrubbed = (0, 0)
        for volume in volumes {
            let map = volume.record.allocation
            scrubbed.whole += map.heldByteCount
            guard volume.id <= scrub.volume else { continue }
            var before = map
            if volume.id == scrub.volume { before.remove(scrub.offset..<map.byteCount) }
            scrubbed.done += before.heldByteCount
        }
    }
}

extension Exports {
    /// Reads some of what the images hold, as far as the pace allows, a slice at a time.
    mutating func scrub(
        _ wall: WallTime, beside other: NodeID?, at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        let standing = core.scrubStanding
        scrubPace.refill(at: now, whole: standing.wholeByteCount, in: core.limits.scrubPeriod)
        try tendComparison(at: now, &effects)
        guard scrubPace.isDue else { return }
        guard let piece = try core.scrubNext(at: wall) else { return scrubPace.rest() }
        scrubPace.spend(UInt64(piece.range.count))
        if let other { try compare(piece, with: other, at: now, &effects) }
        if scrubPace.isDue { effects.append(.scrubs) }
    }
}
