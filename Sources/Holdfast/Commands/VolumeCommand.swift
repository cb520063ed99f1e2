internal import Admin
internal import ArgumentParser
internal import Control

struct VolumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume", abstract: "Makes, lists, grows and deletes protected disks.",
        subcommands: [
            Create.self, List.self, Grow.self, Distrust.self, Delete.self,
        ])

    struct Create: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a volume in every region.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @Argument(help: "Its name: a-z 0-9 . _ -, beginning with a letter or digit.")
        var name: String
        @Option(
            help: "Its size: 512M, 10G, 1T (powers of 1024).", transform: ByteSize.init(argument:))
        var size: ByteSize
        @Option(help: "sync: a flush is on a quorum; async: it is on the primary's own disk.")
        var mode = VolumeMode.sync

        func run() async throws {
            let request = VolumeRequest(name: name, byteCount: size.byteCount, mode: mode)
            try await ask(.createVolume(request)) { (volume: VolumeReport) in
                let size = Words.bytes(volume.byteCount)
                let place = volume.socket.map { "; NBD clients connect to \($0)" } ?? ""
                return [
                    Line("made volume \(volume.name), \(size), \(volume.mode.rawValue)\(place)")
                ]
            }
        }
    }

    struct List: AskingCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the volumes.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions

        func run() async throws {
            try await ask(.volumes) { (report: VolumesReport) in
                report.volumes.isEmpty
                    ? [Line("there are no volumes")]
                    : StatusScreen.table(of: report.volumes, withSockets: true).lines()
            }
        }
    }

    struct Grow: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a volume longer, in every region.",
            discussion: """
                What is added reads zero. A client learns of it when it connects anew. Volumes never get shorter.
                """)

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @Argument var name: String
        @Option(
            help: "What it shall have in all: 20G, 1T (powers of 1024).",
            transform: ByteSize.init(argument:))
        var size: ByteSize

        func run() async throws {
            let growth = VolumeGrowth(byteCount: size.byteCount)
            try await ask(.growVolume(named: name, growth)) { (volume: VolumeReport) in
                let clients =
                    volume.clients > 0 ? "; its client sees that once it connects anew" : ""
                return [
                    Line("volume \(volume.name) has \(Words.bytes(volume.byteCount))\(clients)")
                ]
            }
        }
    }

    struct Delete: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deletes a volume and all that is on it, in every region.",
            discussion: "Ask a node of the primary region: only it knows of clients.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @OptionGroup var confirmation: ConfirmationOptions
        @Argument var name: String
        @Flag(help: "Only say what would be deleted.")
        var dryRun = false

        func run() async throws {
            let volume = try await victim()
            if dryRun { return try show(volume) }
            try confirmation.demand(name, "delete volume \(name) and all that is on it")
            _ = try await ask(.deleteVolume(named: name))
            try options.show(["deleted": name], [Line("deleted volume \(name)")])
        }

        private func victim() async throws -> VolumeReport {
            let report = try await look()
            do { return try report.victim(named: name) } catch { throw refuse(error) }
        }

        private func show(_ volume: VolumeReport) throws {
            let line = Line(
                "would delete volume \(name): \(Words.bytes(volume.byteCount)), "
                    + "\(volume.mode.rawValue), no client connected; nothing was done")
            try options.show(volume, [line])
        }
    }
}

extension VolumeMode: ExpressibleByArgument {}

extension ByteSize {
    init(argument text: String) throws {
        do { self = try ByteSize(parsing: text) } catch {
            throw ValidationError(error.description)
        }
    }
}
