package import Decisions
package import Mesh

/// When the mesh makes backups of itself.
package struct BackupSchedule: Hashable, Sendable {
    package let runs: Cron
    /// When all is read again, and not only what has changed.
    package let full: Cron?

    package init(runs: Cron, full: Cron? = nil) { (self.runs, self.full) = (runs, full) }

    /// The slot whose backup is to be made now.
    package struct Due: Hashable, Sendable {
        package let slot: WallTime
        package let isFull: Bool

        package init(slot: WallTime, isFull: Bool) { (self.slot, self.isFull) = (slot, isFull) }
    }

    /// One for however many slots were missed; nil where the last one has its backup.
    package func due(at time: WallTime, _ duty: BackupDuty) -> Due? {
        guard let slot = last(upTo: time) else { return nil }
        let isFull = full?.last(upTo: time).map { $0 > duty.settledFull } ?? false
        guard slot > duty.settled || isFull else { return nil }
        return Due(slot: slot, isFull: isFull)
    }

    package func next(after time: WallTime) -> WallTime? {
        let (run, full) = (runs.next(after: time), full?.next(after: time))
        return [run, full].compactMap { $0 }.min()
    }

    /// The newest backup is to be as of this moment or a later one: two slots have come since. A single one may just be served.
    package func overdueBefore(_ time: WallTime) -> WallTime? {
        guard let last = last(upTo: time), last > .zero else { return nil }
        return self.last(upTo: WallTime(last.rawValue - 1))
    }

    private func last(upTo time: WallTime) -> WallTime? {
        let (run, full) = (runs.last(upTo: time), full?.last(upTo: time))
        return [run, full].compactMap { $0 }.max()
    }
}
