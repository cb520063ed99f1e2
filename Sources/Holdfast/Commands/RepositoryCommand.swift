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
        ])

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows whose a repository is, and which keys open it.")

        @OptionGroup var options: OutputOptions
        @Argument(help: "The repository's directory, or the store file that says where it is.")
        var place: String
        @Option(help: "A key file.") var key: String

        func run() throws {
            let opened = try OpenedRepository(try ConfigFile.store(place), key: key, for: .reading)
            let report = try opened.report(of: opened.ring)
            try options.show(report, report.lines)
        }
    }

    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Seals what is backed up from now on by another key.",
            discussion: """
                What lies there stays as it is, and readable; the key files stay the same. All keys \
                that open the repository are needed: one that is not here would open nothing any more.
                """)

        @OptionGroup var options: OutputOptions
        @Argument(help: "The repository's directory, or the store file that says where it is.")
        var place: String
        @Option(help: "A key file.") var key: String
        @OptionGroup var second: SecondKeyOptions

        func run() throws {
            let opened = try OpenedRepository(try ConfigFile.store(place), key: key, for: .all)
            let holders = [opened.holder, try second.holder(for: opened.file)]
            var chance = SystemRandomNumberGenerator()
            let next = try backed { () throws(BackupFailure) in
                try opened.rings.append(
                    after: opened.ring, for: holders, at: .ofThisMachine, using: &chance)
            }
            let report = try opened.report(of: next)
            let line = Line(
                "rotated: what is backed up from now on is sealed by key epoch "
                    + "\(next.ring.current.epoch), in ring \(next.number)", .good)
            try options.show(report, [line])
        }
    }
}

/// What else opens a repository: the region with the one key may be the one that burns.
struct SecondKeyOptions: ParsableArguments {
    @Option(help: "Another key file, to be kept elsewhere.") var spareKey: String?
    @Option(help: "A file that holds a passphrase.") var passphraseFile: String?

    func validate() throws {
        guard (spareKey == nil) != (passphraseFile == nil) else {
            throw ValidationError("Give either --spare-key or --passphrase-file.")
        }
    }

    /// Read from the one that was given; a spare key has to be of the same tenant.
    func holder(for file: KeyFile) throws -> KeyHolder {
        if let passphraseFile { return .passphrase(try Self.passphrase(passphraseFile)) }
        let path = spareKey ?? ""
        let spare = try backed { () throws(BackupFailure) in try KeyStorage.keyFile(path) }
        guard spare.repository == file.repository, spare.tenant == file.tenant else {
            throw Failure(
                .refused,
                "\(path) is a key of tenant \(spare.tenant) in repository \(spare.repository)\n"
                    + "  Give the other key of tenant \(file.tenant) in \(file.repository).")
        }
        return .file(spare.secret)
    }

    static func passphrase(_ path: String) throws(Failure) -> [UInt8] {
        try backed { () throws(BackupFailure) in try KeyStorage.passphrase(path) }
    }
}

/// A repository, and the newest of the rings that a key file opens.
struct OpenedRepository {
    let file: KeyFile
    let rings: Rings
    let ring: KnownRing
    var holder: KeyHolder { .file(file.secret) }

    init(
        _ settings: StoreSettings, key: String, for demand: StoreChoice.Demand
    ) throws(Failure) {
        let file = try backed { () throws(BackupFailure) in try KeyStorage.keyFile(key) }
        let store = try settings.opened(for: demand)
        let rings = Rings(store, repository: file.repository, tenant: file.tenant)
        ring = try backed("Check that \(key) is a key to \(StoreChoice.name(of: settings)).") {
            () throws(BackupFailure) in
            try rings.newest(openedBy: .file(file.secret))
        }
        (self.file, self.rings) = (file, rings)
    }

    func report(of ring: KnownRing) throws(Failure) -> RepositoryReport {
        let wrappings = try backed { () throws(BackupFailure) in
            try rings.wrappings(ring.number)
        }
        return RepositoryReport(ring, wrappings)
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
