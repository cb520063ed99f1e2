internal import Admin
internal import ArgumentParser
internal import Backup
internal import FoundationEssentials
internal import Settings
internal import StoreChoice

extension RepositoryCommand {
    struct ExtendLocks: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "extend-locks",
            abstract: "Keeps what lies in a bucket locked for as long as the store file says.",
            discussion: """
                Asks for the lock of each object, and extends it where less than half of the days is \
                left. Agents do the same behind a backup, eight times in these days. What was deleted \
                is left alone, and so is what lies in stores that lock nothing.
                """)

        struct Extended: Encodable {
            struct Store: Encodable {
                let store: String
                let looked: Int
                let extended: Int
                let unlocked: Int
            }
            let stores: [Store]
        }

        @OptionGroup var options: OutputOptions
        @OptionGroup var telling: ProgressOptions
        @Argument(help: "The store file that says where the repository is.")
        var place: String

        func run() throws {
            let settings = try ConfigFile.store(place)
            guard settings.lockDays != nil else {
                throw Failure(
                    .refused,
                    "no store in \(place) locks objects\n  Put lock: {mode: …, days: …} into its s3 first: "
                        + "docs/backups.md.")
            }
            let progress = ProgressTeller("opening", telling)
            defer { progress.end() }
            let reports = try backed { () throws(BackupFailure) in
                try StoreChoice.extendLocks(of: settings, tell: progress.take) {
                    ProcessInfo.processInfo.environment[$0]
                }
            }
            progress.end()
            let extended = Extended(
                stores: reports.map {
                    .init(
                        store: $0.store, looked: $0.looked, extended: $0.extended,
                        unlocked: $0.unlocked)
                })
            try options.show(extended, extended.stores.map(Self.line))
        }

        private static func line(_ store: Extended.Store) -> Line {
            let had =
                store.unlocked > 0
                ? ", \(store.unlocked) of which had none" : ""
            return Line(
                "\(store.store): \(counted(store.looked, "object")) looked at, the locks of "
                    + "\(store.extended) extended\(had)")
        }
    }
}
