internal import Disk
internal import Mesh

/// What a replica says of its bytes to another one (ADR 22).
extension VolumeCore {
    /// The sums of what is committed there, of each block, and the index as of which; nil where that can't be told.
    mutating func sums(
        of piece: Piece
    ) throws(DiskError) -> (sums: [BlockSum], at: LogIndex)? {
        let size = BlockSum.blockByteCount
        guard !isReplaying, piece.range.lowerBound % size == 0,
            let (bytes, index) = try contents(of: piece)
        else { return nil }
        let count = (piece.range.count + Int(size) - 1) / Int(size)
        guard let bytes else { return ([BlockSum](repeating: .zeros, count: count), index) }
        let first = piece.range.lowerBound / size
        let sums = (0..<count).map { at in
            let start = at * Int(size)
            let range = start..<min(start + Int(size), bytes.count)
            return bytes[range].isZero
                ? .zeros
                : BlockSum(of: bytes, in: range, volume: piece.volume, block: first + UInt64(at))
        }
        return (sums, index)
    }

    /// From here on the bytes there are damage: an operator says that another replica has the right ones. All that is applied is
    /// in the images. Gives how many blocks.
    mutating func distrust(_ piece: Piece) throws(DiskError) -> Int {
        guard resync == nil, !isReplaying, let place = position(of: piece.volume),
            piece.range.upperBound <= volumes[place].record.byteCount,
            piece.range.count <= VolumeLimits.distrustedByteCountMax
        else { return 0 }
        let blocks = blockNumbers(piece.range)
        for block in blocks {
            let start = block * BlockSum.blockByteCount
            if volumes[place].record.unsummed?.holds(start) ?? false {
                try sumCell(at: start, place)
            }
            // What the map calls a hole is never read, and so never mended.
            if !volumes[place].record.allocation.holds(start) {
                let end = min(start + BlockSum.blockByteCount, volumes[place].record.byteCount)
                try zero(place, start..<end)
            }
            try quarantine(block, place)
        }
        return blocks.count
    }

    /// Whether the log left the piece alone from there on: false where nobody knows.
    func isUnchanged(_ piece: Piece, since index: LogIndex) -> Bool {
        guard let place = position(of: piece.volume) else { return false }
        return volumes[place].record.changes.leftAlone(piece.range, since: index)
    }
}
