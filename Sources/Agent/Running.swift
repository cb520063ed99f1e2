import Admin
import Control
import Decisions
import Disk
import Driver
import Gossip
import Glibc
import Journal
import JournalCore
import Launch
import Logging
import Mending
import Mesh
import Node
import Raft
import Record
import Settings
import Transport
import VolumeCore
import Volumes
import Voting
import Wire

/// The agent's parts from their making to their end.
final class Running: DaemonParts {
    /// One Raft group today; every message and record names it all the same.
    static let group = GroupID(1)
    /// A stopping agent begins no further hand-over after so long.
    static let handOverMax = Interval.seconds(8)

    private let current: CurrentSettings
    private var settings: AgentSettings { current.value }
    private let store: OwnStore
    private let board: Switchboard
    private let parts: Switchboard.Parts
    private let exports: NBDServer
    private let door: AgentDoor
    private let admin: AdminServer
    private let room: RoomWatch
    private let shipper: LogShipper?
    private let scrub: ScrubDesk?
    private let scheduler: BackupScheduler?
    private let logger: Logger
    private let manager = ServiceManager()
    /// Where the log began when this process did.
    private let base: LogIndex

    /// Everything is read and recovered here; nothing is started yet.
    init(
        _ settings: AgentSettings, _ store: OwnStore, _ opened: OpenJournal,
        _ alarms: AlarmKeeper, _ counters: Counters, _ logger: Logger
    ) throws {
        current = CurrentSettings(settings)
        self.store = store
        self.logger = logger
        let board = Switchboard(
            incarnations: IncarnationFile(in: settings.node.data), keeper: alarms,
            counters: counters, logger: logger)
        self.board = board
        var system = SystemRandomNumberGenerator()
        var random = SeededRandom(seed: system.next())
        let recovered = opened.recovered
        var journal = opened.journal
        if let torn = recovered.tornTail {
            logger.notice(
                "the log's end was torn by a crash, nothing of it was ever acknowledged",
                metadata: ["file": "\(torn.file)", "bytes": "\(torn.byteCount)"])
        }
        let beginning = try store.beginning(
            settings, behind: recovered.base.position, decisions: Decisions(settings).encoded)
        let now = BootClock.now
        var raft = RaftSettings()
        raft.followsPreference = false
        raft.lendsBases = true
        raft.logKeptBytesMax = Int(settings.node.logKept)
        var limits = VolumeLimits()
        limits.resync.bytesPerSecondMax = settings.node.resyncRate
        limits.scrubPeriod = settings.node.scrubPeriod
        limits.snapshotRoomByteCount = settings.node.snapshotRoom ?? 0
        let volumeCore = try Self.volumes(
            in: settings.node.data + "/volumes", limits, logEnd: recovered.last.index)
        // What the log no longer holds has to come from another replica.
        let isWhole =
            !volumeCore.isResyncing && volumeCore.applied >= recovered.base.position.index
        guard volumeCore.logEndMin <= recovered.last.index else {
            throw Forgotten(last: recovered.last.index, volumes: volumeCore.logEndMin)
        }
        let voter = try Voter.restarting(
            settings, raft: raft, group: Self.group, journal: &journal, recovered: recovered,
            beginning: beginning, incarnation: try IncarnationFile(in: settings.node.data).next(),
            isWhole: isWhole,
            random: &random, at: now)
        let state =
            try (recovered.base.position == .zero ? beginning.base : recovered.base).parsed().state
        let place = "the base in \(settings.node.data)/journal"
        let decisions: Decisions
        do { decisions = try Decisions(parsing: state.contents) } catch {
            throw UnreadableBase(place: place, why: "\(error)")
        }
        guard decisions.level <= .spoken else {
            throw LevelAhead(mesh: decisions.level, spoken: .spoken, place: place)
        }
        let node = Node(
            settings: Node.Settings(settings), voter: voter, decisions: decisions, at: now)
        let driver = Driver(node) { board.carryOut($0) }
        let keeper = LogKeeper(journal, send: { board.send($0) }, tell: { board.heard($0) })
        let transport = try Transport(
            identity: settings.identity, roster: settings.cluster.roster,
            credentials: settings.credentials, logger: logger,
            receive: { board.receive($2, from: $0, on: $1) })
        transport.require(decisions.level)
        let exports = try NBDServer(
            directory: settings.node.run, listener: settings.listener, logger: logger)
        self.exports = exports
        let volumes = VolumeThread(
            volumeCore, clock: { BootClock.now },
            prepareSync: { disk, images throws(DiskError) in try disk.syncing(images) },
            serve: { exports.serve($0, $1) }, tell: { board.heard($0) })
        let desk = MendDesk(keeper) { message, node in
            _ = transport.send(message.encoded, to: node, lane: .bulk)
        }
        let ask: BackupScheduler.Ask = { command in
            await board.answers.wait { driver.post(.operate($0, .command(command))) }
        }
        let snapshots = SnapshotDesk(
            in: settings.node.data, driver, volumes, logger, ask: ask)
        parts = Switchboard.Parts(
            driver: driver, keeper: keeper, transport: transport, volumes: volumes, desk: desk,
            snapshots: snapshots)
        let cut = NodeCut(
            cluster: settings.cluster.cluster, group: Self.group, cuts: board.cuts, driver: driver,
            volumes: volumes, logger: logger, ask: ask)
        let writer = "node \(settings.member.id) of mesh \(settings.cluster.cluster)"
        let backups = settings.backup.map { BackupDesk($0, by: writer, cut, logger) }
        scrub =
            if let backups, let scrub = settings.backup?.scrub {
                ScrubDesk(scrub, backups, in: settings.node.data, logger)
            } else { nil }
        shipper =
            if let backups, let backup = settings.backup, backup.shipsLog {
                LogShipper(
                    NodeLog(driver: driver, keeper: keeper), backup.shipping, backups, logger)
            } else { nil }
        door = AgentDoor(
            current: current, board: board, parts: parts, exports: exports,
            keeper: alarms, startedAt: BootClock.unixSeconds, backups: backups, shipper: shipper,
            scrub: scrub)
        admin = AdminServer(path: settings.node.run + "/admin.sock", door: door, logger: logger)
        scheduler = backups.map { [current] desk in
            BackupScheduler(current, driver, desk, logger, ask: ask)
        }
        room = RoomWatch(path: settings.node.data)
        base = recovered.base.position.index
    }

