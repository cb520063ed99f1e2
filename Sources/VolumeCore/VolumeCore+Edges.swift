internal import Disk
internal import Mesh
internal import Planted

/// Blocks that no single entry covers (ADR 8): they are put together with what the image holds, made
/// safe beside it, and only then written over.
extension VolumeCore {
    mutating func fold(edges blocks: [UInt64], _ place: Int) throws(DiskError) {
        let volume = volumes[place].id
        var merged: [EdgeFile.Record] = []
        for block in blocks {
            guard let bytes = try merge(block, place) else { continue }
            merged.append(EdgeFile.Record(volume: volume, block: block, bytes: bytes))
        }
        // In a cell that was given back the rest is zeros, which the replay knows.
        let exposed = merged.filter {
            volumes[place].record.allocation.holds($0.block * BlockSum.blockByteCount)
                && !edges.holds(volume, $0.block)
        }
        if !isPlanted(.skipsEdges) { try edges.append(exposed, &disk) }
        for edge in merged {
            try write(place, at: edge.block * BlockSum.blockByteCount, [edge.bytes])
        }
    }

    func range(of block: UInt64, _ place: Int) -> Range<UInt64> {
        let start = block * BlockSum.blockByteCount
        return wholeBlocks(start..<start + 1, place)
    }

    private func isBlank(_ range: Range<UInt64>, _ place: Int) -> Bool {
        !volumes[place].record.allocation.holds(range.lowerBound)
    }

    /// The block as it is with all that is committed; nil where nothing is left to be written, or
    /// where that would take bytes that are damaged: a peer's will have all that was committed.
    private mutating func merge(_ block: UInt64, _ place: Int) throws(DiskError) -> [UInt8]? {
        let range = range(of: block, place)
        let parts = volumes[place].committed.parts(of: range)
        let needsImage = parts.contains { $0.extent == nil }
        guard !isBlank(range, place) else {
            let isZero = parts.allSatisfy { part in
                guard case .hole? = part.extent?.content else { return part.extent == nil }
                return true
            }
            return isZero ? nil : compose(range, parts, below: nil)
        }
        guard needsImage else { return compose(range, parts, below: nil) }
        try sumCell(at: range.lowerBound, place)
        if resync != nil, volumes[place].record.missing.holds(range.lowerBound) {
            try mergeIntoMissing(block, parts, place)
            return nil
        }
        guard let below = try imageBytes(place, range) else {
            let volume = volumes[place].id
            for at in asked.indices where asked[at].piece.volume == volume {
                asked[at].spoil(range)
            }
            return nil
        }
        return compose(range, parts, below: below)
    }

    private func compose(
        _ range: Range<UInt64>, _ parts: [(range: Range<UInt64>, extent: ExtentMap.Extent?)],
        below: [UInt8]?
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        for part in parts {
            let from = Int(part.range.lowerBound - range.lowerBound)
            switch (part.extent?.content, below) {
            case (.data(let data, _), _): bytes += data
            case (nil, let below?): bytes += below[from..<from + part.range.count]
            default: bytes += [UInt8](repeating: 0, count: part.range.count)
            }
        }
        return bytes
    }

    /// What is committed of a block that has to come from elsewhere waits for it in the image. It
    /// passes only if it passed before: of a cell that comes in pieces it may be here already.
    private mutating func mergeIntoMissing(
        _ block: UInt64, _ parts: [(range: Range<UInt64>, extent: ExtentMap.Extent?)],
        _ place: Int
    ) throws(DiskError) {
        let range = range(of: block, place)
        let below = try rawBytes(range, place)
        let passes = try self.passes(below, block, place)
        try write(place, at: range.lowerBound, [compose(range, parts, below: below)])
        if !passes { try setSum(.none, block..<block + 1, place) }
    }

    private mutating func rawBytes(
        _ range: Range<UInt64>, _ place: Int
    ) throws(DiskError) -> [UInt8] {
        try disk.read(volumes[place].image, at: range.lowerBound, count: range.count)
    }

    private mutating func passes(
        _ bytes: [UInt8], _ block: UInt64, _ place: Int
    ) throws(DiskError) -> Bool {
        let volume = volumes[place].id
        guard !volumes[place].record.damaged.contains(block) else { return false }
        let sum = try sums.sum(volume, volumes[place].sums, block, &disk)
        return sum.passes(bytes, in: bytes.indices, volume: volume, block: block)
    }

    /// Makes a block whole of a peer's bytes, which are committed here as far as nothing later is, and
    /// of what the log wrote in it since they were asked for. False where that does not make it whole.
    mutating func mend(edge block: UInt64, _ place: Int) throws(DiskError) -> Bool {
        let range = range(of: block, place)
        let parts = volumes[place].committed.parts(of: range)
        if isBlank(range, place), parts.allSatisfy({ $0.extent == nil }) { return true }
        var below: [UInt8]?
        if !isBlank(range, place), parts.contains(where: { $0.extent == nil }) {
            guard resync != nil else { return false }
            below = try rawBytes(range, place)
        }
        try write(place, at: range.lowerBound, [compose(range, parts, below: below)])
        cut(range, place)
        return true
    }

    /// Writes back what was being written when the last process ended.
    mutating func restoreEdges() throws(DiskError) {
        while let edge = try edges.next(&disk) {
            let start = edge.block * BlockSum.blockByteCount
            guard let place = position(of: edge.volume),
                start < volumes[place].record.byteCount,
                volumes[place].record.allocation.holds(start),
                !volumes[place].record.missing.holds(start),
                edge.bytes.count == range(of: edge.block, place).count
            else { continue }
            try write(place, at: start, [edge.bytes])
        }
        try edges.sync(&disk)
    }
}
