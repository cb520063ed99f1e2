import Decisions
import Driver
import Gossip
import Launch
import Logging
import Mesh
import NIOConcurrencyHelpers
import Node
import Raft
import Schedule
import Settings

/// Makes this node's share of the backups that the schedule in the cluster file asks for.
final class BackupScheduler: Sendable {
    typealias Ask = @Sendable (Command) async -> Node.Answer

    private struct State: Sendable {
        var watch = BackupWatch()
        /// One thing is said at a time: what comes next rests on what became of it.
        var isAsking = false
    }

    private let current: CurrentSettings
    private let driver: Driver<Node>
    private let desk: BackupDesk
    private let ask: Ask
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    init(
        _ current: CurrentSettings, _ driver: Driver<Node>, _ desk: BackupDesk, _ logger: Logger,
        ask: @escaping Ask
    ) {
        (self.current, self.driver, self.desk) = (current, driver, desk)
        (self.ask, self.logger) = (ask, logger)
    }

    private var own: NodeID { current.value.member.id }

    /// About once a second.
    func tick() {
        guard !state.withLockedValue({ $0.isAsking }) else { return }
        guard let schedule = current.value.cluster.backups else { return desk.ends.removeAll() }
        let now = BootClock.now
        let view = driver.inspect { NodeView($0, now: now) }
        guard view.level >= .backups else { return }
        let end = desk.ends.first
        guard let news = end.map({ BackupNews($0, by: own) }) ?? look(schedule, view, at: now)
        else { return }
        state.withLockedValue { $0.isAsking = true }
        Task {
            let answer = await ask(.backup(news))
            heard(answer, to: news, about: end)
            state.withLockedValue { $0.isAsking = false }
        }
    }

    private func look(
        _ schedule: BackupSchedule, _ node: NodeView, at now: Instant
    ) -> BackupNews? {
        guard let time = node.appliedTime else { return nil }
        var view = BackupWatch.View(
            own: own, schedule: schedule, duty: node.backups, time: time, members: node.seats,
            primary: node.tenure.primary?.node)
        view.gone = Set(
            node.peers.filter { $0.liveness == .dead || $0.liveness == .left }.map(\.node))
        view.isAble =
            node.resync == nil && node.raft.leader != nil && !desk.isRunning
        view.running = desk.claim
        return state.withLockedValue { $0.watch.look(view, at: now) }
    }

    private func heard(
        _ answer: Node.Answer, to news: BackupNews, about end: BackupEnds.End?
    ) {
        switch answer {
        case .done(.backups(let duty)):
            if let end { desk.ends.remove(end) }
            if case .claimed = news, let claim = duty.claim { begin(claim) }
        case .done(.refused(let why)):
            if let end { desk.ends.remove(end) }
            logger.notice(
                "the mesh refuses what this node says of a backup",
                metadata: ["says": "\(news)", "why": "\(why)"])
        // Not known to be in the log: it is said again, which changes nothing if it is.
        case .done, .unknown, .declined, .busy, .primary: break
        }
    }

    private func begin(_ claim: BackupDuty.Claim) {
        logger.info(
            "this node makes the backup of the schedule",
            metadata: ["slot_unix_s": "\(claim.slot.rawValue / 1_000_000_000)"])
        guard !desk.begin(isFull: claim.isFull, for: claim.since) else { return }
        desk.ends.add(
            .failed(claim: claim.since, words: "somebody had just begun another one there"))
    }
}
