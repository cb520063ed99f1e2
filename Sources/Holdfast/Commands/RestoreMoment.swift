internal import ArgumentParser
internal import Backup
internal import Decisions
internal import FoundationEssentials
internal import Mesh
internal import Record
internal import Replay
internal import Repository
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
        let styles = [
            Date.ISO8601FormatStyle(includingFractionalSeconds: false),
            Date.ISO8601FormatStyle(includingFractionalSeconds: true),
        ]
        guard let date = styles.lazy.compactMap({ try? $0.parse(argument) }).first,
            date.timeIntervalSince1970 >= 0, date.timeIntervalSince1970 < 0x2_0000_0000
        else { return nil }
        // To the microsecond: what a double tells of a time in this century.
        wall = WallTime(UInt64((date.timeIntervalSince1970 * 1e6).rounded()) * 1_000)
    }
}

/// Restores the newest backup before a moment, and replays the log onto it.
struct MomentRestore {
    struct Image {
        let name: String
        let path: String
        let byteCount: UInt64
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
        let manifest = try ground()
        let archive = LogArchive(vault, cluster: manifest.cluster, group: manifest.group)
        let (last, time) = try end(archive, manifest)
        try check(last, time)
        var stretches = try archive.stretches(behind: manifest.position)
        let reader = try BackupReader(vault, threads: RepositoryOptions.threads)
        var replay = try replay(manifest, reader)
        var images: [VolumeID: Image] = [:]
        for volume in manifest.volumes {
            guard let image = try image(volume.name, volume.map.shape.byteCount) else { continue }
            try reader.restore(volume.map, to: image.target)
            images[volume.id] = image
        }
        var (reached, entries) = (WallTime(manifest.time), UInt64(0))
        replaying: while let next = try stretches.next() {
            for entry in next {
                if moment.isPassed(by: entry) { break replaying }
                try carryOut(try apply(entry, &replay), replay, &images)
                (reached, entries) = (entry.time, entries + 1)
                progress(entry.bytes.count)
            }
        }
        return Done(
            manifest: manifest, position: replay.position, time: reached, entries: entries,
            images: images.sorted { $0.key < $1.key }.map(\.value))
    }

    /// The newest backup that is not behind the moment.
    private func ground() throws(BackupFailure) -> Manifest {
        let manifests = Manifests(vault)
        var first: Manifest?
        for number in try manifests.numbers().reversed() {
            let manifest = try manifests.manifest(number).manifest
            guard moment.isBefore(manifest) else { return manifest }
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
