internal import Admin
internal import Alarms
internal import ArgumentParser
internal import Disk
internal import Glibc
internal import Journal
internal import JournalCore
internal import Mesh
internal import Record
internal import Settings
internal import Store
internal import VolumeCore

/// The last resort of a node whose damaged log nobody can mend: what it lacks, and all behind that, is
/// given up. Shown first, done only with a token that is computed from what was shown.
struct LogCut: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cut",
        abstract:
            "Ends a stopped node's damaged log before what it lacks. Acknowledged writes are lost.",
        discussion: """
            Only where no member that holds the missing entries will ever come back. Without --token \
            it changes nothing, and says what would be lost. What is done is written down in \
            `log-cuts` in the data directory, and stands as an alarm until it is cleared.
            """)

    @OptionGroup var options: OutputOptions
    @Option(help: "The node's configuration file.") var config: String
    @Option(help: "What this command printed when it was asked without.") var token: String?

    func run() throws {
        let settings = try ConfigFile.agent(config)
        _ = try store(settings)
        var journal = try Self.disk(settings.node.data + "/journal")
        let own = JournalSettings(cluster: settings.cluster.cluster, group: GroupID(1))
        let plan = try plan(settings, &journal, own)
        guard let token else {
            return try options.show(plan, plan.lines(config))
        }
        guard token == plan.token else {
            throw Failure(
                .refused,
                "the token is not that of what would be lost now: nothing was done\n"
                    + "  Ask again without --token, and read what it says.")
        }
        try carryOut(plan, settings, &journal, own)
        try options.show(plan, plan.linesBehind)
    }

    private func store(_ settings: AgentSettings) throws(Failure) -> Identity {
        let directory = StoreDirectory(
            settings.node.data, of: settings.member.id, in: settings.cluster.cluster,
            members: settings.cluster.roles, config: config)
        do { return try directory.identity() } catch { throw Failure(.refused, "\(error)") }
    }

    private static func disk(_ path: String) throws(Failure) -> FileDisk {
        do { return try FileDisk(path) } catch {
            throw Failure(
                .refused,
                error.cause == .system(EWOULDBLOCK)
                    ? "\(path) is in use: an agent runs on it\n  Stop the agent first."
                    : "\(error)\n  Check the data directory.")
        }
    }

    private func plan(
        _ settings: AgentSettings, _ disk: inout FileDisk, _ own: JournalSettings
    ) throws -> CutPlan {
        let mend: LogMend<FileDisk>?
        do throws(JournalError) {
            mend = try LogMend(&disk, settings: own, random: SeededRandom(seed: 0))
        } catch { throw Failure(.refused, error.description) }
        guard let mend, !mend.damage.missing.isEmpty else {
            throw Failure(.refused, "the log lacks no entry: there is nothing to cut")
        }
        disk = mend.close()
        return try CutPlan(
            settings.member.id, mend.damage, volumes: try volumes(settings.node.data + "/volumes"))
    }

    /// Up to where the volumes need no entry any more. Reads alone.
    private func volumes(_ path: String) throws -> LogIndex {
        var disk = PeekDisk(try Self.disk(path))
        defer { disk.shutDown() }
        do throws(VolumeRecoveryRefused) { return try VolumeCore(disk: disk).logEndMin } catch {
            throw Failure(.refused, "\(path) can't be read: \(error)")
        }
    }

    /// The record goes first: a cut without one must never be.
    private func carryOut(
        _ plan: CutPlan, _ settings: AgentSettings, _ disk: inout FileDisk,
        _ own: JournalSettings
    ) throws {
        do {
            try CutRecord.write(plan, in: settings.node.data)
            var chance = SystemRandomNumberGenerator()
            let random = SeededRandom(seed: chance.next())
            if var mend = try LogMend(&disk, settings: own, random: random) {
                try mend.mendHere()
                disk = mend.close()
            }
            _ = try JournalCore.open(
                &disk, settings: own, random: random, resolving: .cut(before: plan.cut.index))
        } catch { throw Failure(.refused, "the log was not cut: \(error)") }
    }
}

