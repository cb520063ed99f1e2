package import Mesh

/// A part of a volume that is copied at once: whole cells, or a part of one.
package struct Piece: Hashable, Sendable {
    package let volume: VolumeID
    package let range: Range<UInt64>

    package init(_ volume: VolumeID, _ range: Range<UInt64>) {
        (self.volume, self.range) = (volume, range)
    }
}

/// What became of a piece that came from a source.
package enum TakenPiece: Hashable, Sendable {
    case taken
    /// It is older than what was written over it here: it has to be asked for again.
    case stale
    /// Nobody asked for it, or its volume is gone.
    case unknown
}

struct CellID: Hashable, Sendable {
    let volume: VolumeID
    let cell: UInt64
}

/// A piece on its way here, and what the log wrote over it meanwhile: a source answers with what it
/// had at some index, and under load more than that is applied here when the answer comes. Where the
/// log wrote later than that index the bytes here are the newer ones.
struct AskedPiece: Sendable {
    /// More writes than this over one piece on its way make it stale. Blocks of 4 KiB never do.
    static let touchesMax = 256

    struct Touch: Sendable {
        let range: Range<UInt64>
        let index: LogIndex
    }

    let piece: Piece
    /// What was applied when it was asked for.
    let since: LogIndex
    private(set) var touches: [Touch] = []
    private(set) var isOverrun = false

    init(_ piece: Piece, since index: LogIndex) { (self.piece, since) = (piece, index) }

    mutating func touch(_ range: Range<UInt64>, at index: LogIndex) {
        let range = range.clamped(to: piece.range)
        guard !range.isEmpty, !isOverrun else { return }
        // What lies under the newer one says nothing that it does not say.
        touches.removeAll {
            $0.range.lowerBound >= range.lowerBound && $0.range.upperBound <= range.upperBound
        }
        touches.append(Touch(range: range, index: index))
        isOverrun = touches.count > Self.touchesMax
    }

    /// What the log wrote in `range` meanwhile is gone: only an answer to a later question has it.
    mutating func spoil(_ range: Range<UInt64>) {
        if !range.clamped(to: piece.range).isEmpty { isOverrun = true }
    }

    /// Where bytes as of `index` are not older than what is here.
    func parts(asOf index: LogIndex) -> [Range<UInt64>] {
        let newer = touches.filter { $0.index > index }.map(\.range)
            .sorted { $0.lowerBound < $1.lowerBound }
        var parts: [Range<UInt64>] = []
        var offset = piece.range.lowerBound
        for range in newer {
            if range.lowerBound > offset { parts.append(offset..<range.lowerBound) }
            offset = max(offset, range.upperBound)
        }
        if offset < piece.range.upperBound { parts.append(offset..<piece.range.upperBound) }
        return parts
    }
}
