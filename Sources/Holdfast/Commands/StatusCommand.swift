internal import Admin
internal import ArgumentParser
internal import Control

struct StatusCommand: AskingCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows the state of the mesh on one screen.",
        discussion: """
            With --watch it is drawn anew each second; into a pipe, a line is written whenever the \
            state changes.
            """)

    @ParentCommand var root: Holdfast
    @OptionGroup var options: OutputOptions
    @Flag(help: "Draw it anew each second until interrupted.")
    var watch = false
    @Flag(help: "Say nothing; exit with 0 when all is well, 1 when degraded, 4 when nobody serves.")
    var check = false

    func validate() throws {
        if watch, check { throw ValidationError("--watch and --check exclude each other.") }
        if watch, options.output != .table {
            throw ValidationError("--watch draws for people: leave --output away.")
        }
    }

    func run() async throws {
        if watch { return await Watch(client: root.client).run() }
        if check {
            let verdict = Verdict(of: try await report())
            switch verdict.state {
            case .ok: return
            case .degraded: throw Exit.refused.code
            case .takingOver, .noQuorum: throw Exit.noQuorum.code
            }
        }
        try await ask(.status) { (report: StatusReport) in
            StatusScreen(report, now: Terminal.now, width: Terminal.width, height: nil).lines
        }
    }

    private func report() async throws -> StatusReport {
        do { return try await root.client.ask(.status, for: StatusReport.self) } catch {
            throw Failure(error)
        }
    }
}