/// What a cut would give up.
struct CutPlan: Encodable {
    let node: UInt64
    /// The first entry that is given up.
    let cut: EntryIdentity
    let lastIndex: UInt64
    let damagedEntries: Int
    let knownCommitted: UInt64
    let token: String
    private let first: UInt64

    private enum CodingKeys: String, CodingKey {
        case node, first, lastIndex, damagedEntries, knownCommitted, token
    }

    init(_ node: NodeID, _ damage: LogDamage, volumes: LogIndex) throws(Failure) {
        guard let cut = damage.missing.first else {
            throw Failure(.refused, "the log lacks no entry: there is nothing to cut")
        }
        guard damage.base == nil else {
            throw Failure(
                .refused,
                "both files of the log's base are lost: no cut can make good for it\n"
                    + "  Only another data member has one: bring one up.")
        }
        guard cut.index > volumes else {
            throw Failure(
                .refused,
                "the volumes hold everything up to entry \(volumes), and the log lacks entry "
                    + "\(cut.index): it can't end before what they were fed\n"
                    + "  Only another member has that entry: bring one up.")
        }
        self.node = node.rawValue
        self.cut = cut
        first = cut.index.rawValue
        lastIndex = damage.last.index.rawValue
        damagedEntries = damage.missing.count
        knownCommitted = damage.commit.rawValue
        var bytes: [UInt8] = []
        bytes.append(name: node)
        for entry in damage.missing {
            bytes.append(name: entry.index)
            bytes.append(name: entry.position.term)
            bytes.append(littleEndian: entry.checksum)
        }
        bytes.append(name: damage.last.index)
        bytes.append(name: damage.last.term)
        token = String(Hexadecimal.text(UInt64(Checksum.crc32c(bytes))).suffix(8))
    }

    private var count: UInt64 { lastIndex - first + 1 }

    func lines(_ config: String) -> [Line] {
        var lines = [
            Line(
                "would be given up: \(counted(count, "entry", "entries")), \(first) to "
                    + "\(lastIndex), of which \(damagedEntries) can't be read", .bad)
        ]
        if knownCommitted >= first {
            lines.append(
                Line(
                    "  entries up to \(knownCommitted) are known to be committed: writes that "
                        + "clients were told are safe are among them", .bad))
        } else {
            lines.append(
                Line(
                    "  none of them is known here to be committed, and any of them may be", .warning
                ))
        }
        lines.append(
            Line("nothing was done. To do it: holdfast log cut --config \(config) --token \(token)")
        )
        return lines
    }

    var linesBehind: [Line] {
        [
            Line("the log ends before entry \(first) now", .warning),
            Line("  written down in log-cuts, and an alarm until `holdfast alarm clear log-cut`"),
        ]
    }
}

/// Who ended a log, when, and what was given up; beside it the incident that every status shows.
enum CutRecord {
    static let fileName = "log-cuts"
    private static let byteCountMax = 64 << 10

    static func write(_ plan: CutPlan, in data: String) throws {
        let file = StateFile(fileName, in: data)
        let before = try file.read(bytesMax: byteCountMax) ?? []
        let now = UInt64(time(nil))
        let line =
            "\(now) unix seconds, uid \(getuid()): ended the log of node \(plan.node) before "
            + "\(plan.cut.position), which lacked; it went to \(plan.lastIndex), "
            + "\(plan.damagedEntries) of its entries could not be read, commits were known up to "
            + "\(plan.knownCommitted), token \(plan.token)\n"
        try file.replace(before + line.utf8)
        let alarms = StateFile(Incidents.fileName, in: data)
        var incidents =
            try alarms.read(bytesMax: Incidents.byteCountMax).flatMap { Incidents(parsing: $0) }
            ?? Incidents()
        let node = NodeID(plan.node)
        incidents.note(
            .logCut, about: node, index: plan.cut.index, seenBy: node, at: now * 1_000)
        try alarms.replace(incidents.encoded)
    }
}
