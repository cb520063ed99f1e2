internal import Admin
internal import ArgumentParser
internal import Backup
internal import FoundationEssentials
internal import Mesh
internal import Pacing
internal import Repository
internal import Settings
internal import StoreChoice

extension RepositoryCommand {
    struct RepairCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "repair",
            abstract: "Makes the copies of a repository whole again, each from the others.",
            discussion: """
                What is damaged is taken out of the way, never deleted, and only where a whole copy takes \
                its place; that is read back. What is whole nowhere is named, with the backups, volumes \
                and bytes that lack it.
                """)

        @OptionGroup var options: OutputOptions
        @Argument(help: "The repository's directory, or the store file that says where it is.")
        var place: String
        @OptionGroup var key: FirstKeyOptions
        @OptionGroup var pace: PaceOptions
        @OptionGroup var telling: ProgressOptions
        @Flag(
            help:
                "Makes stores of the store file that are empty copies, too; an empty one may be a disk that is not mounted."
        )
        var newCopies = false
        @Option(
            help: ArgumentHelp(
                "Looks in buckets behind what was deleted or written over since, too, and puts it back: 2026-11-30T08:15:00Z.",
                valueName: "time"))
        var asOf: UTCTime?

        func run() throws {
            let settings = try ConfigFile.store(place)
            if newCopies { try Self.found(settings, key) }
            let past = try asOf.map { time throws(Failure) in try Self.past(settings, time) }
            let opened =
                if let past {
                    try OpenedRepository(
                        past.past, of: settings, key: key.key, tenant: key.tenant)
                } else { try OpenedRepository(settings, key, for: .reading) }
            let progress = ProgressTeller("opening", telling)
            defer { progress.end() }
            let (repair, rings) = try Self.repair(opened, past, pace, progress.take)
            let report = try backed { () throws(BackupFailure) in try repair.run() }
            progress.end()
            let repaired = RepairReport(report, rings)
            try options.show(repaired, repaired.lines)
            guard repaired.isWhole else { throw Failure(.refused, repaired.words) }
        }

        private static func past(
            _ settings: StoreSettings, _ time: UTCTime
        ) throws(Failure) -> StoreChoice.Hidden {
            try backed { () throws(BackupFailure) in
                try StoreChoice.openHidden(settings, asOf: time.wall.rawValue / 1_000_000_000) {
                    ProcessInfo.processInfo.environment[$0]
                }
            }
        }

        /// What each bucket held in the past is one more copy, from which the repair takes what the bucket lacks. Rings are read
        /// there first: what lies in the bucket now may be anybody's.
        private static func repair(
            _ opened: OpenedRepository, _ past: StoreChoice.Hidden?, _ pace: PaceOptions,
            _ tell: @escaping WorkTeller
        ) throws(Failure) -> (Repair, RingHistory) {
            let vault = try opened.vault()
            var rings = opened.history(in: opened.rings.store)
            guard let past else {
                let repair = Repair(
                    vault, rings: rings, threads: RepositoryOptions.threads,
                    bytesPerSecond: pace.rate, tell: tell)
                return (repair, rings)
            }
            choose(past, vault, rings)
            past.putBackNames(of: vault.ring.repository)
            // Whoever rotated since then did so in the bucket; each ring vouches for the next one only.
            var climbs = true
            while climbs {
                let later = opened.history(in: past.store)
                climbs = later.newest.number > rings.newest.number
                rings = later
                choose(past, vault, rings)
            }
            let (newest, store) = (rings.newest.ring, past.store)
            let whole = try backed { () throws(BackupFailure) in try Vault(store, ring: newest) }
            past.choose(by: ObjectCheck(vault: whole, rings: rings), whole.layout)
            let repair = Repair(
                whole, rings: rings, threads: RepositoryOptions.threads,
                bytesPerSecond: pace.rate, wasThere: { name in past.wasThere(name) },
                tell: tell)
            return (repair, rings)
        }

        /// What is whole in the past, as far as those rings tell, and what may be the next ring.
        private static func choose(
            _ past: StoreChoice.Hidden, _ vault: Vault, _ rings: RingHistory
        ) {
            let check = ObjectCheck(vault: vault, rings: rings)
            let next = vault.layout.ring(rings.newest.number + 1)
            past.choose(vault.layout) { name, bytes in
                name == next ? rings.mayFollow(bytes) : check.isWhole(name, bytes)
            }
        }

        /// Whose repository it is comes first into an empty store, and all else by the repair. The first store is none that can be
        /// new: what it leads has to come from somewhere.
        private static func found(_ settings: StoreSettings, _ key: FirstKeyOptions) throws(Failure)
        {
            guard case .several(let stores, _) = settings else {
                throw Failure(
                    .refused,
                    "there is one store\n  Name the others in a store file: docs/backups.md.")
            }
            // Whoever has the wrong key, or no leading store, makes nothing a copy.
            let opened = try OpenedRepository(stores[0], key, for: .reading)
            for settings in stores.dropFirst() {
                let store = try settings.opened(for: .all)
                try backed { () throws(BackupFailure) in
                    let objects: [ObjectListing.Object]
                    do throws(ObjectStoreFailure) { objects = try store.list(nil).objects } catch {
                        throw .store(error)
                    }
                    guard objects.isEmpty else { return }
                    try Vault.found(opened.rings.repository, in: store)
                }
            }
        }
    }
}

