internal import Mesh

/// What is asked for of damaged blocks, when, and of whom. Sources are named in turn, and each is
/// asked for what is outstanding: who has damage at the same place says nothing.
struct Mend: Sendable {
    /// Doubled each time that nothing came, up to the most: on a slow link one block takes longer.
    static let askTimeout = Interval.milliseconds(500)
    static let askTimeoutMax = Interval.seconds(8)
    /// A source that was not named for so long was away, unless that is less than two turns of each: of
    /// many, none is named again before all others had their turns.
    static let absence = Interval.seconds(5)
    /// Blocks that are asked for and not here yet.
    static let outstandingMax = 64

    struct Question: Sendable {
        let source: NodeID
        let at: Instant
    }

    struct Outstanding: Sendable {
        let piece: Piece
        /// One for each source that was asked.
        var questions: [Question]
    }

    /// A source's bytes as of what is not applied here yet.
    struct Early: Sendable {
        let piece: Piece
        let index: LogIndex
        let bytes: [UInt8]?
    }

    /// Whom this may ask. How long one of them is silent tells nothing of another.
    private struct Source: Sendable {
        var namedAt: Instant
        var patience = Patience(Mend.askTimeout, most: Mend.askTimeoutMax)
    }

    private(set) var outstanding: [Outstanding] = []
    private var sources: [NodeID: Source] = [:]
    /// Of what is outstanding, so no more than that.
    var early: [Early] = []
    /// Behind this the next question begins: what nobody has must not keep the rest waiting.
    private var last: (volume: VolumeID, end: UInt64)?

    /// Notes whom to ask now; nil where nobody is to be had.
    mutating func meet(_ source: NodeID?, at now: Instant) {
        let absence = max(Self.absence, VolumeLimits.damageTurn * 2 * UInt64(sources.count))
        sources = sources.filter { now < $0.value.namedAt + absence }
        guard let source else { return sources = [:] }
        guard sources[source] == nil else { sources[source]?.namedAt = now; return }
        sources[source] = Source(namedAt: now)
        for at in outstanding.indices {
            outstanding[at].questions.removeAll { $0.source == source }
        }
    }

    /// Takes out what won't come any more: whoever was asked has been silent for too long. Bytes that
    /// wait for the log need not come again.
    mutating func late(at now: Instant) -> [Piece] {
        let late = outstanding.filter { asked in
            !isEarly(asked.piece) && asked.questions.allSatisfy { now >= $0.at + limit($0.source) }
        }
        for source in Set(late.flatMap(\.questions).map(\.source)) {
            sources[source]?.patience.endedInVain()
        }
        for asked in late { settle(asked.piece) }
        return late.map(\.piece)
    }

    private func limit(_ source: NodeID) -> Interval {
        sources[source]?.patience.limit ?? Self.askTimeout
    }

    private func isEarly(_ piece: Piece) -> Bool { early.contains { $0.piece == piece } }

    mutating func wasAnswered(_ piece: Piece, by source: NodeID, at now: Instant) {
        let asked = outstanding.first { $0.piece == piece }
        guard let question = asked?.questions.first(where: { $0.source == source }) else { return }
        sources[source]?.patience.wasAnswered(after: now.since(question.at))
    }

    mutating func settle(_ piece: Piece) {
        outstanding.removeAll { $0.piece == piece }
        early.removeAll { $0.piece == piece }
    }

    /// What to ask `source` for now: what others were asked for and did not give, then more of
    /// `damaged`, which is sorted.
    mutating func next(_ damaged: [Piece], of source: NodeID, at now: Instant) -> [Piece] {
        let question = Question(source: source, at: now)
        var pieces: [Piece] = []
        for at in outstanding.indices where !isEarly(outstanding[at].piece) {
            guard !outstanding[at].questions.contains(where: { $0.source == source })
            else { continue }
            outstanding[at].questions.append(question)
            pieces.append(outstanding[at].piece)
        }
        let start = last.flatMap { last in
            damaged.firstIndex {
                ($0.volume, $0.range.lowerBound) >= (last.volume, last.end)
            }
        }
        let from = start ?? 0
        for piece in damaged[from...] + damaged[..<from] {
            guard outstanding.count < Self.outstandingMax else { break }
            guard !outstanding.contains(where: { $0.piece == piece }) else { continue }
            outstanding.append(Outstanding(piece: piece, questions: [question]))
            last = (piece.volume, piece.range.upperBound)
            pieces.append(piece)
        }
        return pieces
    }
}
