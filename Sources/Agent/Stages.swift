import Driver
import Journal
import JournalCore
import Launch
import Logging
import Mending
import Mesh
import NIOConcurrencyHelpers
import Record
import Settings

/// An agent's life: it runs, or it mends its log first and runs then.
final class Stages: DaemonParts {
    private enum Stage: Sendable {
        case running(Running)
        case mending(Mender)
        /// Between the two.
        case changing
        case stopped
    }

    private let settings: AgentSettings
    private let store: OwnStore
    private let alarms: AlarmKeeper
    private let counters = Counters()
    private let logger: Logger
    private let stage: NIOLockedValueBox<Stage>
    /// Read again since this process began.
    private let newest = NIOLockedValueBox<AgentSettings?>(nil)

    init(_ settings: AgentSettings, _ store: OwnStore, _ logger: Logger) throws {
        self.settings = settings
        self.store = store
        self.logger = logger
        alarms = try AlarmKeeper(
            in: settings.node.data, own: settings.member.id, clusterFile: settings.cluster.print,
            logger: logger)
        try StateDirectory.prepare(settings, ["journal", "volumes"])
        stage = NIOLockedValueBox(.changing)
        let opened = try store.openJournal(Self.journal(settings), random: Self.chance)
        let first: Stage
        switch opened {
        case .whole(let open, let mended):
            if let mended {
                counters.add("log_mends")
                logger.warning(
                    "the log was damaged, and is mended from what stood here twice",
                    metadata: ["was": "\(mended)"])
            }
            first = .running(try Running(settings, store, open, alarms, counters, logger))
        case .damaged(let mend): first = .mending(try mender(mend))
        }
        stage.withLockedValue { $0 = first }
    }

    private static var chance: SeededRandom {
        var system = SystemRandomNumberGenerator()
        return SeededRandom(seed: system.next())
    }

    private static func journal(_ settings: AgentSettings) -> JournalSettings {
        JournalSettings(cluster: settings.cluster.cluster, group: Running.group)
    }

    private func mender(_ mend: LogMend<FileDisk>) throws -> Mender {
        logger.critical(
            "the log is damaged: this node has no vote until its peers gave back what it lost",
            metadata: ["damage": "\(mend.damage)"])
        return try Mender(settings, mend, alarms, logger)
    }

    func start() async throws {
        switch stage.withLockedValue({ $0 }) {
        case .running(let running): try await running.start()
        case .mending(let mender): try await start(mender)
        case .changing, .stopped: break
        }
    }

    private func start(_ mender: Mender) async throws {
        try await mender.start { outcome in
            Task { await self.mended(mender, outcome) }
        }
    }

    /// Everything that mended ends before anything that runs begins.
    private func mended(_ mender: Mender, _ outcome: Mending.Outcome) async {
        let isStopped = stage.withLockedValue { stage in
            if case .stopped = stage { return true }
            stage = .changing
            return false
        }
        guard !isStopped else { return }
        await mender.stop(leaves: false)
        do {
            let open = try store.reopenJournal(
                mender.closedDisk(), resolving: LogResolution(outcome), Self.journal(settings),
                random: Self.chance)
            counters.add("log_mends")
            logger.notice(
                "the log is mended",
                metadata: ["by": "\(outcome.words)", "last": "\(open.recovered.last)"])
            let running = try Running(settings, store, open, alarms, counters, logger)
            let goesOn = stage.withLockedValue { stage in
                if case .stopped = stage { return false }
                stage = .running(running)
                return true
            }
            guard goesOn else { return }
            try await running.start()
            if let settings = newest.withLockedValue({ $0 }) { running.reload(settings) }
        } catch {
            Launch.stop(ExitCode.code(of: error), "holdfast-agent: \(ExitCode.explain(error))")
        }
    }

    /// Who mends reads its certificates again; it takes other members once its log is whole.
    func reload(_ settings: AgentSettings) {
        newest.withLockedValue { $0 = settings }
        switch stage.withLockedValue({ $0 }) {
        case .running(let running): running.reload(settings)
        case .mending(let mender): mender.reload()
        case .changing, .stopped: break
        }
    }

    func reloadRefused(_ faults: Faults) {
        switch stage.withLockedValue({ $0 }) {
        case .running(let running): running.reloadRefused(faults)
        case .mending, .changing, .stopped:
            logger.error(
                "the files were refused, the old ones stay", metadata: ["why": "\(faults)"])
        }
    }

    func stop() async {
        let last = stage.withLockedValue { stage in
            defer { stage = .stopped }
            return stage
        }
        switch last {
        case .running(let running): await running.stop()
        case .mending(let mender): await mender.stop(leaves: true)
        case .changing, .stopped: break
        }
    }
}

extension LogResolution {
    init(_ outcome: Mending.Outcome) {
        switch outcome {
        case .whole: self = .none
        case .base(let base): self = .base(base)
        case .cut(let index): self = .cut(before: index)
        }
    }
}

extension Mending.Outcome {
    fileprivate var words: String {
        switch self {
        case .whole: "what peers gave back"
        case .base(let base): "a peer's base at \(base.position)"
        case .cut(let index): "ending it before \(index), which no member has"
        }
    }
}