    private static func volumes(
        in path: String, _ limits: VolumeLimits, logEnd: LogIndex
    ) throws -> VolumeCore<FileDisk> {
        let disk = try FileDisk(path)
        do throws(VolumeRecoveryRefused) {
            return try VolumeCore(disk: disk, limits: limits, logEnd: logEnd)
        } catch {
            throw Unreadable(path: path, cause: error)
        }
    }

    func start() async throws {
        board.connect(parts)
        let (driver, door, scheduler, scrub) = (parts.driver, door, scheduler, scrub)
        let snapshots = parts.snapshots
        driver.post(.wallClock)
        driver.post(.announce(board.keeper.bulletin))
        let volumes = parts.volumes
        Allocator.giveBackSpare()
        room.start(
            tell: { driver.post(.disk(hasRoom: $0)) },
            tick: {
                driver.post(.wallClock)
                volumes.scrub(
                    at: BootClock.wall, beside: driver.inspect { $0.otherReplica })
                door.look()
                scheduler?.tick()
                scrub?.tick()
                snapshots.tick()
            })
        volumes.post(.behind(base))
        try await exports.start { volumes.post($0) }
        try await admin.start()
        driver.start()
        try await parts.transport.start()
        shipper?.start()
        logger.notice(
            "started",
            metadata: [
                "node": "\(settings.member.id)", "region": "\(settings.member.region)",
                "release": "\(Invocation.release)", "store": "\(store.name)",
            ])
        manager.ready("node \(settings.member.id) in \(settings.member.region)")
    }

