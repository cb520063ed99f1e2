internal import Admin
internal import ArgumentParser
internal import Disk
internal import Glibc
internal import Journal
internal import JournalCore
internal import Mesh
internal import Record
internal import Settings
internal import Store

struct LogCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Reads a stopped node's whole journal, changes nothing, and names any damage.")

    /// A sound journal, for a program.
    struct Sound: Encodable {
        let journal: String
        let baseIndex: UInt64
        let lastIndex: UInt64
        let lastTerm: UInt64
        let term: UInt64
        let commit: UInt64
        let tornBytes: Int

        init(_ found: Recovered, _ path: String) {
            journal = path
            baseIndex = found.base.position.index.rawValue
            (lastIndex, lastTerm) = (found.last.index.rawValue, found.last.term.rawValue)
            (term, commit) = (found.hardState.term.rawValue, found.hardState.commit.rawValue)
            tornBytes = found.tornTail?.byteCount ?? 0
        }
    }

    @OptionGroup var options: OutputOptions
    @Option(help: "The node's configuration file; also checks that the journal is this mesh's.")
    var config: String?
    @Option(help: "The node's data directory.")
    var data: String?

    func validate() throws {
        guard (config == nil) != (data == nil) else {
            throw ValidationError("Give --config FILE or --data DIR.")
        }
    }

    func run() throws {
        var cluster: ClusterID?
        var directory = data ?? ""
        if let config {
            let settings = try ConfigFile.agent(config)
            (cluster, directory) = (settings.cluster.cluster, settings.node.data)
        }
        let path = directory + "/journal"
        try Self.refuseEmptied(directory, path)
        let found = try Self.open(path, cluster)
        try options.show(Sound(found, path), Self.lines(found, path))
    }

    /// A journal without segments is a new node's, unless the identity beside it says otherwise. Then
    /// all that the node had promised is gone, which is damage if anything is.
    private static func refuseEmptied(_ directory: String, _ path: String) throws(Failure) {
        let isEmptied: Bool
        do { isEmptied = try StoreDirectory.hasLostJournal(in: directory) } catch {
            throw Failure(.refused, "\(error)\n  Check the path, and who may read there.")
        }
        guard isEmptied else { return }
        throw Failure(
            .refused,
            """
            \(path): 1 damaged place; the last position known is lost
              all segments are missing: \(directory)/\(Identity.fileName) says that this node has served
              \(advice)
            """)
    }

    private static let advice = """
        Don't start this node as it is, and keep all its files: a voter that forgot what it \
        acknowledged could undo a decision. The other members hold the same entries; see "A \
        damaged disk" in docs/operations.md.
        """

    private static func open(_ path: String, _ cluster: ClusterID?) throws -> Recovered {
        let files: FileDisk
        do { files = try FileDisk(path) } catch { throw Self.failure(error, path) }
        var disk = PeekDisk(files)
        defer { disk.shutDown() }
        do throws(JournalError) {
            return try recover(&disk, cluster)
        } catch {
            throw Failure(.refused, "\(path): \(Self.words(error))")
        }
    }

    /// The group, and without a configuration the mesh, are asked of the journal itself: it refuses to
    /// be another's, and says whose it is.
    private static func recover(
        _ disk: inout PeekDisk, _ cluster: ClusterID?
    ) throws(JournalError) -> Recovered {
        do throws(JournalError) {
            return try recover(&disk, cluster ?? noCluster, noGroup)
        } catch .foreign(_, let owner, let group) where cluster ?? owner == owner {
            return try recover(&disk, owner, group)
        }
    }

    private static let noCluster = ClusterID(high: 0, low: 0)
    private static let noGroup = GroupID(0)

    private static func recover(
        _ disk: inout PeekDisk, _ cluster: ClusterID, _ group: GroupID
    ) throws(JournalError) -> Recovered {
        let settings = JournalCore<PeekDisk>.Settings(cluster: cluster, group: group)
        return try JournalCore.open(
            &disk, settings: settings, random: SeededRandom(seed: 0)
        ).recovered
    }

    private static func failure(_ error: DiskError, _ path: String) -> Failure {
        switch error.cause {
        case .system(EWOULDBLOCK):
            Failure(.refused, "\(path) is in use: an agent runs on it\n  Stop the agent first.")
        case .missing:
            Failure(.refused, "\(path) does not exist\n  Check the data directory.")
        default: Failure(.refused, "\(path): \(error)")
        }
    }

    private static func words(_ error: JournalError) -> String {
        let (last, advice): (Position, String)
        switch error {
        case .damaged(_, let known): (last, advice) = (known, Self.advice)
        case .mendable(let damage): (last, advice) = (damage.last, Self.advice(damage))
        case .disk, .foreign, .unknownVersion: return error.description
        }
        let list = error.places.map { "  \($0)" }.joined(separator: "\n")
        return """
            \(counted(error.places.count, "damaged place")); the last position known is \(last)
            \(list)
              \(advice)
            """
    }

    private static func advice(_ damage: LogDamage) -> String {
        damage.needsNobody
            ? "All of it stands there a second time: start the node, and it mends itself."
            : """
            \(damage.needs) Start the node: it takes that from its peers, and votes only when its log is \
            whole; see "A damaged disk" in docs/operations.md.
            """
    }

    static func lines(_ found: Recovered, _ path: String) -> [Line] {
        let first = found.base.position.index.next
        let range =
            found.positions.isEmpty ? "no entries" : "entries \(first) to \(found.last.index)"
        var lines = [
            Line("\(path) is sound", .good),
            Line("  \(range), base \(found.base.position), last \(found.last)"),
            Line("  term \(found.hardState.term), committed \(found.hardState.commit)"),
        ]
        if let torn = found.tornTail {
            lines.append(
                Line(
                    "  \(torn.file) at \(torn.offset): \(torn.byteCount) bytes behind the last "
                        + "batch were never acknowledged; the agent leaves them behind", .warning))
        }
        return lines
    }
}

