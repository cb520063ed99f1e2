internal import Admin
internal import ArgumentParser
internal import Control
internal import FoundationEssentials
internal import Pacing

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Makes backups, shows and checks those that there are, and lets them go.",
        subcommands: [
            Run.self, Status.self, List.self, Show.self, Verify.self, Rehearse.self, Diff.self,
            CopyCommand.self, MountCommand.self,
            HoldCommand.self,
            Release.self, Prune.self, EndSession.self,
        ])

    struct Run: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a backup of all volumes, on the node that is asked.",
            discussion: """
                Any data member can: ask one that is not primary, and guests notice nothing. All volumes are as of one \
                place in the log. It reads what changed since the newest backup; killed at any moment, the next one \
                goes on with what it stored.
                """)

        /// How often a person sees it move. At first it is asked more often: one of what changed is made in a moment.
        static let askedEvery = Duration.milliseconds(250)
        static let askedFirstAfter = Duration.milliseconds(5)
        /// Nobody waits for a fiftieth longer than the backup takes.
        static let askedPart = 50

        @ParentCommand var parent: BackupCommand
        @OptionGroup var options: OutputOptions
        @Flag(help: "Read everything, not only what the log says has changed.")
        var full = false
        @Option(
            help:
                "How many bytes of objects it puts into the repository, and reads there, in a second at most, such as 50M. Default: what the node's file says.",
            transform: { try PaceOptions.rate(parsing: $0) })
        var rate: UInt64?
        @Flag(help: "Only begin it; `holdfast backup status` tells how far it is.")
        var detach = false
        @OptionGroup var telling: ProgressOptions
        var root: Holdfast { parent.root }

        func run() async throws {
            let began = try await job(.beginBackup(BackupRequest(full: full, rate: rate)))
            if detach { return try options.show(began, [Line("a backup begins")]) }
            var job = began
            let progress = ProgressTeller(began.phase ?? "opening", telling)
            defer { progress.end() }
            let start = ContinuousClock.now
            while job.state == .running {
                progress.reach(job)
                let part = (ContinuousClock.now - start) / Self.askedPart
                try await Task.sleep(for: min(max(part, Self.askedFirstAfter), Self.askedEvery))
                job = try await self.job(.backup)
            }
            if job.state == .done { progress.reach(job) }
            progress.end()
            if job.state == .failed {
                throw Failure(.refused, "the backup failed: \(job.failure ?? "without a word")")
            }
            guard job.state == .done else {
                throw Failure(
                    .refused,
                    "the agent was started again meanwhile, and its backup is not made\n"
                        + "  Ask for it again; `holdfast backup list` shows those that are made.")
            }
            try options.show(
                job, BackupWords.lines(job) + BackupWords.mayLack(job) + BackupWords.untold(job))
        }

        private func job(_ route: Route) async throws -> BackupJobReport {
            let bytes = try await ask(route)
            return try JSONDecoder().decode(BackupJobReport.self, from: Data(bytes))
        }
    }

    struct Status: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Shows the last backup that this node began, and what the mesh's schedule has come to."
        )

        @ParentCommand var parent: BackupCommand
        @OptionGroup var options: OutputOptions
        var root: Holdfast { parent.root }

        func run() async throws {
            try await ask(.backup) { (job: BackupJobReport) in
                BackupWords.lines(job) + (job.log.map { [BackupWords.line($0)] } ?? [])
                    + (job.lacking ?? []).map {
                        Line("a store lacks what others have: \($0)", .bad)
                    }
                    + BackupWords.mayLack(job) + BackupWords.untold(job)
                    + (job.scrub.map(BackupWords.lines) ?? [])
                    + (job.schedule.map(BackupWords.lines) ?? [])
            }
        }
    }

    @ParentCommand var root: Holdfast
}

