import Control
import Driver
import Gossip
import Journal
import JournalCore
import Launch
import Logging
import Mending
import Mesh
import Raft
import Record
import Settings
import Transport
import Voting

/// The witness's parts from their making to their end.
final class Running: DaemonParts {
    static let group = GroupID(1)
    /// Small, for a segment is preallocated and the log is nearly always empty.
    static let segmentByteCount = 4 << 20
    static let windowBytesMax = 1 << 20
    /// Room for the segment in use and a few next ones.
    static let reserveBytes: UInt64 = 16 << 20

    private let current: CurrentSettings
    private var settings: AgentSettings { current.value }
    private let store: OwnStore
    private let board: Switchboard
    private let parts: Switchboard.Parts
    private let door: WitnessDoor
    private let admin: AdminServer
    private let room: RoomWatch
    private let logger: Logger
    private let manager = ServiceManager()

    init(_ settings: AgentSettings, _ store: OwnStore, _ logger: Logger) throws {
        current = CurrentSettings(settings)
        self.store = store
        self.logger = logger
        try StateDirectory.prepare(settings, ["journal"])
        let incarnations = IncarnationFile(in: settings.node.data)
        let alarms = try AlarmKeeper(
            in: settings.node.data, own: settings.member.id, clusterFile: settings.cluster.print,
            logger: logger)
        let board = Switchboard(incarnations: incarnations, keeper: alarms, logger: logger)
        self.board = board
        var system = SystemRandomNumberGenerator()
        var random = SeededRandom(seed: system.next())
        let opened = try Self.openJournal(settings, store, random.fork(), logger)
        let recovered = opened.recovered
        var journal = opened.journal
        var raft = RaftSettings()
        raft.followsPreference = false
        raft.windowBytesMax = Self.windowBytesMax
        let voter = try Voter.restarting(
            settings, raft: raft, group: Self.group, journal: &journal, recovered: recovered,
            beginning: try store.beginning(
                settings, behind: recovered.base.position, decisions: []),
            incarnation: try incarnations.next(), random: &random,
            at: BootClock.now)
        let driver = Driver(voter) { board.carryOut($0) }
        let keeper = LogKeeper(journal, send: { board.send($0) }, tell: { board.heard($0) })
        let transport = try Transport(
            identity: settings.identity, roster: settings.cluster.roster,
            credentials: settings.credentials, logger: logger,
            receive: { board.receive($2, from: $0, on: $1) })
        let desk = MendDesk(keeper) { message, node in
            _ = transport.send(message.encoded, to: node, lane: .bulk)
        }
        parts = Switchboard.Parts(
            driver: driver, keeper: keeper, transport: transport, desk: desk)
        room = RoomWatch(path: settings.node.data, reserveBytes: Self.reserveBytes)
        door = WitnessDoor(
            current: current, parts: parts, keeper: alarms, room: room,
            startedAt: BootClock.unixSeconds)
        admin = AdminServer(path: settings.node.run + "/admin.sock", door: door, logger: logger)
    }

    /// A witness's log is nearly always empty: where it lacks what only peers may have, it stays off.
    private static func openJournal(
        _ settings: AgentSettings, _ store: OwnStore, _ random: SeededRandom, _ logger: Logger
    ) throws -> OpenJournal {
        let opened = try store.openJournal(
            JournalSettings(
                cluster: settings.cluster.cluster, group: Self.group,
                segmentByteCount: Self.segmentByteCount, sparesMax: 0), random: random)
        switch opened {
        case .whole(let open, let mended):
            if let mended {
                logger.warning("the log was damaged, and is mended", metadata: ["was": "\(mended)"])
            }
            return open
        case .damaged(let mend): throw JournalError.mendable(mend.damage)
        }
    }

    func start() async throws {
        board.connect(parts)
        let door = door
        room.start(tell: { _ in }, tick: { door.look() })
        try await admin.start()
        parts.driver.start()
        try await parts.transport.start()
        logger.notice(
            "started",
            metadata: [
                "node": "\(settings.member.id)", "region": "\(settings.member.region)",
                "release": "\(Invocation.release)", "store": "\(store.name)",
            ])
        manager.ready("witness \(settings.member.id) in \(settings.member.region)")
        Allocator.forgetStart()
    }

    func reload(_ new: AgentSettings) {
        do {
            try parts.transport.reloadCredentials()
            logger.notice("certificates were read again")
        } catch {
            logger.error(
                "certificates were refused, the old ones stay", metadata: ["why": "\(error)"])
        }
        let view = door.view
        // One that stands by hears nothing of who comes and goes.
        let members = view.standing == .voter ? view.membership.members : []
        guard current.adopt(new, members: members, logger) else { return }
        parts.transport.reload(new.cluster.roster)
        parts.driver.post(.gossip(.rosterChanged(new.cluster.peers)))
        board.keeper.reloaded(new.cluster.print)
        door.announce(door.view)
    }

    func reloadRefused(_ faults: Faults) { current.refused(faults, logger) }

    func stop() async {
        manager.stopping()
        logger.notice("stopping")
        parts.driver.post(.gossip(.leave))
        await admin.shutdown()
        parts.driver.stop()
        await board.keeper.settle()
        await parts.transport.shutdown()
        logger.notice("stopped")
    }
}
