import Control
import Driver
import Gossip
import Journal
import JournalCore
import Launch
import Logging
import Mending
import Mesh
import Node
import Raft
import Settings
import Transport

/// What an agent runs while its log is damaged: it is heard, asks and answers, and has no vote.
final class Mender: Sendable {
    private let settings: AgentSettings
    private let board: MendBoard
    private let parts: MendBoard.Parts
    private let door: MendDoor
    private let admin: AdminServer
    private let alarms: AlarmKeeper
    private let logger: Logger
    private let manager = ServiceManager()

    init(
        _ settings: AgentSettings, _ mend: LogMend<FileDisk>, _ alarms: AlarmKeeper,
        _ logger: Logger
    ) throws {
        self.settings = settings
        self.alarms = alarms
        self.logger = logger
        let incarnations = IncarnationFile(in: settings.node.data)
        let board = MendBoard(mend, incarnations, logger)
        self.board = board
        let member = try Self.member(settings, mend.damage, incarnations.next())
        let driver = Driver(member) { board.carryOut($0) }
        let transport = try Transport(
            identity: settings.identity, roster: settings.cluster.roster,
            credentials: settings.credentials, logger: logger,
            receive: { board.receive($2, from: $0, on: $1) })
        parts = MendBoard.Parts(driver: driver, transport: transport)
        door = MendDoor(
            settings: settings, damage: mend.damage, parts: parts, keeper: alarms,
            startedAt: BootClock.unixSeconds)
        admin = AdminServer(path: settings.node.run + "/admin.sock", door: door, logger: logger)
    }

    private static func member(
        _ settings: AgentSettings, _ damage: LogDamage, _ incarnation: Incarnation
    ) throws -> MendingMember {
        var system = SystemRandomNumberGenerator()
        let now = BootClock.now
        let gossip = Gossip(
            self: settings.member.peer, roster: settings.cluster.peers,
            settings: Gossip.Settings(), boot: BootID(system.next()), incarnation: incarnation,
            random: SeededRandom(seed: system.next()), at: now)
        let voters = settings.cluster.membership.voters.all.filter { $0 != settings.member.id }
        let mending = Mending(
            Mending.Settings(peers: voters),
            Mending.Need(
                entries: damage.missing, base: damage.base, basePosition: damage.basePosition,
                commit: damage.commit), session: MendSession(system.next()), at: now)
        return MendingMember(
            gossip: gossip, mending: mending,
            dataPeers: settings.others.filter { $0.role == .data }.map(\.id),
            last: damage.last.index, at: now)
    }

    /// `finished` is called once, when all that was given back is on the disk.
    func start(_ finished: @escaping @Sendable (Mending.Outcome) -> Void) async throws {
        board.connect(parts, finished)
        parts.driver.post(.announce(alarms.bulletin))
        try await admin.start()
        parts.driver.start()
        try await parts.transport.start()
        logger.notice("mending", metadata: ["node": "\(settings.member.id)"])
        manager.ready("node \(settings.member.id) mends its log")
    }

    func reload() {
        do {
            try parts.transport.reloadCredentials()
            logger.notice("certificates were read again")
        } catch {
            logger.error(
                "certificates were refused, the old ones stay", metadata: ["why": "\(error)"])
        }
    }

    /// `leaves` says farewell to the others: this node is being stopped.
    func stop(leaves: Bool) async {
        if leaves { parts.driver.post(.leave) }
        await admin.shutdown()
        parts.driver.stop()
        board.settle()
        await alarms.settle()
        await parts.transport.shutdown()
    }

    /// Behind `stop`.
    func closedDisk() -> FileDisk { board.closedDisk() }
}
