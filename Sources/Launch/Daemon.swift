package import Logging
internal import Mesh
package import Settings

/// What a daemon runs, from its start to its end.
package protocol DaemonParts: Sendable {
    func start() async throws
    /// Reads the certificates again, and takes the members of the settings that were read again.
    func reload(_ settings: AgentSettings)
    /// The files were read again and are at fault.
    func reloadRefused(_ faults: Faults)
    func stop() async
}

/// A daemon's life: words, settings, its own store, then its parts until a signal ends them.
package struct Daemon: Sendable {
    /// Everything is read and recovered by it; nothing is started yet.
    package typealias Make =
        @Sendable (AgentSettings, OwnStore, Logger) throws -> any DaemonParts

    private let program: String
    private let role: Role
    private let make: Make

    package init(_ program: String, role: Role, make: @escaping Make) {
        self.program = program
        self.role = role
        self.make = make
    }

    /// Not asynchronous: signals have to be held before the runtime starts its threads.
    package func run() -> Never {
        Signals.hold()
        let requests = AsyncStream<Signals.Request>.makeStream(
            bufferingPolicy: .bufferingOldest(16))
        Task.detached { await begin(requests.stream) }
        // Dispatch's own way to keep the main thread lets every signal through to it.
        Signals.serve { requests.continuation.yield($0) }
    }

    private func begin(_ requests: AsyncStream<Signals.Request>) async {
        do {
            let invocation = try Invocation(Array(CommandLine.arguments.dropFirst()))
            switch invocation.deed {
            case .help: finish(Invocation.help(program))
            case .version:
                finish("\(program) \(Invocation.release), feature level \(FeatureLevel.spoken)")
            case .run: try await live(invocation, requests)
            }
        } catch let refused as Invocation.Refused {
            stop(ExitCode.usage, "\(program): \(refused)")
        } catch let faults as Faults {
            stop(ExitCode.config, "\(faults)")
        } catch {
            stop(ExitCode.code(of: error), "\(program): \(ExitCode.explain(error))")
        }
    }

    private func live(
        _ invocation: Invocation, _ requests: AsyncStream<Signals.Request>
    ) async throws {
        let settings = try AgentSettings.load(invocation)
        guard settings.member.role == role else { stop(ExitCode.config, other(settings)) }
        let store = try OwnStore(settings, config: invocation.config)
        let logger = Logger(settings)
        FileLimit.raise(logger)
        let parts = try make(settings, store, logger)
        try await parts.start()
        for await request in requests {
            switch request {
            case .reload:
                do throws(Faults) { parts.reload(try AgentSettings.load(invocation)) } catch {
                    parts.reloadRefused(error)
                }
            case .stop:
                await parts.stop()
                finish()
            }
        }
    }

    private func other(_ settings: AgentSettings) -> String {
        switch settings.member.role {
        case .witness: "node \(settings.member.id) is a witness: start holdfast-witness for it"
        case .data: "node \(settings.member.id) stores data: start holdfast-agent for it"
        }
    }
}
