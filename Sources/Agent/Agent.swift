import Control
import Decisions
import Driver
import Journal
import JournalCore
import Launch
import Logging
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

/// One region's agent: settings, then the shells, then the driver that turns the core.
@main
enum Agent {
    /// Not asynchronous: signals have to be held before the runtime starts its threads.
    static func main() {
        Signals.hold()
        let requests = AsyncStream<Signals.Request>.makeStream(
            bufferingPolicy: .bufferingOldest(16))
        Task.detached { await begin(requests.stream) }
        // Dispatch's own way to keep the main thread lets every signal through to it.
        Signals.serve { requests.continuation.yield($0) }
    }

    private static func begin(_ requests: AsyncStream<Signals.Request>) async {
        do {
            let invocation = try Invocation(Array(CommandLine.arguments.dropFirst()))
            switch invocation.deed {
            case .help: finish(Invocation.help("holdfast-agent"))
            case .version: finish("holdfast-agent \(Invocation.release)")
            case .run:
                try await run(
                    try AgentSettings.load(invocation), invocation.config, requests)
            }
        } catch let refused as Invocation.Refused {
            stop(ExitCode.usage, "holdfast-agent: \(refused)")
        } catch let faults as Faults {
            stop(ExitCode.config, "\(faults)")
        } catch {
            stop(ExitCode.code(of: error), "holdfast-agent: \(ExitCode.explain(error))")
        }
    }

    private static func run(
        _ settings: AgentSettings, _ config: String,
        _ requests: AsyncStream<Signals.Request>
    ) async throws {
        guard settings.member.role == .data else {
            stop(
                ExitCode.config,
                "node \(settings.member.id) is a witness: start holdfast-witness for it")
        }
        let store = try OwnStore(settings, config: config)
        let logger = Logger(settings)
        FileLimit.raise(logger)
        let board = Switchboard(
            incarnations: IncarnationFile(in: settings.node.data), logger: logger)
        let running = try Running(settings, store, board, logger)
        try await running.start()
        for await request in requests {
            switch request {
            case .reload: running.reloadCredentials()
            case .stop:
                await running.stop()
                finish()
            }
        }
    }
}
