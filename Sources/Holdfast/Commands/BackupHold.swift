internal import ArgumentParser
internal import Backup
internal import Mesh
internal import Repository
internal import StoreChoice

extension BackupCommand {
    struct HoldCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "hold",
            abstract: "Keeps a backup whatever the rules say, until it is released.")

        @OptionGroup var place: RepositoryOptions
        @OptionGroup var options: OutputOptions
        @Argument(help: "The backup's number.") var number: UInt64
        @Option(help: "Why, and for whom.") var reason: String

        func run() throws {
            let vault = try place.vault(for: .all)
            _ = try RepositoryOptions.manifest(number, in: vault)
            let hold = try backed { () throws(BackupFailure) in
                try Holds(vault).put(number, reason: reason, at: .ofThisMachine)
            }
            try options.show(
                HoldReport(hold), [Line("backup \(number) is held: \(hold.reason)", .good)])
        }
    }

    struct Release: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends a hold: from then on the rules decide again.")

        @OptionGroup var place: RepositoryOptions
        @OptionGroup var options: OutputOptions
        @OptionGroup var confirmation: ConfirmationOptions
        @Argument(help: "The backup's number.") var number: UInt64

        func run() throws {
            let holds = Holds(try place.vault(for: .all))
            let held = try backed { () throws(BackupFailure) in try holds.numbers() }
            guard held.contains(number) else {
                throw Failure(.refused, "backup \(number) is not held")
            }
            try confirmation.demand("\(number)", "release backup \(number)")
            _ = try backed { () throws(BackupFailure) in try holds.release(number) }
            try options.show(
                ["released": number], [Line("backup \(number) is no longer held", .good)])
        }
    }

    struct EndSession: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says that a running backup is over, because its writer is gone for good.",
            discussion: """
                Nothing is deleted while a backup runs, and one whose node was lost never ends. A node ends what it left \
                open with its next backup; this is for nodes that make none any more. A writer that is there after all \
                makes no backup of it.
                """)

        @OptionGroup var place: RepositoryOptions
        @OptionGroup var options: OutputOptions
        @OptionGroup var confirmation: ConfirmationOptions
        @Argument(help: "The session's number, as `holdfast backup prune` says it.")
        var number: UInt64
        @Option(help: "How you know that its writer is gone.") var reason: String
        @Flag(
            help: "End it even where it was just putting its manifest: only if its process is dead."
        )
        var writerIsDead = false

        func run() throws {
            let sessions = Sessions(try place.vault(for: .all))
            try confirmation.demand("\(number)", "end session \(number)")
            try backed { () throws(BackupFailure) in
                try sessions.end(number, why: reason, commitsToo: writerIsDead)
            }
            try options.show(["ended": number], [Line("session \(number) is over", .good)])
        }
    }
}

/// A hold, for a program.
struct HoldReport: Encodable {
    let number: UInt64
    /// nil where it can't be read; the backup is held all the same.
    let reason: String?
    let unixMilliseconds: UInt64?

    init(_ hold: Hold) {
        (number, reason) = (hold.backup, hold.reason)
        unixMilliseconds = hold.time.rawValue / 1_000_000
    }

    /// Of a hold that can't be read.
    init(unreadable number: UInt64) {
        self.number = number
        (reason, unixMilliseconds) = (nil, nil)
    }

    static func all(in vault: Vault) throws(Failure) -> [HoldReport] {
        try backed { () throws(BackupFailure) in
            let holds = Holds(vault)
            return try holds.numbers().sorted().map { number in
                (try? holds.hold(number)).map(HoldReport.init) ?? HoldReport(unreadable: number)
            }
        }
    }
}
