internal import Backup
internal import Decisions
internal import Mesh
internal import Pacing
internal import Record
internal import Replay
internal import Repository
internal import Sealing
internal import VolumeCore
internal import Wire

/// A volume that is to be restored.
struct RestoredVolume: Hashable {
    let id: VolumeID
    let name: String
    let byteCount: UInt64
    let isSync: Bool
    /// The log made it: nothing of it is in the backup.
    let isNew: Bool

    init(_ volume: Manifest.Volume) {
        (id, name, isSync, isNew) = (volume.id, volume.name, volume.isSync, false)
        byteCount = volume.map.shape.byteCount
    }

    init(_ volume: Volume) {
        (id, name, byteCount) = (volume.id, volume.name, volume.byteCount)
        (isSync, isNew) = (volume.durability == .sync, true)
    }
}

/// Where one volume's bytes go.
protocol RestoreTarget: CellTarget {
    /// From here on zeros; of what was written before, too.
    func zero(_ range: Range<UInt64>) throws(BackupFailure)
    /// The volume is so long from here on, and what is added reads zero.
    mutating func grow(to byteCount: UInt64) throws(BackupFailure)
}

/// Where restored volumes go.
protocol RestoreSink {
    associatedtype Target: RestoreTarget
    /// Whether a volume of that name is to be restored.
    func wants(_ name: String) -> Bool
    /// What there is, and how much of it is needed besides the volumes' bytes: asked for before anything is made.
    func room() throws(BackupFailure) -> (room: Room, besides: UInt64)
    /// Room that is taken already by what an earlier restore of that volume left.
    func held(_ name: String) -> UInt64
    /// Nothing is made before this, and all else is known to be there.
    func begin() throws(BackupFailure)
    /// nil for one that is not wanted.
    func target(_ volume: RestoredVolume) throws(BackupFailure) -> Target?
    /// Whether `fill` reads all of a backup's bytes, or leaves them where they are.
    var copiesWhenFilled: Bool { get }
    /// Brings the target to what the backup says of it.
    func fill(
        _ target: Target, _ map: VolumeMap, _ reader: BackupReader, _ tell: @escaping WorkTeller
    ) throws(BackupFailure)
    /// The log deleted it.
    func drop(_ target: Target) throws(BackupFailure)
}

extension RestoreSink {
    func held(_ name: String) -> UInt64 { 0 }
    var copiesWhenFilled: Bool { true }

    func fill(
        _ target: Target, _ map: VolumeMap, _ reader: BackupReader, _ tell: @escaping WorkTeller
    ) throws(BackupFailure) { try reader.restore(map, to: Watched(target, tell)) }
}

extension BackupReader {
    /// Refuses where there is no room for these volumes, with how much is needed and how much is there.
    func checkRoom(
        for volumes: [Manifest.Volume], in sink: some RestoreSink
    ) throws(BackupFailure) {
        let wanted = volumes.filter { sink.wants($0.name) }
        let maps = wanted.map(\.map)
        let (free, besides) = try sink.room()
        let held = wanted.reduce(UInt64(0)) { $0 + sink.held($1.name) }
        let room = free.plus(held)
        guard let needed = try roomLacking(for: maps, besides: besides, in: room) else { return }
        throw .refused(
            "\(room.path) has room for \(Words.bytes(room.byteCount)), and at least "
                + "\(Words.bytes(needed)) are needed: nothing was written\n  Make room, or name another place."
        )
    }
}

/// Restores the newest backup before a moment, and replays the log onto it.
struct MomentRestore<Sink: RestoreSink> {
    struct Done {
        let manifest: Manifest
        let position: Position
        let time: WallTime
        let entries: UInt64
        /// Of data that was written, by the backup and by the log.
        let byteCount: UInt64
        /// What was decided there.
        let decisions: Decisions
        /// In the order of the volumes' ids.
        let targets: [(volume: VolumeID, target: Sink.Target)]
    }

    let vault: Vault
    let moment: RestoreMoment
    let sink: Sink

