package import Disk
package import Mesh
internal import Planted

/// Parts of volumes that go from a source to a replica, to make it one (ADR 5) or to mend it (ADR 8).
extension VolumeCore {
    mutating func note(_ write: VolumeWrite, at index: LogIndex, _ place: Int) {
        let byteCount = volumes[place].record.byteCount
        volumes[place].record.changes.note(write.range, of: byteCount, at: index)
        for at in asked.indices where asked[at].piece.volume == write.volume {
            asked[at].touch(write.range, at: index)
        }
    }

    /// From now on what is written over `piece` is remembered until it comes, or is given up. Gives
    /// what is applied here: an older piece would be of no use. While one source is asked, another is
    /// asked for the same, so that either may answer.
    @discardableResult
    package mutating func ask(_ piece: Piece) -> LogIndex {
        if let known = asked.first(where: { $0.piece == piece }) {
            guard known.isOverrun else { return known.since }
            giveUp(piece)
        }
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
        return (bytes[...].isZero ? nil : bytes, applied)
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
        // A block that the log has made whole meanwhile needs nobody's bytes.
        let isDistrusted = distrusted.contains(piece)
        guard resync != nil || isDamaged(piece, place) || isDistrusted else { return .taken }
        // Blocks that the log wrote in meanwhile are put together with that.
        var edges = Set(blockNumbers(piece.range))
        let later = isPlanted(.mendsOverLater) ? LogIndex(.max) : index
        for part in found.parts(asOf: later) {
            let start = Int(part.lowerBound - piece.range.lowerBound)
            let whole = try take(part, bytes?[start..<start + part.count], place)
            edges.subtract(whole)
        }
        for block in edges.sorted() {
            guard try mend(edge: block, place) else { return .stale }
        }
        if let target = resync?.target, target < index { resync?.target = index }
        settle(piece, place)
        distrusted.remove(piece)
        return .taken
    }

    /// Whole blocks go into the image, and are told; what is left at the ends goes into the overlay.
    mutating func take(
        _ part: Range<UInt64>, _ bytes: ArraySlice<UInt8>?, _ place: Int
    ) throws(DiskError) -> Range<UInt64> {
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
        return start < end ? blockNumbers(start..<end) : 0..<0
    }

    private func isDamaged(_ piece: Piece, _ place: Int) -> Bool {
        blockNumbers(piece.range).contains { volumes[place].record.damaged.contains($0) }
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
}
