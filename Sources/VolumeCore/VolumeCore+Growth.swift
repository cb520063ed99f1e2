package import Disk
package import Mesh
internal import Planted

/// Volumes get longer, and never shorter.
extension VolumeCore {
    /// Makes a volume longer; what is added reads zero. Doing it twice is doing it once, since a recovery
    /// applies the same command again.
    package mutating func grow(
        _ id: VolumeID, to byteCount: UInt64
    ) throws(DiskError) -> VolumeRefused? {
        guard let place = position(of: id) else { return .unknownVolume }
        guard byteCount > volumes[place].record.byteCount else { return nil }
        guard volumes[place].record.canGrow(to: byteCount) else { return .oversized }
        try lengthenFiles(place, to: byteCount)
        try sumMixedCells(place, to: byteCount)
        let old = volumes[place].record
        // Its files are longer, though no byte of them was written: the next checkpoint syncs that.
        volumes[place].isDirty = true
        let missing = old.missing.heldByteCount
        volumes[place].record = old.grown(to: byteCount)
        let record = volumes[place].record
        // A cell that holds bytes is longer now, or one with others: what is new in it reads zero,
        // whatever a crash may have kept there.
        for range in record.allocation.added(to: old.allocation)
        where !isPlanted(.growsOverRemains) {
            try disk.deallocate(volumes[place].image, range)
            try setSum(.zeros, blockNumbers(range), place)
        }
        // Counted anew: cells that got longer hold more.
        scrubbed = (0, 0)
        guard resync != nil else { return nil }
        // Such a cell may have become one that is missing as a whole.
        for range in record.missing.ranges {
            volumes[place].record.damaged.remove(blockNumbers(range))
        }
        // A cell that comes in pieces is another one now.
        asked.removeAll { $0.piece.volume == id }
        for cell in piecesLeft.keys where cell.volume == id { piecesLeft[cell] = nil }
        resync?.wholeByteCount += record.missing.heldByteCount - missing
        return nil
    }

    /// They are never shorter than the volume; longer they may be, by a growth that will be applied again.
    mutating func lengthenFiles(_ place: Int, to byteCount: UInt64) throws(DiskError) {
        let files = [
            (volumes[place].image, byteCount),
            (volumes[place].sums, BlockSum.fileByteCount(of: byteCount)),
        ]
        for (file, count) in files where try disk.byteCount(file) < count {
            try disk.resize(file, to: count)
        }
    }

    /// Cells of an earlier release's image that are about to become one with a cell that has sums get theirs
    /// before: else all of it would be taken as it is.
    mutating func sumMixedCells(_ place: Int, to byteCount: UInt64) throws(DiskError) {
        let record = volumes[place].record
        guard let unsummed = record.unsummed,
            CellMap.cellByteCount(of: byteCount) != unsummed.cellByteCount
        else { return }
        var summed = record.allocation
        summed.subtract(unsummed)
        var mixed = summed.grown(to: byteCount)
        mixed.formIntersection(unsummed.grown(to: byteCount))
        for range in mixed.ranges {
            for offset in stride(
                from: range.lowerBound, to: min(range.upperBound, record.byteCount),
                by: Int(unsummed.cellByteCount))
            { try sumCell(at: offset, place) }
        }
    }

    func missing(of id: VolumeID) -> CellMap? {
        position(of: id).map { volumes[$0].record.missing }
    }
}

extension VolumeState.Record {
    /// Blocks have to keep their sums, so the last one has to be whole.
    func canGrow(to byteCount: UInt64) -> Bool {
        self.byteCount % BlockSum.blockByteCount == 0 && self.byteCount <= byteCount
            && byteCount <= VolumeLimits.volumeByteCountMax
    }

    func grown(to byteCount: UInt64) -> Self {
        var grown = self
        grown.byteCount = byteCount
        grown.allocation = allocation.grown(to: byteCount)
        grown.missing = missing.grown(to: byteCount)
        grown.unsummed = unsummed?.grown(to: byteCount)
        grown.changes = changes.grown(to: byteCount)
        return grown
    }
}
