internal import ArgumentParser
internal import Backup
internal import Glibc
internal import Mesh
internal import NIOConcurrencyHelpers
internal import Pacing
internal import Repository

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract:
            "Brings volumes back from a repository into raw images, or a whole mesh; no agent has to run.",
        discussion: """
            An image gets its name once all of it is checked and on the disk; until then it is NAME.holdfast-partial. The \
            same command again goes on from what a restore that ended early left: what of it is right is kept, whatever it was \
            of. Nothing is written over but with --replace, and then only when all is there. Where the mesh ships its log, any \
            moment since the first backup that is kept can be had: the log is replayed from the newest backup before it.

            --cluster fills the data directory of a data member of a new mesh instead of images, with all volumes and what \
            was decided (docs/backups.md, "When everything is gone").
            """)

    struct Restored: Encodable {
        struct Image: Encodable {
            let volume: String
            let path: String
            let byteCount: UInt64
        }
        let number: UInt64
        /// The last entry of the log that is in it.
        let index: UInt64
        /// How many entries were replayed onto the backup.
        let replayed: UInt64
        let images: [Image]
        /// Of data; holes and zeros are not written.
        let bytes: UInt64
        /// Of data that an earlier restore had left, and that was right.
        let kept: UInt64
    }

    @ParentCommand var root: Holdfast
    @OptionGroup var place: RepositoryOptions
    @OptionGroup var options: OutputOptions
    @OptionGroup var wantedMoment: MomentOptions
    @OptionGroup var pace: PaceOptions
    @OptionGroup var telling: ProgressOptions
    @Option(help: "One volume; then --to names its image.")
    var volume: String?
    @Option(
        help: "These bytes of the volume and no others, as in 1G+64K: from where on, and how many.")
    var range: ByteRange?
    @Option(help: "With --volume the image, else a directory that gets one of each: NAME.raw.")
    var to: String?
    @Flag(help: "Images that are there are replaced, each once the new one is whole.")
    var replace = false
    @Option(
        help: "The file of a node of a new mesh, whose data directory gets all there is.")
    var cluster: String?
    @Option(
        help: "With --cluster what the member has to begin with, as the one before it said.")
    var expect: String?

    @Option(
        help:
            "With --volume the name of a new volume of the mesh that runs; asked of its primary.")
    var into: String?

    func validate() throws {
        guard [to, cluster, into].count(where: { $0 != nil }) == 1 else {
            throw ValidationError(
                "Give --to PLACE for images, --into NAME for a volume of the mesh that runs, or --cluster "
                    + "FILE for a new mesh.")
        }
        guard into == nil || volume != nil else {
            throw ValidationError("Say with --volume which one goes --into another.")
        }
        guard cluster != nil || expect == nil else {
            throw ValidationError("--expect is of members of a mesh: give --cluster FILE.")
        }
        guard !replace || to != nil else {
            throw ValidationError("--replace is of images: give --to PLACE.")
        }
        guard !replace || range == nil else {
            throw ValidationError(
                "--range makes a file of those bytes alone: it replaces no image. Name another place."
            )
        }
        guard cluster == nil || volume == nil else {
            throw ValidationError("A mesh is restored whole: leave out --volume.")
        }
        guard range == nil || volume != nil && to != nil && wantedMoment.isBackup else {
            throw ValidationError(
                "--range is of one --volume of a backup, and goes --to a file; for a moment mount it, and read there."
            )
        }
    }

    private var sink: ImageSink {
        let to = to ?? ""
        let above = to.lastIndex(of: "/").map { $0 == to.startIndex ? "/" : String(to[..<$0]) }
        return ImageSink(
            folder: volume == nil ? to : above ?? ".", existing: replace ? .replaced : .refused,
            remains: .kept
        ) { [volume] name in volume.map { $0 == name ? to : nil } ?? "\(to)/\(name).raw" }
    }

    func run() async throws {
        let vault = try place.vault().paced(pace.rate)
        let progress = ProgressTeller("restoring", telling)
        defer { progress.end() }
        if let into, let volume {
            let restore = LiveRestore(
                vault: vault, moment: wantedMoment.moment, volume: volume, into: into,
                client: root.client, progress: progress)
            return try await restore.run(options)
        }
        if let cluster {
            let restore = MeshRestore(
                vault: vault, moment: wantedMoment.moment, config: cluster, expected: expect,
                progress: progress)
            return try restore.run(options)
        }
        if !wantedMoment.isBackup { return try restore(vault, progress) }
        let manifest = try RepositoryOptions.manifest(wantedMoment.number, in: vault)
        let wanted = try wanted(manifest)
        progress.name("backup \(manifest.sequence)")
        // All of them are refused before the first is written.
        try refuseExisting(wanted)
        if let range {
            let restore = RangeRestore(
                vault: vault, manifest: manifest, range: range, sink: sink, progress: progress)
            return try restore.run(wanted[0].volume, to: wanted[0].path, options)
        }
        let reader = try backed { () throws(BackupFailure) in
            try BackupReader(vault, threads: RepositoryOptions.threads)
        }
        try backed { () throws(BackupFailure) in
            try reader.checkRoom(for: wanted.map(\.volume), in: sink)
        }
        progress.expect { try reader.storedByteCount(wanted.map(\.volume.map)) }
        let kept = NIOLockedValueBox(UInt64(0))
        let damage = Damaged.volumes(wanted.map(\.volume)) { at throws(BackupFailure) in
            let (volume, path) = wanted[at]
            let image = try sink.image(path, byteCount: volume.map.shape.byteCount)
            let held = try reader.complete(volume.map, in: Watched(image, progress.take)) {
                progress.take(.kept($0))
            }
            try image.finish()
            kept.withLockedValue { $0 += held }
        }
        progress.end()
        try Damaged.refuse(
            damage, of: wanted.count, "is not restored", ImageSink.remains(of: wanted.map(\.path)))
        let images = wanted.map { volume, path in
            Restored.Image(
                volume: volume.name, path: path, byteCount: volume.map.shape.byteCount)
        }
        try options.show(
            Restored(
                number: manifest.sequence, index: manifest.position.index.rawValue, replayed: 0,
                images: images, bytes: progress.byteCount, kept: kept.withLockedValue { $0 }),
            images.map {
                Line("\($0.volume) of backup \(manifest.sequence) is in \($0.path)", .good)
            } + Self.lines(kept: kept.withLockedValue { $0 }))
    }

    private func restore(_ vault: Vault, _ progress: ProgressTeller) throws {
        let sink = sink
        let restore = MomentRestore(vault: vault, moment: wantedMoment.moment, sink: sink)
        let done = try kept(sink) { () throws(BackupFailure) in
            let done = try restore.run(progress)
            guard !done.targets.isEmpty else {
                throw .volume(
                    "there was no volume\(volume.map { " \($0)" } ?? "") then: entry \(done.position.index)"
                )
            }
            for (_, target) in done.targets { try target.image.finish() }
            return done
        }
        progress.end()
        let images = done.targets.map { _, target in
            Restored.Image(
                volume: target.name, path: target.path, byteCount: target.byteCount)
        }
        let place = "entry \(done.position.index), \(Words.moment(done.time.rawValue))"
        try options.show(
            Restored(
                number: done.manifest.sequence, index: done.position.index.rawValue,
                replayed: done.entries, images: images, bytes: done.byteCount,
                kept: sink.kept),
            images.map { Line("\($0.volume) as of \(place) is in \($0.path)", .good) }
                + Self.lines(kept: sink.kept))
    }

    /// A failure says where to go on from.
    private func kept<Value>(
        _ sink: ImageSink, _ deed: () throws(BackupFailure) -> Value
    ) throws(Failure) -> Value {
        do throws(BackupFailure) { return try deed() } catch {
            throw Failure(.refused, "\(error)\(ImageSink.remains(of: sink.begun))")
        }
    }

    private static func lines(kept: UInt64) -> [Line] {
        kept == 0
            ? [] : [Line("\(Words.bytes(kept)) were there from a restore that ended early", .good)]
    }

    private func wanted(
        _ manifest: Manifest
    ) throws(Failure) -> [(volume: Manifest.Volume, path: String)] {
        let to = to ?? ""
        guard let name = volume else {
            guard !manifest.volumes.isEmpty else {
                throw Failure(.refused, "backup \(manifest.sequence) holds no volumes")
            }
            return manifest.volumes.map { ($0, "\(to)/\($0.name).raw") }
        }
        guard let found = manifest.volumes.first(where: { $0.name == name }) else {
            let known = manifest.volumes.map(\.name)
            throw Failure(
                .refused,
                "backup \(manifest.sequence) holds no volume \(name)\n  It holds "
                    + (known.isEmpty ? "none." : "\(Words.list(known))."))
        }
        return [(found, to)]
    }

    private func refuseExisting(_ wanted: [(volume: Manifest.Volume, path: String)]) throws(Failure)
    {
        for (_, path) in wanted {
            guard !replace else {
                try backed { () throws(BackupFailure) in try ImageTarget.checkReplacing(path) }
                continue
            }
            // A link that leads nowhere is there too.
            guard unsafe faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0 else {
                throw Failure(
                    .refused,
                    "\(path) is there already: nothing is restored over it\n  Name another place, "
                        + "move it away, or give --replace.")
            }
        }
    }
}

/// Volumes of a backup that can't be had; the others are not given up for them.
enum Damaged {
    /// What `read` says of each volume that it fails with.
    static func volumes(
        _ volumes: [Manifest.Volume], _ read: (Int) throws(BackupFailure) -> Void
    ) -> [(volume: String, why: BackupFailure)] {
        volumes.indices.compactMap { at in
            do throws(BackupFailure) {
                try read(at)
                return nil
            } catch { return (volumes[at].name, error) }
        }
    }

    static func refuse(
        _ damage: [(volume: String, why: BackupFailure)], of count: Int, _ what: String,
        _ rest: String = ""
    ) throws(Failure) {
        guard !damage.isEmpty else { return }
        let words = damage.map { "volume \($0.volume) \(what): \($0.why)" }
        let others = count - damage.count
        let whole = others == 1 ? "\n  The other one is whole." : "\n  The others are whole."
        throw Failure(.refused, words.joined(separator: "\n") + (others > 0 ? whole : "") + rest)
    }
}
