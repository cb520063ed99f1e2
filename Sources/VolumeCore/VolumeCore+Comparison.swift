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

    /// An operator says that another replica has the right bytes there: they are asked for like those of damaged blocks, and take
    /// the place of these when they come. Until then these are served, for of what nobody else has they may be all there is.
    mutating func distrust(_ piece: Piece) {
        guard let place = position(of: piece.volume),
            piece.range.upperBound <= volumes[place].record.byteCount
        else { return }
        for block in blockNumbers(piece.range)
        where distrusted.count < VolumeLimits.distrustedBlocksMax {
            distrusted.insert(Piece(piece.volume, range(of: block, place)))
        }
    }

    /// So much of that is still to come.
    package var distrustedBlockCount: Int { distrusted.count }

    /// Whether the log left the piece alone from there on: false where nobody knows.
    func isUnchanged(_ piece: Piece, since index: LogIndex) -> Bool {
        guard let place = position(of: piece.volume) else { return false }
        return volumes[place].record.changes.leftAlone(piece.range, since: index)
    }
}
