import Mesh

/// A part of a segment of which nobody can tell what stood there: neither its records nor its index do.
struct LogHole: Sendable {
    /// The last entry before it.
    let after: LogIndex
    /// The last that it may hold; `countMax` where the segment does not tell.
    let through: LogIndex
    let places: [JournalDamage]

    /// Whether somebody misses what stood there: a base stands for all up to `base`, and behind `kept`
    /// the log was cut off since.
    func isMissed(base: LogIndex, kept: LogIndex) -> Bool {
        min(through, kept) > max(base, after)
    }
}

extension Survey {
    /// Places of holes that hide what is live, in the order of the log.
    func missed(from needed: Int, base: LogIndex) -> [JournalDamage] {
        var kept = LogIndex.countMax
        var missed: [JournalDamage] = []
        for (scan, header) in zip(scans, run).dropFirst(needed).reversed() {
            let holes = scan.holes.filter { $0.isMissed(base: base, kept: kept) }
            missed = holes.flatMap(\.places) + missed
            kept = min(kept, header.isReset ? .zero : header.previous.index)
        }
        return missed
    }
}
