internal import Mesh
internal import Repository
internal import Retention

/// What of the shipped log is let go of. Any moment of the last days can be had, and to have the first of them takes the
/// newest backup before it and the log from there; what lies before that backup leads to nothing that is promised.
struct SpentLog {
    /// The oldest first.
    private(set) var names: [ObjectName] = []
    private(set) var byteCount = 0

    /// `backups` are all that there are, and what becomes of them.
    init(
        _ survey: Survey, _ backups: [Collector.Fated], days: Int, now: WallTime,
        lost: Set<UInt64>, _ layout: Layout
    ) {
        let ages = Retention.ages(survey.dated(lost: lost), now: now)
        var needed: [ObjectName: LogIndex] = [:]
        // In the order of their numbers, which is that of their places in a log: the newest of the old ones counts.
        for (backup, age) in zip(backups, ages) {
            let manifest = backup.manifest
            guard backup.fate.isKept, !lost.contains(manifest.sequence),
                age >= .seconds(UInt64(days) * 86_400)
            else { continue }
            needed[layout.log(manifest.cluster, manifest.group)] = manifest.position.index.next
        }
        for (folder, first) in needed.sorted(by: { $0.key < $1.key }) {
            take(survey.inventory.stretches[folder] ?? [], upTo: first, folder)
        }
    }

    /// One goes where the next one begins no later than what is needed: so the last one of all stays, and whoever ships
    /// finds where to go on.
    private mutating func take(
        _ stretches: [Inventory.Shipped], upTo first: LogIndex, _ folder: ObjectName
    ) {
        for (stretch, next) in zip(stretches, stretches.dropFirst()) where next.first <= first {
            names.append(Layout.stretch(in: folder, first: stretch.first))
            byteCount += stretch.byteCount
        }
    }
}
