internal import Admin
internal import ArgumentParser
internal import Control

struct AlarmCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alarm", abstract: "Lists the alarms, and clears what was seen to.",
        subcommands: [List.self, Clear.self])

    struct List: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the alarms as this node knows them, and what to do.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions

        func run() async throws {
            try await ask(.alarms) { (report: AlarmsReport) in
                report.alarms.isEmpty
                    ? [Line("there are no alarms", .good)]
                    : report.alarms.flatMap { StatusScreen.lines(of: $0, width: Terminal.width) }
            }
        }
    }

    struct Clear: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Clears an alarm of something that happened, on every node.",
            discussion: """
                replica-lost and contradiction stand until somebody has found out why; all others \
                end by themselves. Nodes that are away learn of it when they are back.
                """)

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @Argument(help: "The alarm's name, such as replica-lost.") var name: String

        func run() async throws {
            try await ask(.clearAlarm(named: name)) { (done: AlarmClearing) in
                done.cleared == 0
                    ? [Line("no \(done.code) stood; nothing was done")]
                    : [Line("cleared \(done.code): \(counted(done.cleared, "incident"))", .good)]
            }
        }
    }
}
