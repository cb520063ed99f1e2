internal import Admin
internal import ArgumentParser
internal import Control
internal import FoundationEssentials
internal import Glibc

@main
struct Holdfast: AsyncParsableCommand {
    static let socketDefault = "/run/holdfast/admin.sock"
    static let socketVariable = "HOLDFAST_SOCKET"

    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "Looks at a Holdfast node and tells it what to do.",
        discussion: """
            --socket may stand before or behind the command. Exit codes: 0 done, 1 refused or \
            failed, 2 misused, 3 no agent answers, 4 no quorum or no answer in time.
            """,
        version: HoldfastVersion.text,
        subcommands: [
            StatusCommand.self, MembersCommand.self, RaftCommand.self, VolumeCommand.self,
            SwitchoverCommand.self, AlarmCommand.self, LogCommand.self, CertCommand.self,
            ConfigCommand.self, InitCommand.self, RepositoryCommand.self, BackupCommand.self,
            RestoreCommand.self, SnapshotCommand.self,
        ])

    @Option(
        help: ArgumentHelp(
            "The node's admin socket.",
            discussion: "Default: $\(Self.socketVariable), or else \(Self.socketDefault)."))
    var socket: String?

    var client: AdminClient {
        let environment = ProcessInfo.processInfo.environment[Self.socketVariable]
        return AdminClient(path: socket ?? environment ?? Self.socketDefault)
    }

    /// The parser's own exit code for misuse is 64; ours is documented as 2.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            end(error)
        }
    }

    private static func end(_ error: any Error) -> Never {
        if let failure = error as? Failure {
            if let problem = failure.problem, failure.isForProgram,
                let text = try? Format.json.text(of: Format.json(problem))
            {
                Terminal.write(text, to: STDERR_FILENO)
            } else {
                Terminal.complain(failure.text)
            }
            Glibc.exit(failure.exit.rawValue)
        }
        let code = exitCode(for: error)
        let text = fullMessage(for: error)
        if !text.isEmpty {
            Terminal.write(text + "\n", to: code.isSuccess ? STDOUT_FILENO : STDERR_FILENO)
        }
        Glibc.exit(code == .validationFailure ? Exit.usage.rawValue : code.rawValue)
    }
}

enum HoldfastVersion {
    static let text = "0.1.0"
}

/// A command that asks the node one thing and shows the answer.
protocol AskingCommand: AsyncParsableCommand {
    var root: Holdfast { get }
    var options: OutputOptions { get }
}

extension AskingCommand {
    /// Shows the answer: to a program as it came, to a person as `lines` say.
    func ask<Report: Decodable & Sendable>(
        _ route: Route, _ lines: (Report) -> [Line]
    ) async throws {
        let bytes = try await ask(route)
        guard options.output == .table else {
            return Terminal.write(try options.output.text(of: bytes))
        }
        do {
            Terminal.show(lines(try JSONDecoder().decode(Report.self, from: Data(bytes))))
        } catch let error as DecodingError {
            throw Failure(.garbled(path: root.client.path, why: "\(error)"))
        }
    }

    func ask(_ route: Route) async throws -> [UInt8] {
        do { return try await root.client.ask(route) } catch {
            throw Failure(error).for(options.output)
        }
    }
}
