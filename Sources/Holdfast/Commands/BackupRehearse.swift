internal import ArgumentParser
internal import Backup
internal import FoundationEssentials
internal import Mesh
internal import Pacing
internal import Repository

extension BackupCommand {
    /// A backup that was never restored is a hope.
    struct Rehearse: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Restores volumes for a trial, checks them, throws them away, and reports.",
            discussion: """
                No agent has to run, and nothing of the mesh is touched. A check is a program with a whole path, whose \
                words are parted by spaces: it is run for each volume, with the restored image as its standard input, \
                /dev/stdin as its last word and no network, as in --check '/sbin/e2fsck -fn'. Run it by a timer: it ends \
                with 0 only if every volume was restored and passed.
                """)

        struct Report: Encodable {
            struct Volume: Encodable {
                let name: String
                let byteCount: UInt64
                let restored: Bool
                /// Why not.
                let why: String?
                let check: ImageCheck.Report?

                var passed: Bool { restored && check?.passed ?? true }
            }
            let number: UInt64
            /// The last entry of the log that was in it.
            let index: UInt64
            /// In milliseconds since 1970: when the rehearsal began.
            let unixMilliseconds: UInt64
            let seconds: Double
            let passed: Bool
            let volumes: [Volume]
        }

        @OptionGroup var place: RepositoryOptions
        @OptionGroup var options: OutputOptions
        @OptionGroup var pace: PaceOptions
        @OptionGroup var telling: ProgressOptions
        @Argument(help: "The backup's number. Default: the newest.")
        var number: UInt64?
        @Flag(help: "As far as the log was shipped, instead of a backup.")
        var latest = false
        @Option(help: "One volume only.")
        var volume: String?
        @Option(
            help: "A directory with room for the largest volume; with --latest for all of them.")
        var scratch: String
        @Option(help: "What is run on each restored volume.")
        var check: String?
        @Option(help: "How long one check may take, in seconds.")
        var timeout: UInt64 = 3_600
        @Option(help: "A file that gets the report as JSON; it is gone where there is none.")
        var report: String?

        private var checkWords: [String] {
            check.map { $0.split(separator: " ").map(String.init) } ?? []
        }

        func validate() throws {
            guard number == nil || !latest else {
                throw ValidationError("Give a backup's NUMBER or --latest: one of them.")
            }
            guard check == nil || checkWords.first?.hasPrefix("/") ?? false else {
                throw ValidationError("--check begins with a program's whole path.")
            }
            guard (1...86_400).contains(timeout) else {
                throw ValidationError("--timeout is 1 to 86400 seconds.")
            }
        }

        func run() throws {
            let began = (wall: Date(), clock: ContinuousClock.now)
            // What an earlier one said must not be taken for what comes of this one.
            if let report { try? FileManager.default.removeItem(atPath: report) }
            let vault = try place.vault().paced(pace.rate)
            let progress = ProgressTeller("restoring", telling)
            defer { progress.end() }
            let folder = try ScratchFolder(in: scratch)
            let (number, index, volumes) =
                latest
                ? try rehearseLatest(vault, folder, progress)
                : try rehearseBackup(vault, folder, progress)
            progress.end()
            try folder.empty()
            guard !volumes.isEmpty else {
                throw Failure(
                    .refused,
                    "backup \(number) holds no volume\(volume.map { " \($0)" } ?? "s")")
            }
            let report = Report(
                number: number, index: index,
                unixMilliseconds: UInt64(max(began.wall.timeIntervalSince1970, 0) * 1_000),
                seconds: (ContinuousClock.now - began.clock) / .seconds(1),
                passed: volumes.allSatisfy(\.passed), volumes: volumes)
            try store(report)
            try options.show(report, Self.lines(report))
            guard report.passed else {
                let bad = volumes.filter { !$0.passed }.map(\.name)
                throw Failure(.refused, "the rehearsal failed: \(Words.list(bad))")
            }
        }

        /// Volume by volume: there need be room for one only.
        private func rehearseBackup(
            _ vault: Vault, _ folder: ScratchFolder, _ progress: ProgressTeller
        ) throws -> (UInt64, UInt64, [Report.Volume]) {
            let manifest = try RepositoryOptions.manifest(number, in: vault)
            let reader = try backed { () throws(BackupFailure) in
                try BackupReader(vault, threads: RepositoryOptions.threads)
            }
            var volumes: [Report.Volume] = []
            for each in manifest.volumes where volume.map({ $0 == each.name }) ?? true {
                let path = "\(folder.path)/\(each.name).raw"
                do throws(BackupFailure) {
                    try reader.checkRoom(for: [each], in: sink(folder))
                    let image = try ImageTarget(path, byteCount: each.map.shape.byteCount)
                    progress.begin(each.name, each.map, reader)
                    try reader.restore(each.map, to: Watched(image, progress.take))
                    try image.finish()
                    progress.take(.began("checking", in: .objects))
                    volumes.append(checked(each.name, each.map.shape.byteCount, path))
                } catch {
                    volumes.append(
                        Report.Volume(
                            name: each.name, byteCount: each.map.shape.byteCount, restored: false,
                            why: "\(error)", check: nil))
                }
                try folder.empty()
            }
            return (manifest.sequence, manifest.position.index.rawValue, volumes)
        }

        private func rehearseLatest(
            _ vault: Vault, _ folder: ScratchFolder, _ progress: ProgressTeller
        ) throws -> (UInt64, UInt64, [Report.Volume]) {
            let restore = MomentRestore(vault: vault, moment: .latest, sink: sink(folder))
            let done = try backed { () throws(BackupFailure) in
                let done = try restore.run(progress)
                for (_, target) in done.targets { try target.image.finish() }
                return done
            }
            let volumes = done.targets.map { _, target in
                checked(target.name, target.byteCount, target.path)
            }
            return (done.manifest.sequence, done.position.index.rawValue, volumes)
        }

        private func sink(_ folder: ScratchFolder) -> ImageSink {
            let path = folder.path
            return ImageSink(folder: path, remains: .deleted) { name in
                volume.map { $0 == name } ?? true ? "\(path)/\(name).raw" : nil
            }
        }

        private func checked(
            _ name: String, _ byteCount: UInt64, _ path: String
        ) -> Report.Volume {
            let check = check.map { _ in
                ImageCheck(words: checkWords, timeout: .seconds(timeout)).run(on: path)
            }
            return Report.Volume(
                name: name, byteCount: byteCount, restored: true, why: nil, check: check)
        }

        private func store(_ report: Report) throws {
            guard let path = self.report else { return }
            let text = try Format.json.text(of: Format.json(report))
            do { try Data(text.utf8).write(to: URL(filePath: path), options: .atomic) } catch {
                throw Failure(.refused, "cannot write the report to \(path): \(error)")
            }
        }

        private static func lines(_ report: Report) -> [Line] {
            report.volumes.map { volume in
                let size = Words.bytes(volume.byteCount)
                if let why = volume.why {
                    return Line("\(volume.name) is not restored: \(why)", .bad)
                }
                guard let check = volume.check else {
                    return Line("\(volume.name), \(size), is restored", .good)
                }
                return Line(
                    "\(volume.name), \(size), is restored; \(check.words[0]) \(check.outcome)",
                    check.passed ? .good : .bad)
            }
        }
    }
}
