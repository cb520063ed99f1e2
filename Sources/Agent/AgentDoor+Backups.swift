import Admin
import Alarms
import Control
import Decisions
import Driver
import Launch
import Mesh
import Schedule
import Settings

/// Backups: those of this node, and the schedule of the mesh.
extension AgentDoor {
    func backup() async throws(AdminRefused) -> BackupJobReport {
        guard let backups else {
            guard settings.cluster.backups != nil else { throw .backup(.notConfigured) }
            return report(BackupJobReport(state: .none))
        }
        return report(backups.report)
    }

    private func report(_ job: BackupJobReport) -> BackupJobReport {
        var report = job
        report.log = shipper?.report
        report.lacking = backups?.lacksReported
        report.untold = backups?.untoldReported
        report.mayLack = backups?.shortfallReported
        report.scrub = scrub?.report
        report.schedule = settings.cluster.backups.map { scheduleReport($0, view) }
        return report
    }

    func beginBackup(_ request: BackupRequest) async throws(AdminRefused) -> BackupJobReport {
        guard let backups else { throw .backup(.notConfigured) }
        guard backups.begin(isFull: request.full, rate: request.rate) else {
            throw .backup(.isRunning(phase: backups.report.phase ?? "ending"))
        }
        return report(backups.report)
    }

    func snapshots() -> any SnapshotDoor { parts.snapshots }

    private func scheduleReport(
        _ schedule: BackupSchedule, _ view: NodeView
    ) -> BackupScheduleReport {
        let duty = view.backups
        // The mesh goes by its log's time; where nothing was applied yet this clock has to do.
        let now = view.appliedTime ?? BootClock.wall
        return BackupScheduleReport(
            schedule: "\(schedule.runs)", full: schedule.full.map { "\($0)" },
            nextSlot: schedule.next(after: now)?.unixSeconds,
            holder: duty.claim.map {
                BackupScheduleReport.Holder(
                    node: $0.node.rawValue, slot: $0.slot.unixSeconds, full: $0.isFull)
            },
            newest: duty.newest.map {
                BackupScheduleReport.Made(
                    number: $0.number, node: $0.node.rawValue, asOf: $0.asOf.unixSeconds,
                    full: $0.isFull)
            },
            failure: duty.failure.map {
                BackupScheduleReport.Failure(
                    node: $0.node.rawValue, slot: $0.slot.unixSeconds, at: $0.at.unixSeconds,
                    words: $0.words)
            }, failures: duty.failures, hasRepository: backups != nil,
            waitsForLevel: view.level >= .backups
                ? nil : UInt64(FeatureLevel.backups.rawValue))
    }

    /// What is alarmed about goes by this node's clock: the log's time stands still where nothing is decided. A process that has
    /// applied nothing yet doesn't know what was made; if that lasts, there is no quorum, which is told.
    func backupSight(_ view: NodeView) -> Sight.Backups? {
        guard let schedule = settings.cluster.backups, view.appliedTime != nil else { return nil }
        let now = BootClock.wall
        let duty = view.backups
        return Sight.Backups(
            newest: duty.newest?.asOf.unixSeconds,
            overdueBefore: schedule.overdueBefore(now)?.unixSeconds,
            next: schedule.next(after: now)?.unixSeconds, holder: duty.claim?.node,
            failures: duty.failures,
            failure: duty.failure.map {
                Sight.Backups.Failure(
                    node: $0.node, at: $0.at.unixSeconds, words: $0.words)
            }, hasRepository: backups != nil)
    }
}

extension WallTime {
    var unixSeconds: UInt64 { rawValue / 1_000_000_000 }
}