    func reload(_ new: AgentSettings) {
        do {
            try parts.transport.reloadCredentials()
            try exports.reloadCertificates()
            logger.notice("certificates were read again")
        } catch {
            logger.error(
                "certificates were refused, the old ones stay", metadata: ["why": "\(error)"])
        }
        let members = door.view.membership.members
        guard current.adopt(new, members: members, logger) else { return }
        parts.transport.reload(new.cluster.roster)
        let mesh = Node.Settings(new)
        parts.driver.post(.roster(mesh.members, order: mesh.order))
        board.keeper.reloaded(new.cluster.print)
        parts.driver.post(.announce(board.keeper.bulletin))
    }

    func reloadRefused(_ faults: Faults) { current.refused(faults, logger) }

    /// Hands over what this node holds, says farewell, and lets go of everything.
    func stop() async {
        manager.stopping()
        logger.notice("stopping")
        await handOver()
        shipper?.stop()
        parts.driver.post(.leave)
        await exports.shutdown()
        await admin.shutdown()
        parts.driver.stop()
        board.settleFiles()
        await board.keeper.settle()
        await parts.transport.shutdown()
        logger.notice("stopped")
    }

    private func handOver() async {
        let view = door.view
        guard view.isActing else { return }
        let heirs = settings.cluster.order.filter { node in
            node != settings.member.id
                && view.peers.contains { $0.node == node && $0.liveness == .alive }
        }
        let deadline = BootClock.now + Self.handOverMax
        for heir in heirs where BootClock.now < deadline {
            guard let region = settings.cluster.members.first(where: { $0.id == heir })?.region
            else { continue }
            do {
                let report = try await door.switchover(to: region.text)
                return logger.notice("handed over", metadata: ["to": "\(report.region)"])
            } catch {
                logger.warning(
                    "could not hand over", metadata: ["to": "\(region)", "why": "\(error)"])
            }
        }
    }
}

/// The log here is shorter than the volumes: what this node had promised to hold is gone.
struct Forgotten: DataAtFault {
    let last: LogIndex
    let volumes: LogIndex
    var description: String {
        "the volumes hold everything up to entry \(volumes), but the log ends at \(last): the journal "
            + "was emptied or replaced. This node must not vote: put its own journal back, or leave it off"
    }
}

/// What the volumes hold can't be told from their files.
struct Unreadable: DataAtFault {
    let path: String
    let cause: VolumeRecoveryRefused
    var description: String {
        switch cause {
        case .state(let error):
            "the volumes in \(path) can't be read: \(error). \(DataAtFaultAdvice.leaveOff)"
        case .damaged(let file):
            "\(path)/\(file) holds what was never written: it is damaged. "
                + DataAtFaultAdvice.leaveOff
        }
    }
}

extension NBDServerRefused: SettingsAtFault {}

extension AgentSettings {
    /// Where NBD is served over TLS, with the certificates that the mesh knows this node by.
    fileprivate var listener: NBDServer.Listener? {
        node.nbd.map {
            NBDServer.Listener(
                host: $0.host, port: Int($0.port),
                certificates: NBDCertificates(
                    ca: node.tls.ca, certificate: node.tls.certificate, key: node.tls.key))
        }
    }
}

extension Decisions {
    /// Of a mesh that begins with these members.
    fileprivate init(_ settings: AgentSettings) {
        let cluster = settings.cluster
        func seat(_ member: Settings.Member) -> Seat {
            Seat(node: member.id, region: member.region)
        }
        self.init(seats: cluster.dataMembers.map(seat), witness: cluster.witness.map(seat))
    }
}

extension Node.Settings {
    init(_ settings: AgentSettings) {
        self.init(
            seat: settings.member.id,
            members: settings.cluster.members.map {
                Node.Member(node: $0.id, region: $0.region, isWitness: $0.role == .witness)
            }, order: settings.cluster.order, lease: settings.cluster.lease)
        if settings.node.backup?.shipsLog == true { logTailBytes = LogShipper.tailByteCount }
    }
}