/// A backup in a person's words.
enum BackupWords {
    static func lines(_ job: BackupJobReport) -> [Line] {
        switch job.state {
        case .none: [Line("this node began no backup since it started")]
        case .running: [Line(running(job))]
        case .failed:
            [Line("failed after \(took(job)): \(job.failure ?? "without a word")", .bad)]
        case .done:
            [
                Line(
                    "backup \(job.backup?.number ?? 0), \(job.backup?.kind.rawValue ?? ""), of "
                        + "entry \(job.backup?.position.index ?? 0), in \(took(job)): "
                        + "\(Words.bytes(job.readBytes)) read, \(Words.bytes(job.storedBytes)) stored",
                    .good)
            ]
        }
    }

    /// Of a full backup, whose own bytes are right.
    static func untold(_ job: BackupJobReport) -> [Line] {
        (job.untold ?? []).map {
            Line(
                "what the log told of changes is wrong: \($0). Keep this backup, and report it",
                .bad)
        }
    }

    static func mayLack(_ job: BackupJobReport) -> [Line] {
        job.mayLack.map {
            [
                Line(
                    "it may lack what guests flushed just before it was asked for: \($0)",
                    .warning)
            ]
        } ?? []
    }

    static func lines(_ scrub: RepositoryScrubReport) -> [Line] {
        let last =
            scrub.last.map {
                "all was read last at \(Words.time(unixSeconds: $0.at)): "
                    + "\(counted(Int($0.copies), "copy", "copies")), \(Words.bytes($0.bytes))"
            } ?? "all of it was not read yet"
        let way =
            "scrub: \(scrub.percent) % of the pass since "
            + "\(Words.time(unixSeconds: scrub.began)); \(last)"
        var lines = [Line(way, scrub.damaged == 0 && scrub.failure == nil ? .good : .plain)]
        if scrub.damaged > 0 {
            let count = Int(scrub.damaged)
            lines.append(
                Line(
                    "scrub: \(counted(count, "copy is", "copies are")) damaged: `holdfast status` says which",
                    .bad))
        }
        if let failure = scrub.failure { lines.append(Line("scrub: fails: \(failure)", .bad)) }
        return lines
    }

    static func line(_ log: LogShippingReport) -> Line {
        let through = log.through.map { "shipped through entry \($0)" } ?? "nothing shipped yet"
        let behind =
            log.behindMilliseconds.map { ", at most \(Words.seconds($0 / 1_000 + 1)) behind" }
            ?? ", nobody knows how far behind"
        return switch log.state {
        case .standsBy: Line("log: another node is primary, and ships it")
        case .ships: Line("log: \(through)\(behind)", .good)
        case .failing:
            Line("log: \(through)\(behind), and fails: \(log.failure ?? "without a word")", .bad)
        }
    }

    /// As in "volumes: 491 MiB of 1.2 GiB, 40 %, 310 MiB/s, about 5 s left; 80 MiB stored".
    static func running(_ job: BackupJobReport) -> String {
        let phase = job.phase ?? "running"
        guard job.wantedBytes > 0, job.readBytes > 0, job.milliseconds > 0 else {
            return "\(phase), since \(took(job))"
        }
        // One that asks once sees the whole of it, and no last seconds.
        let reading = ProgressMeter.Reading(
            phase: phase, done: job.readBytes, total: job.wantedBytes,
            rate: job.readBytes * 1_000 / job.milliseconds)
        return ProgressWords.line(reading, stored: job.storedBytes)
    }

    private static func took(_ job: BackupJobReport) -> String {
        let seconds = job.milliseconds / 1_000
        return seconds < 10
            ? "\(seconds).\(job.milliseconds % 1_000 / 100) s" : Words.seconds(seconds)
    }
}

extension ProgressTeller {
    fileprivate func reach(_ job: BackupJobReport) {
        reach(
            job.phase ?? "committing", job.readBytes,
            of: job.wantedBytes > 0 ? job.wantedBytes : nil, stored: job.storedBytes)
    }
}
