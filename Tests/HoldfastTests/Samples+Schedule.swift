import Admin

extension Samples {
    /// At 2026-11-27, with one under way and a failure before it.
    static let schedule = BackupScheduleReport(
        schedule: "15 * * * *", full: "0 3 * * 0", nextSlot: 1_795_770_900,
        holder: BackupScheduleReport.Holder(node: 2, slot: 1_795_767_300, full: true),
        newest: BackupScheduleReport.Made(number: 11, node: 3, asOf: 1_795_763_701, full: false),
        failure: BackupScheduleReport.Failure(
            node: 3, slot: 1_795_767_300, at: 1_795_767_302, words: "the store does not answer"),
        failures: 2, hasRepository: false, waitsForLevel: 2)
}
