internal import Schedule

extension Section {
    /// `backups: {schedule, full}` of the cluster file.
    mutating func backups() -> BackupSchedule? {
        guard let placed = node("backups") else { return nil }
        var backups = Section(placed.value, file: file, path: placed.key)
        let runs = backups.cron("schedule", isRequired: true)
        let full = backups.cron("full", isRequired: false)
        adopt(backups.finish())
        return runs.map { BackupSchedule(runs: $0, full: full) }
    }

    /// The reason of a refusal is worth more than what would be right: that has five fields.
    private mutating func cron(_ key: String, isRequired: Bool) -> Cron? {
        let expected =
            "minute, hour, day of the month, month and day of the week, such as \"15 * * * *\""
        let text: (String) -> String? = { $0 }
        let placed =
            isRequired
            ? required(key, expected: expected, parse: text)
            : optional(key, expected: expected, parse: text)
        guard let placed else { return nil }
        do throws(CronRefused) { return try Cron(parsing: placed.value) } catch {
            report(placed.key, line: placed.line, "\(error)")
            return nil
        }
    }
}
