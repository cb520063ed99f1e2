import Control
import Driver
import Gossip
import Journal
import JournalCore
import Launch
import Logging
import Mesh
import Raft
import Settings
import Transport
import Voting

/// The third site's vote: consensus, gossip and a log that is nearly always empty.
@main
enum Witness {
    /// Not asynchronous: signals have to be held before the runtime starts its threads.
    static func main() {
        Allocator.keepSmall()
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
            case .help: finish(Invocation.help("holdfast-witness"))
            case .version: finish("holdfast-witness \(Invocation.release)")
            case .run:
                try await run(
                    try AgentSettings.load(invocation), invocation.config, requests)
            }
        } catch let refused as Invocation.Refused {
            stop(ExitCode.usage, "holdfast-witness: \(refused)")
        } catch let faults as Faults {
            stop(ExitCode.config, "\(faults)")
        } catch {
            stop(
                ExitCode.code(of: error), "holdfast-witness: \(ExitCode.explain(error))")
        }
    }

    private static func run(
        _ settings: AgentSettings, _ config: String,
        _ requests: AsyncStream<Signals.Request>
    ) async throws {
        guard settings.member.role == .witness else {
            stop(
                ExitCode.config,
                "node \(settings.member.id) stores data: start holdfast-agent for it")
        }
        let store = try OwnStore(settings, config: config)
        let logger = Logger(settings)
        FileLimit.raise(logger)
        let running = try Running(settings, store, logger)
        try await running.start()
        Allocator.forgetStart()
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
