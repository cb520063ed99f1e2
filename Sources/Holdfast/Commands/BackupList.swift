internal import Admin
internal import ArgumentParser
internal import Backup
internal import Repository

extension BackupCommand {
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the backups in a repository; no agent has to run.")

        struct Listed: Encodable {
            let backups: [BackupReport]
            /// Numbers of those that can't be read, and why.
            let damaged: [Damaged]
            /// Those that no rule lets go.
            let held: [HoldReport]
        }
        struct Damaged: Encodable {
            let number: UInt64
            let why: String
        }

        @OptionGroup var place: RepositoryOptions
        @OptionGroup var options: OutputOptions

        func run() throws {
            let vault = try place.vault()
            let manifests = Manifests(vault)
            let held = try HoldReport.all(in: vault)
            var (backups, damaged): ([BackupReport], [Damaged]) = ([], [])
            let numbers = try backed { () throws(BackupFailure) in try manifests.numbers() }
            for number in numbers {
                // One that was let go of since they were listed is none.
                do throws(BackupFailure) {
                    backups.append(BackupReport(try manifests.manifest(number).manifest))
                } catch .store(let failure) where failure.cause == .missing {
                } catch { damaged.append(Damaged(number: number, why: "\(error)")) }
            }
            try options.show(
                Listed(backups: backups, damaged: damaged, held: held),
                Self.lines(backups, damaged, held))
            guard damaged.isEmpty else {
                throw Failure(.refused, "\(damaged.count) of the backups can't be read")
            }
        }

        private static func lines(
            _ backups: [BackupReport], _ damaged: [Damaged], _ held: [HoldReport]
        ) -> [Line] {
            guard !backups.isEmpty || !damaged.isEmpty else {
                return [Line("there are no backups")]
            }
            var table = Table([
                ("NUMBER", .right), ("KIND", .left), ("TIME", .left), ("ENTRY", .right),
                ("EPOCH", .right), ("VOLUMES", .right), ("SIZE", .right), ("HELD", .left),
            ])
            for backup in backups {
                table.add([
                    "\(backup.number)", backup.kind.rawValue,
                    Words.time(unixSeconds: backup.unixMilliseconds / 1_000),
                    "\(backup.position.index)", "\(backup.epoch)", "\(backup.volumes.count)",
                    Words.bytes(backup.volumes.reduce(0) { $0 + $1.byteCount }),
                    held.first { $0.number == backup.number }.map {
                        $0.reason ?? "for a reason that can't be read"
                    } ?? "",
                ])
            }
            return table.lines()
                + damaged.map { Line("backup \($0.number) can't be read: \($0.why)", .bad) }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one backup, or the newest; no agent has to run.")

        @OptionGroup var place: RepositoryOptions
        @OptionGroup var options: OutputOptions
        @Argument(help: "Its number. Default: the newest.")
        var number: UInt64?

        func run() throws {
            let manifest = try RepositoryOptions.manifest(number, in: place.vault())
            let backup = BackupReport(manifest)
            var table = Table([("VOLUME", .left), ("ID", .right), ("SIZE", .right)])
            for volume in backup.volumes {
                table.add([volume.name, "\(volume.id)", Words.bytes(volume.byteCount)])
            }
            let time = Words.time(unixSeconds: backup.unixMilliseconds / 1_000)
            try options.show(
                backup,
                [
                    Line("backup \(backup.number), \(backup.kind.rawValue)", .heading),
                    Line("time   \(time)"),
                    Line("entry  \(backup.position.index) of term \(backup.position.term)"),
                    Line("epoch  \(backup.epoch)"),
                    Line("mesh   \(manifest.cluster)"),
                    Line("finds  \(manifest.consistency)"),
                ] + (backup.volumes.isEmpty ? [Line("volumes  none")] : table.lines()))
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Reads all of a backup, opens and checks every piece, and writes nothing.",
            discussion: "What passes here can be restored. It needs the key, and no agent.")

        struct Verified: Encodable {
            let number: UInt64
            let volumes: Int
            let bytes: UInt64
        }

        @OptionGroup var place: RepositoryOptions
        @OptionGroup var options: OutputOptions
        @OptionGroup var pace: PaceOptions
        @OptionGroup var telling: ProgressOptions
        @Argument(help: "Its number. Default: the newest.")
        var number: UInt64?

        func run() throws {
            let vault = try place.vault().paced(pace.rate)
            let manifest = try RepositoryOptions.manifest(number, in: vault)
            let progress = ProgressTeller(
                "verifying", of: "backup \(manifest.sequence)", telling)
            defer { progress.end() }
            let reader = try backed { () throws(BackupFailure) in
                try BackupReader(vault, threads: RepositoryOptions.threads)
            }
            progress.expect { try reader.storedByteCount(manifest.volumes.map(\.map)) }
            try backed { () throws(BackupFailure) in _ = try reader.bytes(manifest.state) }
            let damage = Damaged.volumes(manifest.volumes) { at throws(BackupFailure) in
                try reader.restore(manifest.volumes[at].map, to: Watched(Nowhere(), progress.take))
            }
            progress.end()
            try Damaged.refuse(damage, of: manifest.volumes.count, "can't be had")
            try options.show(
                Verified(
                    number: manifest.sequence, volumes: manifest.volumes.count,
                    bytes: progress.byteCount),
                [
                    Line(
                        "backup \(manifest.sequence) is whole: \(manifest.volumes.count) volumes, "
                            + "\(Words.bytes(progress.byteCount)) of data read and checked", .good)
                ])
        }
    }

    /// Checked bytes go nowhere.
    private struct Nowhere: CellTarget {
        func write(_ bytes: [UInt8], at offset: UInt64) {}
    }
}
