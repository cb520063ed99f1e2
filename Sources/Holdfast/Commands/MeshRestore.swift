internal import Admin
internal import Backup
internal import Decisions
internal import Glibc
internal import JournalCore
internal import Launch
internal import Mesh
internal import NIOConcurrencyHelpers
internal import Record
internal import Repository
internal import Revival
internal import Sealing
internal import Settings
internal import Store
internal import VolumeCore
internal import Wire

/// `restore --cluster`: a data member of a new mesh, made from nothing but a repository (ADR 17).
struct MeshRestore {
    /// What was made, for a program.
    struct Made: Encodable {
        struct Restored: Encodable {
            let name: String
            let byteCount: UInt64
        }
        let data: String
        let node: UInt64
        let region: String
        let store: String?
        /// The backup it began with, and the last entry that is in it.
        let number: UInt64
        let index: UInt64
        let replayed: UInt64
        /// The first primary's is the next one.
        let epoch: UInt64
        let volumes: [Restored]
        /// Of whose log it is.
        let of: String
        /// Of what the member begins with: to be given to the others as --expect.
        let beginning: String
    }

    let vault: Vault
    let moment: RestoreMoment
    /// The new node's file.
    let config: String
    /// What the member has to begin with, as the first one that was restored said.
    let expected: String?
    let progress: ProgressTeller

    func run(_ options: OutputOptions) throws {
        let settings = try ConfigFile.agent(config)
        try check(settings)
        let directory = StoreDirectory(
            settings.node.data, of: settings.member.id, in: settings.cluster.cluster,
            members: settings.cluster.roles, config: config)
        let sink = RevivalSink(directory)
        let restore = MomentRestore(vault: vault, moment: moment, sink: sink)
        let (done, epoch) = try backed { () throws(BackupFailure) in
            try history().refuse(settings.cluster.cluster)
            let done = try restore.run(progress)
            try sink.check(done.decisions)
            return (done, try history().epoch(above: done.decisions.tenure.epoch))
        }
        let decisions = try refounded(done.decisions, settings.cluster, epoch)
        let beginning = RevivedStore.Beginning(
            position: done.position, membership: settings.cluster.membership,
            decisions: decisions.encoded)
        try confirm(beginning.digest.description, done)
        let identity = try sink.finish(beginning)
        progress.end()
        let made = Made(
            data: directory.path, node: settings.member.id.rawValue,
            region: settings.member.region.text, store: identity.store?.description,
            number: done.manifest.sequence, index: done.position.index.rawValue,
            replayed: done.entries, epoch: epoch.rawValue,
            volumes: decisions.volumes.map {
                Made.Restored(name: $0.name, byteCount: $0.byteCount)
            }, of: "\(done.manifest.cluster)", beginning: beginning.digest.description)
        try options.show(made, lines(made, of: done.time))
    }

    private func check(_ settings: AgentSettings) throws(Failure) {
        guard settings.member.role == .data else {
            throw Failure(
                .refused,
                "node \(settings.member.id) is a witness, which holds no volumes\n"
                    + "  Nothing is restored there: holdfast init --config \(config)")
        }
        guard !settings.node.founding else {
            throw Failure(
                .refused,
                "\(config) says that node \(settings.member.id) founds its mesh\n  Put `founding: false` into the "
                    + "file of every node: what is restored is not begun with, and nodes that were only made with "
                    + "init must not begin an empty mesh.")
        }
        guard settings.cluster.witnesses.count <= 1 else {
            throw Failure(
                .refused,
                "\(settings.node.cluster) names two witnesses, and a mesh begins with at most one\n"
                    + "  Take one of them out.")
        }
    }

    /// Two members that begin at one place of the log with different members or decisions would vote together, and differ for good.
    private func confirm(
        _ beginning: String, _ done: MomentRestore<RevivalSink>.Done
    ) throws(Failure) {
        guard let expected, expected != beginning else { return }
        throw Failure(
            .refused,
            "this member would begin otherwise than the one that said --expect \(expected): it is "
                + "\(beginning), at entry \(done.position.index) of mesh \(done.manifest.cluster)\n"
                + "  Give both the same cluster file and the same moment, with no backup made in between; "
                + "then ask again: it begins anew.")
    }

    private func history() throws(BackupFailure) -> MeshHistory { try MeshHistory(vault) }

    private func refounded(
        _ decisions: Decisions, _ cluster: ClusterSettings, _ epoch: Epoch
    ) throws(Failure) -> Decisions {
        func seat(_ member: Member) -> Decisions.Seat {
            Decisions.Seat(node: member.id, region: member.region)
        }
        guard let first = cluster.order.first else {
            throw Failure(.refused, "the mesh has no data member: name some in its cluster file")
        }
        return decisions.refounded(
            by: cluster.dataMembers.map(seat), first: first,
            witness: cluster.witness.map(seat), epoch: epoch)
    }

    private func lines(_ made: Made, of time: WallTime) -> [Line] {
        let behind = made.replayed > 0 ? " and \(made.replayed) entries of the log behind it" : ""
        let others =
            (made.replayed > 0 ? "--at-index \(made.index)" : "\(made.number)")
            + " --expect \(made.beginning)"
        return [
            Line(
                "made \(made.data) for node \(made.node) in \(made.region): "
                    + "\(counted(made.volumes.count, "volume")) as of entry \(made.index), "
                    + "\(Words.moment(time.rawValue)), of backup \(made.number) of mesh \(made.of)\(behind)",
                .good),
            Line("next: the same on the other data members, with \(others); then start them all"),
            Line("next: holdfast-agent --config \(config)"),
        ]
    }
}

