internal import Admin

/// The mesh's schedule of backups in a person's words.
extension BackupWords {
    static func lines(_ report: BackupScheduleReport) -> [Line] {
        let full = report.full.map { ", full at \($0)" } ?? ""
        let next = report.nextSlot.map { "; next at \(Words.time(unixSeconds: $0))" } ?? ""
        var lines = [Line("schedule: \(report.schedule)\(full) (UTC)\(next)")]
        if let level = report.waitsForLevel {
            lines.append(
                Line("schedule: waits until the mesh is at feature level \(level)", .bad))
        }
        if !report.hasRepository {
            lines.append(
                Line("schedule: this node has no `backup` setting, and leaves them to others"))
        }
        if let holder = report.holder {
            let kind = holder.full ? "a full one" : "one"
            lines.append(
                Line(
                    "schedule: node \(holder.node) makes \(kind) for "
                        + "\(Words.time(unixSeconds: holder.slot))"))
        }
        if let newest = report.newest {
            lines.append(
                Line(
                    "schedule: the newest is backup \(newest.number), by node \(newest.node), as of "
                        + "\(Words.time(unixSeconds: newest.asOf))", .good))
        } else {
            lines.append(Line("schedule: no backup was made yet", .bad))
        }
        if let failure = report.failure {
            let tries = report.failures == 1 ? "the last try" : "\(report.failures) tries in a row"
            lines.append(
                Line(
                    "schedule: \(tries) failed, at \(Words.time(unixSeconds: failure.at)) on node "
                        + "\(failure.node): \(failure.words)", .bad))
        }
        return lines
    }
}
