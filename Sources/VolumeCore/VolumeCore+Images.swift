internal import Disk
internal import Mesh
internal import Planted

/// The images, block by block, each with its sum (ADR 8). Whatever is read here was verified, and
/// whatever is written here is whole blocks.
extension VolumeCore {
    /// `range` with the blocks that it touches whole.
    func wholeBlocks(_ range: Range<UInt64>, _ place: Int) -> Range<UInt64> {
        let size = BlockSum.blockByteCount
        let end = (range.upperBound + size - 1) / size * size
        return range.lowerBound / size * size..<min(end, volumes[place].record.byteCount)
    }

    func blockNumbers(_ range: Range<UInt64>) -> Range<UInt64> {
        let size = BlockSum.blockByteCount
        return range.lowerBound / size..<(range.upperBound + size - 1) / size
    }

    /// What the image holds in `range`, whose cells are allocated; nil where a block of it is
    /// damaged, which is noted.
    mutating func imageBytes(
        _ place: Int, _ range: Range<UInt64>
    ) throws(DiskError) -> [UInt8]? {
        let whole = wholeBlocks(range, place)
        let bytes = try disk.read(
            volumes[place].image, at: whole.lowerBound, count: whole.count)
        guard try verify(bytes, at: whole.lowerBound, place) || isPlanted(.skipsSumsOnReads) else {
            return nil
        }
        guard whole != range else { return bytes }
        let start = Int(range.lowerBound - whole.lowerBound)
        return Array(bytes[start..<start + range.count])
    }

    private mutating func verify(
        _ bytes: [UInt8], at start: UInt64, _ place: Int
    ) throws(DiskError) -> Bool {
        let (volume, size) = (volumes[place].id, Int(BlockSum.blockByteCount))
        var isWhole = true
        var at = 0
        while at < bytes.count {
            let offset = start + UInt64(at)
            let (block, end) = (offset / UInt64(size), min(at + size, bytes.count))
            defer { at = end }
            if volumes[place].record.damaged.contains(block) {
                isWhole = isPlanted(.servesQuarantined) && isWhole
                continue
            }
            if volumes[place].record.unsummed?.holds(offset) ?? false { continue }
            let sum = try sums.sum(volume, volumes[place].sums, block, &disk)
            guard !sum.passes(bytes, in: at..<end, volume: volume, block: block) else { continue }
            try quarantine(block, place)
            isWhole = false
        }
        return isWhole
    }

    /// From now on nothing passes for the block until it is written whole, here or after a restart.
    mutating func quarantine(_ block: UInt64, _ place: Int) throws(DiskError) {
        try setSum(.none, block..<block + 1, place)
        if volumes[place].record.damaged.insert(block) { hasNewDamage = true }
    }

    mutating func setSum(
        _ sum: BlockSum, _ blocks: Range<UInt64>, _ place: Int
    ) throws(DiskError) {
        volumes[place].isDirty = true
        try sums.set(sum, volumes[place].id, volumes[place].sums, blocks, &disk)
    }

    /// Writes whole blocks, from `start` on; each piece is whole blocks too.
    mutating func write(
        _ place: Int, at start: UInt64, _ pieces: [[UInt8]]
    ) throws(DiskError) {
        let count = pieces.reduce(0) { $0 + $1.count }
        let range = start..<start + UInt64(count)
        try sumEdgeCells(of: range, place)
        try allocate(range, place)
        try disk.write(volumes[place].image, at: start, pieces)
        var offset = start
        for piece in pieces {
            try setSums(of: piece, at: offset, place)
            offset += UInt64(piece.count)
        }
        volumes[place].record.damaged.remove(blockNumbers(range))
    }

