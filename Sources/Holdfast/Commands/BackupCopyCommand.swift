internal import ArgumentParser
internal import Backup
internal import Mesh
internal import Repository
internal import StoreChoice

extension BackupCommand {
    struct CopyCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "copy",
            abstract: "Copies backups to another repository, sealed by other keys.",
            discussion: """
                Each cell is opened and checked, and named and sealed anew by the other one's keys; what lies there already is not \
                stored again. A copy has the number, the moment and the hold of its original, and is restored, checked and pruned as \
                that is. Copies are made the oldest first, each of what changed since the one before. Killed at any moment, the same \
                command goes on: no backup is there before it is whole. The shipped log is not copied.
                """)

        struct Copied: Encodable {
            struct One: Encodable {
                let number: UInt64
                /// False where it was there before.
                let copied: Bool
                let readBytes: UInt64
                let storedBytes: Int
            }
            let backups: [One]
            /// Later ones were copied before them, so that these can't be any more.
            let passedOver: [UInt64]
        }

        @OptionGroup var options: OutputOptions
        @OptionGroup var pace: PaceOptions
        @OptionGroup var telling: ProgressOptions
        @Argument(help: "Their numbers. Default: give --all or --newest.")
        var numbers: [UInt64] = []
        @Flag(help: "All that are not there yet.") var all = false
        @Flag(help: "The newest.") var newest = false
        @Option(help: "The repository's directory, or the store file that says where it is.")
        var from: String
        @Option(
            help: "What opens it: a key file, a provider file, or an escrow key's private half.")
        var key: String
        @Option(help: "Whose backups, where an escrow key opens those of several tenants.")
        var tenant: TenantID?
        @Option(help: "The other repository's directory, or its store file.")
        var to: String
        @Option(help: "What opens that one.")
        var toKey: String
        @Option(help: "Whose part of it, where an escrow key opens those of several tenants.")
        var toTenant: TenantID?

        func validate() throws {
            guard [!numbers.isEmpty, all, newest].count(where: { $0 }) == 1 else {
                throw ValidationError("Give NUMBERS, --all or --newest: one of them.")
            }
        }

        func run() throws {
            let (source, target) = try vaults()
            let (wanted, passedOver) = try wanted(source, target)
            let progress = ProgressTeller("opening", telling)
            defer { progress.end() }
            let copy = try backed { () throws(BackupFailure) in
                try BackupCopy(
                    from: source, to: target, threads: RepositoryOptions.threads,
                    tell: progress.take)
            }
            var copied: [Copied.One] = []
            for number in wanted {
                progress.name("backup \(number)")
                let one = try backed { () throws(BackupFailure) in
                    try copy.copy(number, at: .ofThisMachine)
                }
                copied.append(
                    Copied.One(
                        number: number, copied: one.isNew, readBytes: one.readByteCount,
                        storedBytes: one.storedByteCount))
            }
            progress.end()
            let report = Copied(backups: copied, passedOver: passedOver)
            try options.show(report, report.backups.map(Self.line) + Self.lines(passedOver))
        }

        /// One rate for both: what is read in the one, and put into the other.
        private func vaults() throws(Failure) -> (source: Vault, target: Vault) {
            let source = try OpenedRepository(
                try ConfigFile.store(from), key: key, tenant: tenant, for: .reading)
            let target = try OpenedRepository(
                try ConfigFile.store(to), key: toKey, tenant: toTenant, for: .writing)
            // What is sealed by the newest ring has to be opened from each of the stores.
            try backed { () throws(BackupFailure) in
                try target.rings.settle(target.ring.number)
            }
            let pace = Pace(pace.rate)
            return (
                try source.vault().paced(by: pace), try target.vault().paced(by: pace)
            )
        }

        /// The oldest first.
        private func wanted(
            _ source: Vault, _ target: Vault
        ) throws(Failure) -> (numbers: [UInt64], passedOver: [UInt64]) {
            let there = try backed { () throws(BackupFailure) in try Manifests(source).numbers() }
            guard !there.isEmpty else {
                throw Failure(.refused, "\(from) holds no backup: there is nothing to copy")
            }
            if newest { return (there.suffix(1), []) }
            guard all else {
                for number in numbers where !there.contains(number) {
                    throw Failure(
                        .refused,
                        "there is no backup \(number) in \(from)\n  `holdfast backup list` shows those that there are."
                    )
                }
                return (Set(numbers).sorted(), [])
            }
            let copied = try backed { () throws(BackupFailure) in
                try Manifests(target).numbers()
            }
            let last = copied.last ?? 0
            let passedOver = there.filter { $0 < last && !copied.contains($0) }
            return (there.filter { !passedOver.contains($0) }, passedOver)
        }

        private static func lines(_ passedOver: [UInt64]) -> [Line] {
            guard !passedOver.isEmpty else { return [] }
            return [
                Line(
                    "not copied, since later ones were before: \(Words.list(passedOver.map { "\($0)" }))",
                    .warning)
            ]
        }

        private static func line(_ one: Copied.One) -> Line {
            guard one.copied else { return Line("backup \(one.number) was there", .good) }
            return Line(
                "backup \(one.number) is copied: \(Words.bytes(one.readBytes)) of volumes read, "
                    + "\(Words.bytes(UInt64(one.storedBytes))) stored", .good)
        }
    }
}
