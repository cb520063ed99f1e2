import Admin
import Control
import Doubles
import Foundation
import Logging
import NIOPosix
import NIOConcurrencyHelpers
import Testing

/// A node in memory, with volumes that can be made and deleted.
final class FakeDoor: AdminDoor {
    private let volumes = NIOLockedValueBox<[VolumeReport]>([])
    private let stuckCalls = NIOLockedValueBox(0)
    /// How many calls are at the door and get no answer.
    var stuckCount: Int { stuckCalls.withLockedValue { $0 } }
    /// Asked for this name, the door never answers; for that one, it fails.
    static let stuck = "stuck"
    static let broken = "broken"

    func status() async throws(AdminRefused) -> StatusReport {
        StatusReport(
            node: 1, region: "us-east-1", role: .data, cluster: "5f0c", version: "0.1", pid: 42,
            startedAt: 1_700_000_000, leader: 1, raft: standing,
            primary: PrimaryReport(node: 1, region: "us-east-1", epoch: 3, acting: true),
            quorum: QuorumReport(voters: 3, needed: 2, reachable: 3, ok: true),
            preferredRegion: nil,
            members: [
                MemberReport(
                    node: 1, region: "us-east-1", role: .data, address: "127.0.0.1:7101",
                    isSelf: true, liveness: .self, linkUp: true)
            ], volumes: volumes.withLockedValue { $0 })
    }

    private var standing: RaftStanding {
        RaftStanding(
            role: .leader, term: 2, commit: 9, applied: 9,
            last: PositionReport(index: 9, term: 2), durable: 9,
            base: PositionReport(index: 0, term: 0), logBytes: 4_096)
    }

    func raft() async throws(AdminRefused) -> RaftReport {
        RaftReport(node: 1, leader: 1, standing: standing, voters: [1, 2, 3])
    }

    func createVolume(_ request: VolumeRequest) async throws(AdminRefused) -> VolumeReport {
        if request.name == Self.broken { throw .node(.mishap(why: "cannot write segment-1")) }
        if request.name == Self.stuck {
            stuckCalls.withLockedValue { $0 += 1 }
            defer { stuckCalls.withLockedValue { $0 -= 1 } }
            do { try await Task.sleep(for: .seconds(600)) } catch { throw .node(.stopping) }
        }
        let made = volumes.withLockedValue { volumes -> VolumeReport? in
            guard !volumes.contains(where: { $0.name == request.name }) else { return nil }
            let report = VolumeReport(
                id: UInt64(volumes.count + 1), name: request.name, byteCount: request.byteCount,
                mode: request.mode, isOpen: true)
            volumes.append(report)
            return report
        }
        guard let made else { throw .volume(.exists(name: request.name)) }
        return made
    }

    func growVolume(
        named name: String, _ growth: VolumeGrowth
    ) async throws(AdminRefused) -> VolumeReport {
        let grown = volumes.withLockedValue { volumes -> VolumeReport? in
            guard let place = volumes.firstIndex(where: { $0.name == name }) else { return nil }
            volumes[place].byteCount = growth.byteCount
            return volumes[place]
        }
        guard let grown else { throw .volume(.unknown(name: name, known: [])) }
        return grown
    }

    func distrustVolume(
        named name: String, _ distrust: VolumeDistrust
    ) async throws(AdminRefused) -> VolumeReport {
        let known = volumes.withLockedValue { $0.first { $0.name == name } }
        guard let known else { throw .volume(.unknown(name: name, known: [])) }
        return known
    }

    func deleteVolume(named name: String) async throws(AdminRefused) {
        let wasThere = volumes.withLockedValue { volumes in
            let before = volumes.count
            volumes.removeAll { $0.name == name }
            return volumes.count < before
        }
        guard wasThere else { throw .volume(.unknown(name: name, known: [])) }
    }

    func switchover(to region: String) async throws(AdminRefused) -> SwitchoverReport {
        guard region == "us-west-2" else {
            throw .region(.unknown(name: region, known: ["us-west-2"]))
        }
        return SwitchoverReport(epoch: 4, region: region, milliseconds: 87)
    }

