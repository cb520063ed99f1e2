internal import Admin
internal import ArgumentParser
internal import Control

struct LogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Looks into a node's log.",
        subcommands: [Dump.self, LogCheck.self])

    struct Dump: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows entries without their payload; by default the newest.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @Option(help: "First index.") var from: UInt64?
        @Option(help: "Last index.") var to: UInt64?
        @Option(help: "At most so many entries, 1 to \(LogQuery.entriesMax).")
        var max = LogQuery.entriesDefault

        func validate() throws {
            guard (1...LogQuery.entriesMax).contains(max) else {
                throw ValidationError("--max is 1 to \(LogQuery.entriesMax).")
            }
            if let from, let to, from > to { throw ValidationError("--from is above --to.") }
        }

        func run() async throws {
            let query = LogQuery(from: from, to: to, max: max)
            try await ask(.log(query)) { (report: LogReport) in Self.lines(report) }
        }

        static func lines(_ report: LogReport) -> [Line] {
            var table = Table([
                ("INDEX", .right), ("TERM", .right), ("EPOCH", .right), ("TIME", .left),
                ("KIND", .left), ("BYTES", .right), ("SESSION", .left), ("WHAT", .left),
            ])
            for entry in report.entries {
                let session = entry.session == 0 ? "-" : "\(entry.session).\(entry.sequence)"
                table.add([
                    "\(entry.index)", "\(entry.term)", "\(entry.epoch)",
                    Words.time(unixSeconds: entry.time / 1_000_000_000), entry.kind.rawValue,
                    "\(entry.byteCount)", session, entry.summary,
                ])
            }
            let base = "base \(report.base.index)@\(report.base.term)"
            let head = Line(
                "\(base), entries \(report.first) to \(report.last), "
                    + "\(report.entries.count) shown", .faint)
            return [head] + table.lines()
        }
    }
}
