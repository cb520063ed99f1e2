internal import Mesh

/// What is asked for of damaged blocks, and when. Nothing is asked for again at once: the next question
/// goes to whichever source is named by then.
struct Mend: Sendable {
    /// A source that has damage there too says nothing. Doubled each time that nothing came, up to the
    /// most: on a slow link one block takes longer.
    static let askTimeout = Interval.milliseconds(500)
    static let askTimeoutMax = Interval.seconds(8)
    /// Blocks that are asked for and not here yet.
    static let outstandingMax = 64

    struct Outstanding: Sendable {
        let piece: Piece
        let at: Instant
    }

    /// A source's bytes as of what is not applied here yet.
    struct Early: Sendable {
        let piece: Piece
        let index: LogIndex
        let bytes: [UInt8]?
    }

    private(set) var outstanding: [Outstanding] = []
    private var patience = Mend.askTimeout
    /// Of what is outstanding, so no more than that.
    var early: [Early] = []
    /// Behind this the next question begins: what nobody has must not keep the rest waiting.
    private var last: (volume: VolumeID, end: UInt64)?

    /// Takes out what won't come any more.
    mutating func late(at now: Instant) -> [Piece] {
        let late = outstanding.filter { now >= $0.at + patience }.map(\.piece)
        guard !late.isEmpty else { return [] }
        for piece in late { drop(piece) }
        patience = min(patience * 2, Self.askTimeoutMax)
        return late
    }

    /// It came.
    mutating func settle(_ piece: Piece) {
        patience = Self.askTimeout
        drop(piece)
    }

    private mutating func drop(_ piece: Piece) {
        outstanding.removeAll { $0.piece == piece }
        early.removeAll { $0.piece == piece }
    }

    /// What to ask for now of `damaged`, which is sorted.
    mutating func next(_ damaged: [Piece], at now: Instant) -> [Piece] {
        let start = last.flatMap { last in
            damaged.firstIndex {
                ($0.volume, $0.range.lowerBound) >= (last.volume, last.end)
            }
        }
        let from = start ?? 0
        var pieces: [Piece] = []
        for piece in damaged[from...] + damaged[..<from] {
            guard outstanding.count < Self.outstandingMax else { break }
            guard !outstanding.contains(where: { $0.piece == piece }) else { continue }
            outstanding.append(Outstanding(piece: piece, at: now))
            last = (piece.volume, piece.range.upperBound)
            pieces.append(piece)
        }
        return pieces
    }
}
