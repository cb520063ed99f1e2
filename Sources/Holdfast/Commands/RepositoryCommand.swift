internal import ArgumentParser
internal import Backup
internal import FoundationEssentials
internal import Mesh
internal import Repository
internal import Sealing
internal import Settings
internal import StoreChoice

struct RepositoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repository",
        abstract: "Makes a place for backups, shows its keys and rotates them.",
        subcommands: [
            Create.self, Show.self, Rotate.self, ScrubCommand.self, RepairCommand.self,
            ExtendLocks.self,
            Keygen.self,
            EraseTenant.self, CheckErasure.self,
        ])

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows whose a repository is, and which keys open it.")

        @OptionGroup var options: OutputOptions
        @Argument(help: "The repository's directory, or the store file that says where it is.")
        var place: String
        @OptionGroup var key: FirstKeyOptions

        func run() throws {
            let opened = try OpenedRepository(try ConfigFile.store(place), key, for: .reading)
            let report = try opened.report(of: opened.ring)
            try options.show(report, report.lines)
        }
    }
}

extension StoreSettings {
    /// Credentials that no file is named for are the environment's.
    func opened(
        for demand: StoreChoice.Demand, isNew: Bool = false
    ) throws(Failure) -> any ObjectStore {
        let remedy: String? =
            switch self {
            case .directory:
                "Check the path; a directory that is not there is to be made, or mounted."
            case .s3, .several: nil
            }
        return try backed(remedy) { () throws(BackupFailure) in
            try StoreChoice.open(self, for: demand, isNew: isNew) {
                ProcessInfo.processInfo.environment[$0]
            }
        }
    }
}

extension WallTime {
    static var ofThisMachine: WallTime { WallTime(Terminal.now * 1_000_000_000) }
}

/// What keys and stores refuse, as this program says it.
func backed<Value>(
    _ remedy: String? = nil, _ body: () throws(BackupFailure) -> Value
) throws(Failure) -> Value {
    do { return try body() } catch {
        throw Failure(.refused, "\(error)" + (remedy.map { "\n  \($0)" } ?? ""))
    }
}
