package import Mesh

/// Blocks of which another replica has other bytes as of the same entry, though they pass their sums on both sides.
package struct Difference: Hashable, Sendable {
    package let volume: VolumeID
    /// Whole blocks that lie side by side.
    package let range: Range<UInt64>
    /// Who has other bytes.
    package let node: NodeID
    /// What was applied here when they were looked at.
    package let index: LogIndex

    package init(volume: VolumeID, range: Range<UInt64>, node: NodeID, index: LogIndex) {
        (self.volume, self.range, self.node, self.index) = (volume, range, node, index)
    }
}

/// What is asked of other replicas while the images are read over, and how they differ (ADR 22).
struct Comparison: Sendable {
    /// Asked and not answered yet.
    static let outstandingMax = 16
    /// Whoever does not answer by then has something better to do, or is of a release that can't.
    static let answerMax = Interval.seconds(10)
    /// Places that are known by name.
    static let differencesMax = 64
    /// How soon it is looked at again whether differences are still there, and at how many at once.
    static let againEvery = Interval.seconds(5)
    static let againAtOnce = 8

    struct Question: Sendable {
        let piece: Piece
        /// As of `since`.
        let sums: [BlockSum]
        let since: LogIndex
        let source: NodeID
        let at: Instant
        /// It differed before: what differs twice is told.
        let isSecond: Bool
    }

    private(set) var outstanding: [Question] = []
    private(set) var differences: [Difference] = []
    /// Found to be the same, or not, since the process began.
    private(set) var comparedByteCount: UInt64 = 0
    private var lookAgainAt: Instant?

    var hasRoom: Bool { outstanding.count < Self.outstandingMax }

    mutating func giveUpLate(at now: Instant) {
        outstanding.removeAll { now >= $0.at + Self.answerMax }
    }

    mutating func asked(_ question: Question) {
        outstanding.removeAll { $0.piece == question.piece && $0.source == question.source }
        outstanding.append(question)
    }

    mutating func answered(_ piece: Piece, since: LogIndex, by node: NodeID) -> Question? {
        let at = outstanding.firstIndex {
            $0.piece == piece && $0.since == since && $0.source == node
        }
        return at.map { outstanding.remove(at: $0) }
    }

    /// What of the piece that was asked for is known now.
    mutating func note(_ question: Question, _ differing: [Range<UInt64>]) {
        let (piece, node) = (question.piece, question.source)
        comparedByteCount += UInt64(piece.range.count)
        differences.removeAll {
            $0.volume == piece.volume && $0.node == node && $0.range.overlaps(piece.range)
        }
        for range in differing where differences.count < Self.differencesMax {
            differences.append(
                Difference(
                    volume: piece.volume, range: range, node: node, index: question.since))
        }
    }

    /// A difference of a volume that is gone is none.
    mutating func forget(where isGone: (VolumeID) -> Bool) {
        differences.removeAll { isGone($0.volume) }
    }

    /// The differences to be looked at again, some after the others.
    mutating func due(at now: Instant) -> [Difference] {
        guard !differences.isEmpty, lookAgainAt.map({ now >= $0 }) ?? true else { return [] }
        lookAgainAt = now + Self.againEvery
        let due = Array(differences.prefix(Self.againAtOnce))
        differences = differences.dropFirst(due.count) + due
        return due
    }
}
