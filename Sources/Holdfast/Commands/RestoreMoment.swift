internal import ArgumentParser
internal import Backup
internal import Decisions
internal import FoundationEssentials
internal import Mesh
internal import Record
internal import Replay
internal import Repository
internal import Sealing
internal import VolumeCore
internal import Wire

/// A moment between backups, which the archived log leads to.
enum RestoreMoment: Equatable {
    case index(LogIndex)
    /// All entries of up to that time, by the clocks of the leaders.
    case time(WallTime)
    /// As far as the archived log goes.
    case latest

    /// Whether an entry of that place and time is behind it.
    func isPassed(by entry: Entry) -> Bool {
        switch self {
        case .index(let index): entry.index > index
        case .time(let time): entry.time > time
        case .latest: false
        }
    }

    /// Whether no entry behind that one can be in it.
    func isReached(_ position: Position) -> Bool {
        if case .index(let index) = self { position.index >= index } else { false }
    }

    func isBefore(_ manifest: Manifest) -> Bool {
        switch self {
        case .index(let index): manifest.position.index > index
        case .time(let time): WallTime(manifest.time) > time
        case .latest: false
        }
    }
}

/// As in `2026-11-30T08:15:00Z`, with a fraction of a second and another zone if need be: a time without a zone is nobody's.
struct UTCTime: ExpressibleByArgument, Equatable {
    let wall: WallTime

    init?(argument: String) {
        // The library's parser passes over what it does not understand, and takes the 31st of February.
        let shape = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)/
        guard let match = argument.wholeMatch(of: shape) else { return nil }
        let style = Date.ISO8601FormatStyle()
        let day = match.1.prefix(10)
        guard let asUTC = try? style.parse(String(match.1) + "Z"),
            asUTC.formatted(style).hasPrefix(day),
            let date = try? style.parse(String(match.1) + String(match.3)),
            date.timeIntervalSince1970 >= 0, date.timeIntervalSince1970 < 0x2_0000_0000
        else { return nil }
        let fraction = (match.2.map(String.init) ?? "") + String(repeating: "0", count: 9)
        wall = WallTime(
            UInt64(date.timeIntervalSince1970) * 1_000_000_000
                + (UInt64(fraction.prefix(9)) ?? 0))
    }
}

/// Restores the newest backup before a moment, and replays the log onto it.
struct MomentRestore {
    struct Image {
        let name: String
        let path: String
        var byteCount: UInt64
        let target: ImageTarget
    }
    struct Done {
        let manifest: Manifest
        let position: Position
        let time: WallTime
        let entries: UInt64
        let images: [Image]
    }

    let vault: Vault
    let moment: RestoreMoment
    /// Where the image of a volume of that name goes; nil for one that is not wanted.
    let path: (String) -> String?

    /// The images are whole, and have no names yet.
    func run(_ progress: (Int) -> Void) throws(BackupFailure) -> Done {
        let (manifest, epoch) = try ground()
        let archive = LogArchive(vault, cluster: manifest.cluster, group: manifest.group)
        let (last, time) = try end(archive, manifest)
        try check(last, time)
        var stretches = try archive.stretches(
            behind: manifest.position, at: WallTime(manifest.time), epoch: epoch)
        let reader = try BackupReader(vault, threads: RepositoryOptions.threads)
        var replay = try replay(manifest, reader)
        var images: [VolumeID: Image] = [:]
        for volume in manifest.volumes {
            guard let image = try image(volume.name, volume.map.shape.byteCount) else { continue }
            try reader.restore(volume.map, to: image.target)
            images[volume.id] = image
        }
        var (reached, entries) = (WallTime(manifest.time), UInt64(0))
        // What is behind the moment is not asked for: it may well be missing.
        replaying: while !moment.isReached(replay.position), let next = try stretches.next() {
            for entry in next {
                if moment.isReached(replay.position) || moment.isPassed(by: entry) {
                    break replaying
                }
                try carryOut(try apply(entry, &replay), replay, &images)
                (reached, entries) = (entry.time, entries + 1)
                progress(entry.bytes.count)
            }
        }
        return Done(
            manifest: manifest, position: replay.position, time: reached, entries: entries,
            images: images.sorted { $0.key < $1.key }.map(\.value))
    }