/// Which meshes a repository knows.
private struct MeshHistory {
    private let meshes: [ClusterID: Set<GroupID>]
    private let newest: Epoch
    private let vault: Vault

    /// A manifest that is damaged tells nothing: what it would have said is less than what the new epochs are apart. One that
    /// can't be had ends it, or members that are restored one after the other would begin with different epochs.
    init(_ vault: Vault) throws(BackupFailure) {
        let manifests = Manifests(vault)
        var (meshes, newest) = ([ClusterID: Set<GroupID>](), Epoch.zero)
        for number in try manifests.numbers() {
            let manifest: Manifest
            do throws(BackupFailure) { manifest = try manifests.manifest(number).manifest } catch {
                guard case .damaged = error else { throw error }
                continue
            }
            meshes[manifest.cluster, default: []].insert(manifest.group)
            newest = max(newest, manifest.epoch)
        }
        (self.meshes, self.newest, self.vault) = (meshes, newest, vault)
    }

    /// Nodes of one mesh trust each other, and its backups follow each other: no other mesh may have its name.
    func refuse(_ cluster: ClusterID) throws(BackupFailure) {
        let log = LogArchive(vault, cluster: cluster, group: GroupID(1))
        // A mesh ships its log before its first backup.
        guard meshes[cluster] == nil, try log.firsts().isEmpty else {
            throw .refused(
                "mesh \(cluster) has backups or a log in this repository\n  The new mesh has to be another one: give its "
                    + "cluster file an id of its own, and its nodes certificates of a new authority."
            )
        }
    }

    /// Above every epoch that the repository has seen, and far from those that it has not.
    func epoch(above epoch: Epoch) throws(BackupFailure) -> Epoch {
        var newest = max(newest, epoch)
        for (cluster, groups) in meshes {
            for group in groups {
                let archive = LogArchive(vault, cluster: cluster, group: group)
                guard let first = try archive.firsts().last else { continue }
                let entries: [Entry]
                do throws(BackupFailure) {
                    let stretch = try archive.stretch(first)
                    do throws(ObjectDamage) { entries = try stretch.entries() } catch { continue }
                } catch {
                    guard case .damaged = error else { throw error }
                    continue
                }
                newest = entries.reduce(newest) { max($0, $1.epoch) }
            }
        }
        guard let next = Decisions.refoundingEpoch(above: newest) else {
            throw .refused("no epoch is left above \(newest)")
        }
        return next
    }
}

/// A node's data directory as what a restore fills.
private final class RevivalSink: RestoreSink {
    struct Target: RestoreTarget {
        let id: VolumeID
        let store: RevivedStore

        func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
            try store.write(bytes, at: offset, of: id)
        }
        func zero(_ range: Range<UInt64>) throws(BackupFailure) { try store.zero(range, of: id) }
        func grow(to byteCount: UInt64) throws(BackupFailure) {
            try store.grow(id, to: byteCount)
        }
    }

    private let directory: StoreDirectory
    private let made = NIOLockedValueBox<RevivedStore?>(nil)

    init(_ directory: StoreDirectory) { self.directory = directory }

    func wants(_ name: String) -> Bool { true }

    func room() throws(BackupFailure) -> (room: Room, besides: UInt64) {
        let path = directory.path
        // The nearest one that is there; the volumes may have a disk of their own.
        let places = ["\(path)/\(StoreDirectory.volumes)", path, directory.parent]
        let place = places.first { unsafe access($0, F_OK) == 0 } ?? path
        return (try Room(in: place), RoomWatch.reserveBytes)
    }

    func begin() throws(BackupFailure) {
        do {
            let store = try RevivedStore(directory)
            made.withLockedValue { $0 = store }
        } catch { throw .refused("\(error)") }
    }

    func target(_ volume: RestoredVolume) throws(BackupFailure) -> Target? {
        let store = try store()
        try store.create(
            volume.id, name: volume.name, byteCount: volume.byteCount, isSync: volume.isSync)
        return Target(id: volume.id, store: store)
    }

    func drop(_ target: Target) throws(BackupFailure) { try target.store.delete(target.id) }

    /// The volumes are those that were decided on, or what was read is not one moment's.
    func check(_ decisions: Decisions) throws(BackupFailure) {
        let held = try store().volumes.map { "\($0.id) \($0.name) \($0.byteCount) \($0.isSync)" }
        let decided = decisions.volumes.map {
            "\($0.id) \($0.name) \($0.byteCount) \($0.durability == .sync)"
        }
        guard held == decided else {
            throw .volume(
                "the volumes that came back are not those that were decided on: \(held) and \(decided)"
            )
        }
    }

    func finish(_ beginning: RevivedStore.Beginning) throws(Failure) -> Identity {
        var chance = SystemRandomNumberGenerator()
        let own = JournalSettings(cluster: directory.cluster, group: GroupID(1))
        do {
            return try store().finish(
                beginning, own, as: StoreID(high: chance.next(), low: chance.next()),
                random: SeededRandom(seed: chance.next()))
        } catch {
            throw Failure(
                .refused,
                "\(directory.path) was not made a node's: \(error)\n  Ask again: it begins anew.")
        }
    }

    private func store() throws(BackupFailure) -> RevivedStore {
        guard let store = made.withLockedValue({ $0 }) else {
            throw .volume("\(directory.path) is not made yet")
        }
        return store
    }
}
