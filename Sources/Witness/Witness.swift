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
    static func main() async {
        Signals.hold()
        do {
            let invocation = try Invocation(Array(CommandLine.arguments.dropFirst()))
            switch invocation.deed {
            case .help: print(Invocation.help("holdfast-witness"))
            case .version: print("holdfast-witness \(Invocation.release)")
            case .run: try await run(try AgentSettings.load(invocation))
            }
        } catch let refused as Invocation.Refused {
            Launch.stop(ExitCode.usage, "holdfast-witness: \(refused)")
        } catch let faults as Faults {
            Launch.stop(ExitCode.config, "\(faults)")
        } catch {
            Launch.stop(
                ExitCode.code(of: error), "holdfast-witness: \(ExitCode.explain(error))")
        }
    }

    private static func run(_ settings: AgentSettings) async throws {
        guard settings.member.role == .witness else {
            Launch.stop(
                ExitCode.config,
                "node \(settings.member.id) stores data: start holdfast-agent for it")
        }
        let logger = Logger(settings)
        let running = try Running(settings, logger)
        try await running.start()
        let requests = AsyncStream<Signals.Request>.makeStream(
            bufferingPolicy: .bufferingOldest(16))
        Signals.watch { requests.continuation.yield($0) }
        for await request in requests.stream {
            switch request {
            case .reload: running.reloadCredentials()
            case .stop:
                await running.stop()
                return
            }
        }
    }
}