/// What a repair did, for a program.
struct RepairReport: Encodable {
    struct Lost: Encodable {
        let object: String
    }
    struct Failed: Encodable {
        let store: String
        let object: String
        let why: String
    }

    let found: Int
    let repaired: [FindingReport]
    /// Indexes in whose place others were made from the packs.
    let rebuilt: [String]
    /// Objects of which no copy is whole.
    let lost: [String]
    /// What backups lack by that; null where it could not be told.
    let losses: [String]?
    /// Whole in none of the stores that could be asked.
    let undecided: [String]
    /// Missing somewhere, and left so: let go of.
    let passedOver: [String]
    let conflicts: [String]
    /// Put by somebody without a key, and out of the way.
    let planted: [String]
    let strangers: [String]
    let failed: [Failed]
    let absentStores: [String]
    /// Why it is not known which key ring is the newest.
    let unknownRing: String?

    init(_ report: Repair.Report, _ rings: RingHistory) {
        unknownRing = rings.unknown
        found = report.scrub.findings.count
        repaired = report.repaired.map(FindingReport.init)
        rebuilt = report.rebuilt.map(\.text)
        lost = report.lost.map(\.text)
        losses = report.lost.isEmpty ? [] : report.losses?.map(\.description)
        undecided = report.undecided.map(\.text)
        passedOver = report.passedOver.map(\.text)
        conflicts = report.conflicts.map(\.text)
        planted = report.planted.map(\.text)
        strangers = report.scrub.strangers
        failed = report.failed.map {
            Failed(store: $0.finding.store, object: $0.finding.name, why: "\($0.why)")
        }
        absentStores = report.scrub.absence
    }

    var isWhole: Bool {
        lost.isEmpty && undecided.isEmpty && conflicts.isEmpty && failed.isEmpty
            && absentStores.isEmpty && unknownRing == nil
    }

    var lines: [Line] {
        var lines = [
            Line(
                found == 0
                    ? "all copies are whole"
                    : "\(counted(repaired.count, "copy", "copies")) of \(found) put right and read back",
                isWhole ? .good : .plain)
        ]
        lines += rebuilt.map { Line("\($0) was whole nowhere: others were made from the packs") }
        lines += repaired.map { Line("put right: \($0.object) in \($0.store): \($0.problem)") }
        lines += planted.map {
            Line("\($0) was put by somebody else, opens in no version, and is out of the way")
        }
        lines += lost.map { Line("\($0) is whole nowhere", .bad) }
        lines += (losses ?? []).map { Line($0, .bad) }
        if !lost.isEmpty, losses?.isEmpty ?? true {
            lines.append(
                Line("no backup is known to lack it: `backup verify` tells", .warning))
        }
        lines += undecided.map { Line("\($0) is whole in none of the stores that answered", .bad) }
        if !passedOver.isEmpty {
            lines.append(
                Line("\(counted(passedOver.count, "object")) that were let go of stay missing"))
        }
        if let unknownRing {
            lines.append(
                Line("what later key rings seal was left as it is: \(unknownRing)", .bad))
        }
        lines += conflicts.map { Line("\($0): two different copies, both of which open", .bad) }
        lines += failed.map { Line("\($0.object) in \($0.store): \($0.why)", .bad) }
        lines += strangers.map { Line("nobody knows what \($0) is", .warning) }
        return lines + absentStores.map { Line($0, .bad) }
    }

    var words: String {
        var words: [String] = []
        if !lost.isEmpty {
            words.append("\(counted(lost.count, "object is", "objects are")) whole nowhere")
        }
        if !undecided.isEmpty {
            words.append(
                "\(counted(undecided.count, "object is", "objects are")) whole in no store that answered"
            )
        }
        if !conflicts.isEmpty {
            words.append(
                "\(counted(conflicts.count, "object has", "objects have")) two different copies: move the wrong one away"
            )
        }
        if let unknownRing {
            words.append(
                "\(unknownRing) (give another key of this repository; where none opens it, somebody put it: delete it by hand)"
            )
        }
        if !failed.isEmpty {
            words.append("\(counted(failed.count, "copy", "copies")) could not be put right")
        }
        if !absentStores.isEmpty {
            words.append("\(counted(absentStores.count, "store")) could not be read to the end")
        }
        let remedy =
            lost.isEmpty
            ? "Ask again once that is seen to."
            : "What a volume still has is stored again by `holdfast backup run --full`, once the damaged objects are moved away."
        return words.joined(separator: ", ") + "\n  \(remedy)"
    }
}
