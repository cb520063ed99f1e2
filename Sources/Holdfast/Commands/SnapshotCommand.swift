internal import Admin
internal import ArgumentParser
internal import Control

struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Holds on to volumes as they are now, and serves what they were.",
        discussion: """
            A snapshot is on the node that is asked for it, costs nothing until something is written over, and ends with the \
            agent's process, or when its room is full. It is for the moment before you touch something, and no backup.
            """, subcommands: [Create.self, List.self, Delete.self, Export.self])

    struct Create: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Holds on to all volumes, or some, as of one moment.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @Argument(help: "Its name: a-z 0-9 . _ -, beginning with a letter or digit.")
        var name: String
        @Option(help: "One of its volumes; may be given several times. All where it is not.")
        var volume: [String] = []

        func run() async throws {
            let request = SnapshotRequest(name: name, volumes: volume)
            try await ask(.createSnapshot(request)) { (report: SnapshotReport) in
                let count = counted(report.volumes.count, "volume")
                let made = Line("holds \(report.name): \(count) as of entry \(report.index)", .good)
                guard let lack = report.mayLack else { return [made] }
                return [
                    made,
                    Line("  what guests flushed just before may not be in it: \(lack)", .warning),
                ]
            }
        }
    }

    struct List: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the snapshots of this node, and those that ended.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions

        func run() async throws {
            try await ask(.snapshots) { (report: SnapshotsReport) in Self.lines(of: report) }
        }

        static func lines(of report: SnapshotsReport) -> [Line] {
            let room =
                report.roomBytes > 0
                ? "\(Words.bytes(report.usedBytes)) of \(Words.bytes(report.roomBytes)) of room in use"
                : "this node has no room for snapshots"
            guard !report.snapshots.isEmpty else {
                return [Line("there are no snapshots; \(room)")]
            }
            var table = Table([
                ("SNAPSHOT", .left), ("ENTRY", .right), ("TAKEN", .left), ("KEPT", .right),
                ("VOLUMES", .left), ("STATE", .left),
            ])
            for one in report.snapshots {
                table.add([
                    one.name, "\(one.index)", Words.time(unixSeconds: one.takenAt),
                    Words.bytes(one.keptBytes),
                    one.volumes.map(\.name).joined(separator: " "), state(of: one),
                ])
            }
            return table.lines() + [Line(room)]
        }

        private static func state(of report: SnapshotReport) -> String {
            if let ended = report.ended { return "ended: \(ended)" }
            let gone = report.volumes.compactMap { volume in
                volume.ended.map { "\(volume.name) ended: \($0)" }
            }
            return gone.isEmpty ? "held" : gone.joined(separator: "; ")
        }
    }

    struct Delete: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets go of a snapshot, or takes one that ended off the list.",
            discussion: "Whoever serves it has I/O errors from then on.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @Argument var name: String

        func run() async throws {
            _ = try await ask(.deleteSnapshot(named: name))
            try options.show(["deleted": name], [Line("deleted snapshot \(name)")])
        }
    }
}
