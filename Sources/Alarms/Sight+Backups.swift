internal import Admin
package import Mesh

/// Of backups that the schedule asks for and nobody made.
extension Sight {
    /// What the mesh knows of its backups. Times are unix seconds.
    package struct Backups: Hashable, Sendable {
        package struct Failure: Hashable, Sendable {
            package let node: NodeID
            package let at: UInt64
            package let words: String
            package init(node: NodeID, at: UInt64, words: String) {
                (self.node, self.at, self.words) = (node, at, words)
            }
        }

        /// Of what moment the newest is; nil where none was made.
        package let newest: UInt64?
        /// An older one is two slots behind; nil where so many have not come yet.
        package let overdueBefore: UInt64?
        package let next: UInt64?
        /// Who makes one now.
        package let holder: NodeID?
        /// In a row, since one was made.
        package let failures: UInt64
        package let failure: Failure?
        /// Whether this node can make one.
        package let hasRepository: Bool

        package init(
            newest: UInt64?, overdueBefore: UInt64?, next: UInt64?, holder: NodeID?,
            failures: UInt64, failure: Failure?, hasRepository: Bool
        ) {
            (self.newest, self.overdueBefore, self.next) = (newest, overdueBefore, next)
            (self.holder, self.failures, self.failure) = (holder, failures, failure)
            self.hasRepository = hasRepository
        }
    }

    /// As often as a slot's backup is begun: a single failure is made good by the next try.
    static let backupFailuresMax: UInt64 = 3
    /// The log's time is its leaders': no lawful one is ahead of this clock by more.
    static let backupAheadSecondsMax: UInt64 = 3_600

    var backupAlarms: [Alarm] {
        guard let backups else { return [] }
        return overdueAlarms(backups) + failingAlarms(backups)
    }

    private func overdueAlarms(_ backups: Backups) -> [Alarm] {
        guard let newest = backups.newest else {
            return [
                overdue(
                    "no backup of this mesh was made yet, and its schedule asks for them", backups)
            ]
        }
        if newest > now + Self.backupAheadSecondsMax {
            return [
                alarm(
                    .backupOverdue, .warning,
                    "the newest backup is as of \(utc(newest)), which is still to come: the log's time is "
                        + "ahead, and no slot of the schedule comes before it",
                    do:
                        "see whose clock is wrong or was; until then make backups with `holdfast backup run`"
                )
            ]
        }
        guard let before = backups.overdueBefore, newest < before else { return [] }
        return [
            overdue(
                "the newest backup is as of \(utc(newest)), and the schedule asked for one at \(utc(before)) "
                    + "and for another one since", backups)
        ]
    }

    private func overdue(_ text: String, _ backups: Backups) -> Alarm {
        let making = backups.holder.map { "; node \($0) makes one now" } ?? ""
        let here =
            backups.hasRepository ? "" : "; this node has no `backup` setting, and can make none"
        return alarm(
            .backupOverdue, .warning, text + making + here,
            do:
                "`holdfast backup status` on a data member with a `backup` setting says what stands in the way, "
                + "`holdfast backup run` there makes one; without such a member there are no backups"
        )
    }

    private func failingAlarms(_ backups: Backups) -> [Alarm] {
        guard backups.failures >= Self.backupFailuresMax, let failure = backups.failure else {
            return []
        }
        let next = backups.next.map { "; the next slot comes at \(utc($0))" } ?? ""
        return [
            alarm(
                .backupFailing, .warning, since: failure.at,
                "the last \(backups.failures) tries to make a backup failed, the newest of them on node "
                    + "\(failure.node): \(failure.words)\(next)",
                do:
                    "see to that, then `holdfast backup run`; docs/backups.md lists what is said there"
            )
        ]
    }
}