/// A disk that shows what is there and keeps no change, so that a check leaves every byte as it is.
/// Recovery reads nothing of what it wrote itself.
struct PeekDisk: Disk {
    private var files: FileDisk
    /// Handles of files that were to be created, and so are empty.
    private var absent: Set<FileHandle> = []

    init(_ files: FileDisk) { self.files = files }

    mutating func shutDown() { files.shutDown() }

    mutating func list() throws(DiskError) -> [String] { try files.list() }

    mutating func open(_ name: String, create: Bool) throws(DiskError) -> FileHandle {
        do { return try files.open(name, create: false) } catch {
            guard create, error.cause == .missing else { throw error }
            let handle = FileHandle(rawValue: -1 - absent.count)
            absent.insert(handle)
            return handle
        }
    }

    mutating func close(_ file: FileHandle) {
        if !absent.contains(file) { files.close(file) }
    }

    mutating func byteCount(_ file: FileHandle) throws(DiskError) -> UInt64 {
        absent.contains(file) ? 0 : try files.byteCount(file)
    }

    mutating func read(_ file: FileHandle, at offset: UInt64, count: Int) throws(DiskError)
        -> [UInt8]
    {
        guard !absent.contains(file) else {
            throw DiskError(.read, "a file that is absent", .shortRead(wanted: count, got: 0))
        }
        return try files.read(file, at: offset, count: count)
    }

    mutating func write(_ file: FileHandle, at offset: UInt64, _ pieces: [[UInt8]])
        throws(DiskError)
    {}
    mutating func resize(_ file: FileHandle, to byteCount: UInt64) throws(DiskError) {}
    mutating func deallocate(_ file: FileHandle, _ range: Range<UInt64>) throws(DiskError) {}
    mutating func sync(_ file: FileHandle) throws(DiskError) {}
    mutating func rename(_ name: String, to other: String) throws(DiskError) {}
    mutating func remove(_ name: String) throws(DiskError) {}
    mutating func syncDirectory() throws(DiskError) {}
}
