internal import Disk
internal import Mesh

/// Replicas that hold one another's bytes against their own, a slice at a time (ADR 22).
extension Exports {
    package var differences: [Difference] { comparison.differences }
    package var comparedByteCount: UInt64 { comparison.comparedByteCount }

    /// Asks `source` what it has where the images were just read.
    mutating func compare(
        _ piece: Piece, with source: NodeID, at now: Instant, isSecond: Bool = false,
        _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        guard comparison.hasRoom, piece.range.count <= VolumeLimits.pieceByteCountMax,
            let (sums, index) = try core.sums(of: piece)
        else { return }
        comparison.asked(
            Comparison.Question(
                piece: piece, sums: sums, since: index, source: source, at: now,
                isSecond: isSecond))
        effects.append(.send(.askSums(piece, since: index), to: source))
    }

    /// Behind each slice of a scrub.
    mutating func tendComparison(
        at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        comparison.giveUpLate(at: now)
        comparison.forget { core.position(of: $0) == nil }
        for known in comparison.due(at: now) {
            try compare(
                Piece(known.volume, known.range), with: known.node, at: now, isSecond: true,
                &effects)
        }
    }

    /// nil sums: the other replica can't say, or something was changed there in between.
    mutating func arrived(
        _ sums: [UInt32]?, of piece: Piece, since: LogIndex, from node: NodeID, at now: Instant,
        _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        guard let question = comparison.answered(piece, since: since, by: node), let sums,
            sums.count == question.sums.count
        else { return }
        let differing = question.differing(from: sums)
        guard differing.isEmpty || question.isSecond else {
            // Once more, of what is applied by now: an alarm must not come of anything that passes.
            return try compare(piece, with: node, at: now, isSecond: true, &effects)
        }
        comparison.note(question, differing)
    }
}

extension Comparison.Question {
    /// Blocks that lie side by side are one range.
    fileprivate func differing(from others: [UInt32]) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        for (at, other) in others.enumerated() where sums[at].rawValue != other {
            let start = piece.range.lowerBound + UInt64(at) * BlockSum.blockByteCount
            let end = min(start + BlockSum.blockByteCount, piece.range.upperBound)
            ranges.append(joining: start..<end)
        }
        return ranges
    }
}