    /// The newest backup that is not behind the moment, of the mesh that made the newest of all.
    private func ground() throws(BackupFailure) -> (Manifest, KeyEpoch) {
        let manifests = Manifests(vault)
        let newest = try manifests.newest()?.manifest
        var first: Manifest?
        for number in try manifests.numbers().reversed() {
            let object = try manifests.manifest(number)
            let manifest = object.manifest
            guard manifest.cluster == newest?.cluster, manifest.group == newest?.group else {
                continue
            }
            guard moment.isBefore(manifest) else { return (manifest, object.epoch) }
            first = manifest
        }
        guard let first else { throw .volume("the repository holds no backup to begin with") }
        throw .volume(
            "the first backup is as of entry \(first.position.index), \(Words.moment(first.time)): "
                + "nothing before it can be restored")
    }

    private func end(
        _ archive: LogArchive, _ manifest: Manifest
    ) throws(BackupFailure) -> (LogIndex, WallTime) {
        let (index, time) = (manifest.position.index, WallTime(manifest.time))
        guard let end = try archive.end(), end.last.index > index else { return (index, time) }
        return (end.last.index, end.time)
    }

    /// Of what was not shipped nobody can say what it held.
    private func check(_ last: LogIndex, _ time: WallTime) throws(BackupFailure) {
        let isBehind =
            switch moment {
            case .index(let index): index > last
            case .time(let wanted): wanted > time
            case .latest: false
            }
        guard isBehind else { return }
        throw .volume(
            "the repository holds the log through entry \(last), \(Words.moment(time.rawValue)), and nothing "
                + "behind it: ask for --latest, or for a moment before")
    }

    private func replay(
        _ manifest: Manifest, _ reader: BackupReader
    ) throws(BackupFailure) -> Replay {
        let state = try reader.bytes(manifest.state)
        let decisions: Decisions
        do { decisions = try Decisions(parsing: state) } catch {
            throw .volume("what was decided there can't be read: \(error)")
        }
        guard decisions.level <= .spoken else {
            throw .volume(
                "the mesh spoke feature level \(decisions.level) there, and this release only "
                    + "\(FeatureLevel.spoken): restore with a newer release")
        }
        guard decisions.appliedIndex == manifest.position.index else {
            throw .volume(
                "what was decided there is as of entry \(decisions.appliedIndex), the backup as of "
                    + "\(manifest.position.index)")
        }
        let volumes = manifest.volumes.map { volume in
            (
                volume.id,
                Replay.Volume(
                    name: volume.name, byteCount: volume.map.shape.byteCount,
                    generation: ExportGeneration(volume.lastWrite.generation),
                    number: volume.lastWrite.number)
            )
        }
        return Replay(
            behind: manifest.position, decisions, Dictionary(uniqueKeysWithValues: volumes))
    }

    private func apply(
        _ entry: Entry, _ replay: inout Replay
    ) throws(BackupFailure) -> Replay.Deed? {
        do throws(ReplayRefused) { return try replay.apply(entry) } catch {
            throw .volume("\(error)")
        }
    }

    private func carryOut(
        _ deed: Replay.Deed?, _ replay: Replay, _ images: inout [VolumeID: Image]
    ) throws(BackupFailure) {
        switch deed {
        case nil: break
        case .write(let volume, let offset, let data):
            try images[volume]?.target.write(Array(data), at: offset)
        case .zero(let volume, let range): try images[volume]?.target.zero(range)
        case .delete(let volume): images[volume] = nil
        case .grow(let volume, let byteCount):
            try images[volume]?.target.grow(to: byteCount)
            images[volume]?.byteCount = byteCount
        case .create(let id):
            guard let volume = replay.volumes[id] else { return }
            images[id] = try image(volume.name, volume.byteCount)
        }
    }

    private func image(_ name: String, _ byteCount: UInt64) throws(BackupFailure) -> Image? {
        guard let path = path(name) else { return nil }
        return Image(
            name: name, path: path, byteCount: byteCount,
            target: try ImageTarget(path, byteCount: byteCount))
    }
}
