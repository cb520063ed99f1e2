internal import Admin
internal import ArgumentParser
internal import Backup
internal import Mesh
internal import Repository
internal import Retention
internal import StoreChoice

extension BackupCommand {
    struct Prune: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets backups go that no rule keeps, and deletes what only they led to.",
            discussion: """
                One backup is kept of each hour, day, week, month and year, for as long as the rules say; besides the \
                newest, and what is held. First everything that goes is named in the repository; it is deleted once no \
                backup is running that began before. Until then nothing is: ask again later. No agent has to run.
                """)

        @OptionGroup var place: RepositoryOptions
        @OptionGroup var rules: RetentionOptions
        @OptionGroup var options: OutputOptions
        @OptionGroup var confirmation: ConfirmationOptions
        @OptionGroup var telling: ProgressOptions
        @Flag(help: "Only say what would be done, and why.")
        var dryRun = false
        @Option(
            help: "A backup that can't be had any more, and may go or be missing. Can be repeated.")
        var lost: [UInt64] = []

        func run() throws {
            let vault = try place.vault(for: .all)
            let progress = ProgressTeller("opening", telling)
            defer { progress.end() }
            let collector = Collector(
                vault, try rules.policy(), now: .ofThisMachine, lost: Set(lost),
                tell: progress.take)
            let report: PruneReport
            if dryRun {
                let plan = try backed { () throws(BackupFailure) in try collector.plan() }
                let open = try backed { () throws(BackupFailure) in try Sessions(vault).open() }
                report = PruneReport(would: plan, while: open)
            } else {
                report = PruneReport(try prune(collector, progress))
            }
            progress.end()
            try options.show(report, report.lines)
        }

        private func prune(
            _ collector: Collector, _ progress: ProgressTeller
        ) throws -> Collector.Pruned {
            var refused: (any Error)?
            let pruned = try backed { () throws(BackupFailure) in
                try collector.prune { plan in
                    let going = plan.dead.manifests.count
                    guard going > 0 else { return true }
                    do {
                        try progress.pausing {
                            try confirmation.demand(
                                "\(going)", "let \(counted(going, "backup")) go")
                        }
                        return true
                    } catch {
                        refused = error
                        return false
                    }
                }
            }
            if let refused { throw refused }
            return pruned
        }
    }
}

/// For how long what is kept.
struct RetentionOptions: ParsableArguments {
    @Option(help: "How many of the newest are kept in any case. Default: 3.")
    var keepNewest: Int?
    @Option(help: "For how many days one of each hour is kept. Default: 7.")
    var keepHourly: Int?
    @Option(help: "For how many days one of each day is kept. Default: 30.")
    var keepDaily: Int?
    @Option(help: "For how many days one of each week is kept. Default: 90.")
    var keepWeekly: Int?
    @Option(help: "For how many days one of each month is kept. Default: 365.")
    var keepMonthly: Int?
    @Option(help: "For how many years one of each year is kept. Default: 7.")
    var keepYearly: Int?

    @Option(
        help: "For how many days any moment can be had from the shipped log. Default: 30.")
    var keepLog: Int?

    private static let yearsMax = RetentionPolicy.daysMax / RetentionPolicy.daysPerYear

    func validate() throws { _ = try policy() }

    func policy() throws -> RetentionPolicy {
        // More years than there may be are more days than there may be.
        let years = keepYearly.map { min(max($0, -1), Self.yearsMax + 1) }
        let asked: [(RetentionSlot.Kind, Int?)] = [
            (.hourly, keepHourly), (.daily, keepDaily), (.weekly, keepWeekly),
            (.monthly, keepMonthly), (.yearly, years.map { $0 * RetentionPolicy.daysPerYear }),
        ]
        let days = asked.compactMap { kind, days in days.map { (kind, $0) } }
        guard
            let policy = RetentionPolicy(
                newest: keepNewest, days: Dictionary(uniqueKeysWithValues: days), logDays: keepLog)
        else {
            let newest = RetentionPolicy.newestRange
            throw ValidationError(
                "Keep \(newest.lowerBound) to \(newest.upperBound) of the newest, and the others for 0 to "
                    + "\(RetentionPolicy.daysMax) days or \(Self.yearsMax) years.")
        }
        return policy
    }
}
