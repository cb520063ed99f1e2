internal import ArgumentParser
internal import Backup
internal import Glibc
internal import Mesh
internal import Mounts
internal import Pacing
internal import Repository

extension BackupCommand {
    struct MountCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "mount",
            abstract: "Serves a volume of a backup, or of a moment, over NBD without restoring it.",
            discussion: """
                It can be read at once, and cells come from the repository as they are asked for. What is written is seen by all \
                clients, lies in a file without a name, and is gone when this command ends: by Ctrl-C or SIGTERM. The repository \
                is never written to. What can't be read of it is an I/O error there, and named on standard error.

                Of a moment the log is replayed first; what it wrote lies in the same file. Let the backup be held \
                (`holdfast backup hold`) where prunes may run meanwhile.
                """)

        @OptionGroup var place: RepositoryOptions
        @OptionGroup var options: OutputOptions
        @OptionGroup var wantedMoment: MomentOptions
        @OptionGroup var pace: PaceOptions
        @OptionGroup var telling: ProgressOptions
        @Option(help: "Which one.") var volume: String
        @OptionGroup var serving: ServingOptions

        func run() async throws {
            let claim = try serving.claim()
            defer { withExtendedLifetime(claim) {} }
            let vault = try place.vault().paced(pace.rate)
            let past = try wantedMoment.isBackup ? backup(vault) : moment(vault)
            let told = MountWords(
                past, volume: volume, socket: serving.listen, readOnly: serving.readOnly)
            try await serving.serve(past.volume, as: volume, threads: RepositoryOptions.threads) {
                try options.show(told, told.lines)
            }
        }

        private func backup(_ vault: Vault) throws -> MountedPast {
            let manifest = try RepositoryOptions.manifest(wantedMoment.number, in: vault)
            let names = manifest.volumes.map(\.name)
            guard let found = manifest.volumes.first(where: { $0.name == volume }) else {
                throw Failure(
                    .refused,
                    "backup \(manifest.sequence) holds no volume \(volume)\n  It holds "
                        + (names.isEmpty ? "none." : "\(Words.list(names))."))
            }
            let reader = try backed { () throws(BackupFailure) in
                try BackupReader(vault, threads: RepositoryOptions.threads)
            }
            let view = VolumeView(found.map, reader)
            let mounted = try mounted { () throws(MountFailure) in
                try MountedVolume(
                    view, byteCount: view.shape.byteCount, overlayIn: serving.overlayFolder)
            }
            return MountedPast(
                volume: mounted, number: manifest.sequence,
                index: manifest.position.index.rawValue, replayed: 0)
        }

        /// What the log wrote lies in the overlay, below what clients write.
        private func moment(_ vault: Vault) throws -> MountedPast {
            let progress = ProgressTeller("opening", telling)
            defer { progress.end() }
            let restore = MomentRestore(
                vault: vault, moment: wantedMoment.moment,
                sink: MountSink(volume: volume, overlay: serving.overlay))
            let done = try backed { () throws(BackupFailure) in
                try restore.run(progress)
            }
            progress.end()
            guard let target = done.targets.first?.target else {
                throw Failure(
                    .refused,
                    "there was no volume \(volume) then: entry \(done.position.index)")
            }
            return MountedPast(
                volume: target.mounted, number: done.manifest.sequence,
                index: done.position.index.rawValue, replayed: done.entries)
        }
    }
}

/// What a mount's clients meet, and from when it is.
struct MountedPast {
    let volume: MountedVolume
    let number: UInt64
    let index: UInt64
    let replayed: UInt64
}

/// What a mount says when clients can come.
struct MountWords: Encodable {
    let number: UInt64
    /// The last entry of the log that is in it.
    let index: UInt64
    /// How many entries were replayed onto the backup.
    let replayed: UInt64
    let volume: String
    let byteCount: UInt64
    let readOnly: Bool
    let socket: String
    let uri: String

    init(_ past: MountedPast, volume: String, socket: String, readOnly: Bool) {
        (number, index, replayed) = (past.number, past.index, past.replayed)
        (self.volume, self.socket, self.readOnly) = (volume, socket, readOnly)
        byteCount = past.volume.byteCount
        uri = "nbd+unix:///\(volume)?socket=\(socket)"
    }

    var lines: [Line] {
        let fate = readOnly ? "read-only" : "what is written is thrown away at the end"
        return [
            Line("\(volume) as of entry \(index), \(Words.bytes(byteCount)), \(fate):", .good),
            Line("  \(uri)"),
        ]
    }
}

/// One volume that lies below what the log wrote to it.
struct MountSink: RestoreSink {
    struct Target: RestoreTarget {
        let mounted: MountedVolume

        func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
            do { try mounted.write(bytes, at: offset) } catch { throw error.asBackupFailure }
        }
        func zero(_ range: Range<UInt64>) throws(BackupFailure) {
            do { try mounted.zero(range) } catch { throw error.asBackupFailure }
        }
        func grow(to byteCount: UInt64) { mounted.grow(to: byteCount) }
    }

    let volume: String
    let overlay: String

    var copiesWhenFilled: Bool { false }

    func wants(_ name: String) -> Bool { name == volume }
    /// What the log wrote is all that takes room, and each write asks for it.
    func room() -> (room: Room, besides: UInt64) { (Room(.max, in: overlay), 0) }
    func begin() {}
    func drop(_ target: Target) {}

    func target(_ volume: RestoredVolume) throws(BackupFailure) -> Target? {
        guard wants(volume.name) else { return nil }
        do {
            return Target(
                mounted: try MountedVolume(byteCount: volume.byteCount, overlayIn: overlay))
        } catch { throw error.asBackupFailure }
    }

    func fill(
        _ target: Target, _ map: VolumeMap, _ reader: BackupReader, _ tell: @escaping WorkTeller
    ) {
        target.mounted.rest(on: VolumeView(map, reader))
    }
}

extension MountFailure {
    fileprivate var asBackupFailure: BackupFailure {
        if case .below(let failure) = self { failure } else { .volume("\(self)") }
    }
}