    private mutating func setSums(
        of bytes: [UInt8], at start: UInt64, _ place: Int
    ) throws(DiskError) {
        let (volume, size) = (volumes[place].id, Int(BlockSum.blockByteCount))
        var at = 0
        while at < bytes.count {
            let (block, end) = ((start + UInt64(at)) / UInt64(size), min(at + size, bytes.count))
            let sum = BlockSum(of: bytes, in: at..<end, volume: volume, block: block)
            try setSum(sum, block..<block + 1, place)
            at = end
        }
    }

    /// Cells that `range` touches hold bytes from now on. What of them lies outside of it reads zero,
    /// whatever a crash may have kept there.
    private mutating func allocate(_ range: Range<UInt64>, _ place: Int) throws(DiskError) {
        let allocation = volumes[place].record.allocation
        var rests: [Range<UInt64>] = []
        if !allocation.holds(range.lowerBound) {
            rests.append(allocation.cell(at: range.lowerBound).lowerBound..<range.lowerBound)
        }
        if !allocation.holds(range.upperBound - 1) {
            rests.append(range.upperBound..<allocation.cell(at: range.upperBound - 1).upperBound)
        }
        for rest in rests where !rest.isEmpty {
            try disk.deallocate(volumes[place].image, rest)
            try setSum(.zeros, blockNumbers(rest), place)
        }
        volumes[place].record.allocation.insert(range)
    }

    /// Gives whole blocks back: cells whole where they are covered, the others' blocks read zero.
    mutating func deallocate(_ place: Int, _ range: Range<UInt64>) throws(DiskError) {
        try sumEdgeCells(of: range, place)
        if !isPlanted(.keepsTrimmedBytes) {
            try disk.deallocate(volumes[place].image, range)
        }
        volumes[place].isDirty = true
        volumes[place].record.allocation.remove(range)
        var offset = range.lowerBound
        while offset < range.upperBound {
            let run = volumes[place].record.allocation.run(at: offset, in: range)
            if run.isSet { try setSum(.zeros, blockNumbers(offset..<run.end), place) }
            offset = run.end
        }
        volumes[place].record.damaged.remove(blockNumbers(range))
    }

    /// Whole blocks read zero and keep their space. One step of the file system, however long: the
    /// volumes' queue must not write gigabytes.
    mutating func zero(_ place: Int, _ range: Range<UInt64>) throws(DiskError) {
        try sumEdgeCells(of: range, place)
        try allocate(range, place)
        try disk.zero(volumes[place].image, range)
        try setSum(.zeros, blockNumbers(range), place)
        volumes[place].record.damaged.remove(blockNumbers(range))
    }
}

/// Images of a release without sums: what lies in their cells is taken for what it is.
extension VolumeCore {
    /// Cells that `range` covers only in part get their sums before it is written; what it covers
    /// needs none.
    private mutating func sumEdgeCells(
        of range: Range<UInt64>, _ place: Int
    ) throws(DiskError) {
        guard let unsummed = volumes[place].record.unsummed else { return }
        for offset in [range.lowerBound, range.upperBound - 1] {
            let cell = unsummed.cell(at: offset)
            if cell.lowerBound < range.lowerBound || cell.upperBound > range.upperBound {
                try sumCell(at: offset, place)
            }
        }
        volumes[place].record.unsummed?.remove(range)
        dropUnsummed(place)
    }

    /// Gives the cell at `offset` its sums, if it has none yet.
    mutating func sumCell(at offset: UInt64, _ place: Int) throws(DiskError) {
        guard let unsummed = volumes[place].record.unsummed, unsummed.holds(offset) else { return }
        let cell = unsummed.cell(at: offset)
        let bytes = try disk.read(volumes[place].image, at: cell.lowerBound, count: cell.count)
        try setSums(of: bytes, at: cell.lowerBound, place)
        volumes[place].record.unsummed?.remove(cell)
        dropUnsummed(place)
    }

    private mutating func dropUnsummed(_ place: Int) {
        if volumes[place].record.unsummed?.isEmpty ?? false {
            volumes[place].record.unsummed = nil
        }
    }
}
