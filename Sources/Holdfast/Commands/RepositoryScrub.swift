internal import Admin
internal import ArgumentParser
internal import Backup
internal import FoundationEssentials
internal import Mesh
internal import Repository
internal import Settings
internal import StoreChoice

/// One thing that is wrong, for a program.
struct FindingReport: Encodable {
    let store: String
    let object: String
    let problem: String

    init(_ finding: Scrub.Finding) {
        (store, object) = (finding.store, finding.name)
        problem = "\(finding.problem)"
    }

    var line: Line { Line("\(object) in \(store): \(problem)", .bad) }
}

struct PaceOptions: ParsableArguments {
    @Option(
        help:
            "How many bytes of objects are read in a second at most, of all stores together, such as 50M.",
        transform: { try Self.rate(parsing: $0) })
    var rate: UInt64?

    static func rate(parsing text: String) throws -> UInt64 {
        let rate = try ByteSize.count(parsing: text)
        guard rate >= NodeSettings.backupRateMin else {
            throw ValidationError(
                "\(text) is too slow: at least \(Words.bytes(NodeSettings.backupRateMin)) a second."
            )
        }
        return rate
    }
}

extension RepositoryCommand {
    struct ScrubCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "scrub",
            abstract:
                "Reads all objects of a repository, in each of its stores, and tells which are not whole.",
            discussion: """
                Packs and indexes, which are nearly all of it, are known to the byte without a key. With \
                one the rest is opened, too. Nothing is written; `repair` puts right what is found.
                """)

        struct Scrubbed: Encodable {
            let objects: Int
            let bytes: UInt64
            let findings: [FindingReport]
            let absentStores: [String]
            /// What nobody knows.
            let strangers: [String]

            init(_ report: Scrub.Report) {
                (objects, bytes) = (report.objectCount, report.byteCount)
                findings = report.findings.filter { $0.problem != .stranger }
                    .map(FindingReport.init)
                absentStores = report.absence
                strangers = report.strangers
            }

            var isWhole: Bool { findings.isEmpty && absentStores.isEmpty }
        }

        @OptionGroup var options: OutputOptions
        @Argument(help: "The repository's directory, or the store file that says where it is.")
        var place: String
        @Option(help: "A key file, the private half of an escrow key, or a provider file.")
        var key: String?
        @Option(help: "Whose backups, where an escrow key opens those of several tenants.")
        var tenant: TenantID?
        @OptionGroup var pace: PaceOptions
        @OptionGroup var telling: ProgressOptions

        func run() throws {
            let settings = try ConfigFile.store(place)
            let opened = try key.map {
                try OpenedRepository(settings, key: $0, tenant: tenant, for: .reading)
            }
            let store = try opened?.rings.store ?? settings.opened(for: .reading)
            let progress = ProgressTeller("opening", telling)
            defer { progress.end() }
            let scrub = Scrub(
                store, try opened?.vault(), rings: opened.map { $0.history(in: store) },
                threads: RepositoryOptions.threads, bytesPerSecond: pace.rate, tell: progress.take)
            let report = try backed { () throws(BackupFailure) in try scrub.run() }
            progress.end()
            let scrubbed = Scrubbed(report)
            try options.show(scrubbed, Self.lines(scrubbed))
            guard scrubbed.isWhole else {
                throw Failure(.refused, Self.words(scrubbed))
            }
        }

        private static func lines(_ report: Scrubbed) -> [Line] {
            let read =
                "\(counted(report.objects, "copy", "copies")) of objects read, \(Words.bytes(report.bytes))"
            let first = report.isWhole ? Line("\(read): all are whole", .good) : Line(read)
            return [first]
                + report.strangers.map { Line("nobody knows what \($0) is", .warning) }
                + report.absentStores.map { Line($0, .bad) } + report.findings.map(\.line)
        }

        private static func words(_ report: Scrubbed) -> String {
            var words: [String] = []
            if !report.findings.isEmpty {
                words.append("\(counted(report.findings.count, "copy is", "copies are")) not whole")
            }
            if !report.absentStores.isEmpty {
                words.append(
                    "\(counted(report.absentStores.count, "store")) could not be read to the end")
            }
            return words.joined(separator: ", ")
                + "\n  `holdfast repository repair` puts right what another copy is whole of."
        }
    }
}

extension Scrub.Report {
    var strangers: [String] {
        findings.filter { $0.problem == .stranger }.map { "\($0.name) in \($0.store)" }
    }
    var absence: [String] { absent.sorted { $0.key < $1.key }.map { "\($0.value)" } }
}
