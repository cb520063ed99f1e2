internal import Admin
internal import ArgumentParser
internal import Control
internal import FoundationEssentials

struct LogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Looks into a node's log.",
        subcommands: [Dump.self, LogCheck.self, LogCut.self])

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
            try await askNoting(query)
        }

        /// A program is told on standard error, so that what it reads stays what the node said.
        private func askNoting(_ query: LogQuery) async throws {
            if options.output != .table {
                let bytes = try await ask(.log(query))
                let report = try? JSONDecoder().decode(LogReport.self, from: Data(bytes))
                for note in report.map({ Self.notes($0, query) }) ?? [] { Terminal.complain(note) }
                return Terminal.write(try options.output.text(of: bytes))
            }
            try await ask(.log(query)) { (report: LogReport) in Self.lines(report, query) }
        }

        /// What was asked for and is not shown, with why: nobody is to take a part for the whole.
        static func notes(_ report: LogReport, _ query: LogQuery) -> [String] {
            var notes: [String] = []
            if let from = query.from, from < report.first {
                notes.append("the log begins at \(report.first): what was before is not in it")
            }
            if let to = query.to, to > report.last {
                notes.append("the log ends at \(report.last): what is behind is not in it yet")
            }
            let end = min(query.to ?? report.last, report.last)
            if let shown = report.entries.last?.index, query.from != nil, shown < end {
                notes.append(
                    "--max \(query.max) ends at \(shown): go on with --from \(shown + 1)")
            }
            if let to = query.to, query.from == nil, let shown = report.entries.first?.index,
                shown > report.first
            {
                notes.append("--max \(query.max) begins at \(shown), up to \(to)")
            }
            return notes
        }

        static func lines(_ report: LogReport, _ query: LogQuery) -> [Line] {
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
            return [head] + notes(report, query).map { Line($0, .warning) } + table.lines()
        }
    }
}