    func changeMembers(_ request: MembersRequest) async throws(AdminRefused)
        -> MembersChangeReport
    {
        guard let coming = request.coming else { throw .member(.nobody) }
        return MembersChangeReport(change: "add node \(coming)", isDone: false)
    }

    func cancelMembers() async throws(AdminRefused) -> MembersChangeReport {
        throw .member(.notChanging)
    }

    func clearAlarm(named code: String) async throws(AdminRefused) -> AlarmClearing {
        guard code == "replica-lost" else { throw .alarm(.endsByItself(name: code)) }
        return AlarmClearing(code: code, cleared: 1)
    }

    func backup() async throws(AdminRefused) -> BackupJobReport { BackupJobReport(state: .none) }

    func beginBackup(_ request: BackupRequest) async throws(AdminRefused) -> BackupJobReport {
        guard request.full else { throw .backup(.notConfigured) }
        return BackupJobReport(state: .running, phase: "opening")
    }

    func snapshots() throws(AdminRefused) -> any SnapshotDoor { SampleSnapshots() }

    func log(_ query: LogQuery) async throws(AdminRefused) -> LogReport {
        let indexes = query.indexes(first: 1, last: 5_000)
        return LogReport(
            base: PositionReport(index: 0, term: 0), first: 1, last: 5_000,
            entries: (indexes.map(Array.init) ?? []).map { index in
                EntryReport(
                    index: index, term: 2, kind: .write, epoch: 3, time: 0, byteCount: 4_160,
                    session: 0, sequence: 0, summary: String(repeating: "x", count: 1_000))
            })
    }
}

/// A served door at a socket in a directory of its own.
struct Served {
    let path: String
    let door = FakeDoor()
    let server: AdminServer
    var client: AdminClient { AdminClient(path: path) }

    static func logger() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

    static func freshPath() throws -> String {
        let directory = "/tmp/hfc-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        return directory + "/admin.sock"
    }

    init(
        at path: String? = nil, limits: ControlLimits = ControlLimits(), owner: UInt32 = geteuid(),
        group: MultiThreadedEventLoopGroup = .singleton
    ) async throws {
        self.path = try path ?? Self.freshPath()
        server = AdminServer(
            path: self.path, door: door, limits: limits, owner: owner, group: group,
            logger: Self.logger())
        try await server.start()
    }

    func end() async {
        await server.shutdown()
        try? Self.removeDirectory(of: path)
    }

    static func removeDirectory(of path: String) throws {
        try FileManager.default.removeItem(
            atPath: URL(filePath: path).deletingLastPathComponent().path())
    }
}

/// What a foreign program says: its exit code and its output. Suspends while it runs, for the door
/// it talks to needs a thread as well.
func run(_ program: String, _ arguments: [String]) async throws -> (code: Int32, output: String) {
    let process = Process()
    let file = "/tmp/hfc-\(UUID().uuidString)"
    _ = FileManager.default.createFile(atPath: file, contents: nil)
    defer { try? FileManager.default.removeItem(atPath: file) }
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.standardOutput = try FileHandle(forWritingTo: URL(filePath: file))
    process.standardError = FileHandle.nullDevice
    let code = try await withCheckedThrowingContinuation { waiting in
        process.terminationHandler = { waiting.resume(returning: $0.terminationStatus) }
        do { try process.run() } catch { waiting.resume(throwing: error) }
    }
    return (code, try String(contentsOfFile: file, encoding: .utf8))
}

/// A connection under the test's hand.
final class RawSocket {
    private let descriptor: CInt

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let connected = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, UInt32(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(connected == 0, "connect: errno \(errno)")
    }

    deinit { close(descriptor) }

    /// How many bytes were taken; -1 when the other end is gone.
    @discardableResult
    func send(_ text: String) -> Int {
        let bytes = Array(text.utf8)
        return unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
        }
    }

    /// Reads until the other end closes, on a thread that may wait.
    func readAll() async -> String {
        let descriptor = descriptor
        return await withCheckedContinuation { waiting in
            DispatchQueue.global().async { waiting.resume(returning: Self.readAll(descriptor)) }
        }
    }

    private static func readAll(_ descriptor: CInt) -> String {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
            }
            guard count > 0 else { break }
            all += chunk[..<count]
        }
        return String(decoding: all, as: UTF8.self)
    }
}