    /// All that the volumes hold is written, and not made durable yet.
    func run(_ progress: ProgressTeller) throws(BackupFailure) -> Done {
        let (manifest, epoch) = try ground()
        let archive = LogArchive(vault, cluster: manifest.cluster, group: manifest.group)
        if !moment.isReached(manifest.position) {
            let (last, time) = try end(archive, manifest)
            try check(last, time)
        }
        var stretches = try archive.stretches(
            behind: manifest.position, at: WallTime(manifest.time), epoch: epoch)
        let reader = try BackupReader(vault, threads: RepositoryOptions.threads)
        var replay = try replay(manifest, reader)
        try reader.checkRoom(for: manifest.volumes, in: sink)
        try sink.begin()
        if sink.copiesWhenFilled {
            progress.take(.began("restoring"))
            let maps = manifest.volumes.filter { sink.wants($0.name) }.map(\.map)
            progress.expect { try reader.storedByteCount(maps) }
        }
        var targets: [VolumeID: Sink.Target] = [:]
        for volume in manifest.volumes {
            guard let target = try sink.target(RestoredVolume(volume)) else { continue }
            try sink.fill(target, volume.map, reader, progress.take)
            targets[volume.id] = target
        }
        var byteCount = progress.byteCount
        progress.take(.began("replaying"))
        var (reached, entries) = (WallTime(manifest.time), UInt64(0))
        // What is behind the moment is not asked for: it may well be missing.
        replaying: while !moment.isReached(replay.position), let next = try stretches.next() {
            for entry in next {
                if moment.isReached(replay.position) || moment.isPassed(by: entry) {
                    break replaying
                }
                byteCount += try carryOut(try apply(entry, &replay), replay, &targets)
                (reached, entries) = (entry.time, entries + 1)
                progress.add(entry.bytes.count)
            }
        }
        return Done(
            manifest: manifest, position: replay.position, time: reached, entries: entries,
            byteCount: byteCount, decisions: replay.decisions,
            targets: targets.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }

    /// The newest backup that is not behind the moment. An index is of the mesh that made the newest of all; a time tells by
    /// itself of which, where one mesh followed another in this repository.
    private func ground() throws(BackupFailure) -> (Manifest, KeyEpoch) {
        let manifests = Manifests(vault)
        if case .backup(let number) = moment { return try backup(number, manifests) }
        let newest = try manifests.newest()?.manifest
        var first: Manifest?
        for number in try manifests.numbers().reversed() {
            let object = try manifests.manifest(number)
            let manifest = object.manifest
            let isNewest =
                manifest.cluster == newest?.cluster && manifest.group == newest?.group
            guard isNewest || moment.isTime else { continue }
            guard moment.isBefore(manifest) else { return (manifest, object.epoch) }
            first = manifest
        }
        guard let first else { throw .volume("the repository holds no backup to begin with") }
        throw .volume(
            "the first backup is as of entry \(first.position.index), \(Words.moment(first.time)): "
                + "nothing before it can be restored")
    }

    private func backup(
        _ number: UInt64?, _ manifests: Manifests
    ) throws(BackupFailure) -> (Manifest, KeyEpoch) {
        let numbers = try manifests.numbers()
        guard let last = numbers.last else {
            throw .volume("the repository holds no backup of this tenant")
        }
        guard let number else {
            guard let newest = try manifests.newest() else {
                throw .volume("the repository holds no backup of this tenant")
            }
            return (newest.manifest, newest.epoch)
        }
        guard numbers.contains(number) else {
            throw .volume(
                "there is no backup \(number): there are \(numbers.first ?? 0) to \(last)")
        }
        let object = try manifests.manifest(number)
        return (object.manifest, object.epoch)
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
            case .latest, .backup: false
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

    /// How many bytes of data were written for it.
    private func carryOut(
        _ deed: Replay.Deed?, _ replay: Replay, _ targets: inout [VolumeID: Sink.Target]
    ) throws(BackupFailure) -> UInt64 {
        switch deed {
        case nil: break
        case .write(let volume, let offset, let data):
            guard let target = targets[volume] else { break }
            try target.write(Array(data), at: offset)
            return UInt64(data.count)
        case .zero(let volume, let range): try targets[volume]?.zero(range)
        case .grow(let volume, let byteCount): try targets[volume]?.grow(to: byteCount)
        case .delete(let volume):
            if let target = targets.removeValue(forKey: volume) { try sink.drop(target) }
        case .create(let id):
            guard let volume = replay.decisions.volumes.first(where: { $0.id == id }) else {
                break
            }
            targets[id] = try sink.target(RestoredVolume(volume))
        }
        return 0
    }
}
