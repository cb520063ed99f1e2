import Control
import Decisions
import Dispatch
import Driver
import Glibc
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
    static func main() async {
        Signals.hold()
        do {
            let invocation = try Invocation(Array(CommandLine.arguments.dropFirst()))
            switch invocation.deed {
            case .help: print(Invocation.help("holdfast-agent"))
            case .version: print("holdfast-agent \(Invocation.release)")
            case .run: try await run(try AgentSettings.load(invocation))
            }
        } catch let refused as Invocation.Refused {
            stop(ExitCode.usage, "holdfast-agent: \(refused)")
        } catch let faults as Faults {
            stop(ExitCode.config, "\(faults)")
        } catch {
            stop(ExitCode.code(of: error), "holdfast-agent: \(ExitCode.explain(error))")
        }
    }

    private static func run(_ settings: AgentSettings) async throws {
        guard settings.member.role == .data else {
            stop(
                ExitCode.config,
                "node \(settings.member.id) is a witness: start holdfast-witness for it")
        }
        let logger = Logger(settings)
        let board = Switchboard(
            incarnations: IncarnationFile(in: settings.node.data), logger: logger)
        let running = try Running(settings, board, logger)
        try await running.start()
        let requests = AsyncStream<Signals.Request>.makeStream(
            bufferingPolicy: .bufferingOldest(16))
        Signals.watch { requests.continuation.yield($0) }
        for await request in requests.stream {
            switch request {
            case .reload: running.reloadCredentials()
            case .stop:
                await running.stop()
                exit(0)
            }
        }
    }
}
