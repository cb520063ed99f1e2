import Admin
import Control
import Doubles
import Foundation
import Logging

/// A node that always says the same.
struct SampleDoor: AdminDoor {
    var report = Samples.healthy

    func status() async throws(AdminRefused) -> StatusReport { report }

    func raft() async throws(AdminRefused) -> RaftReport {
        RaftReport(
            node: 1, leader: 1, standing: Samples.standing(.leader), voters: [1, 2, 3],
            followers: [
                FollowerReport(
                    node: 2, feeding: .replicate, matchIndex: 48_213, nextIndex: 48_214,
                    inFlightBytes: 0, lagEntries: 0, heardMilliseconds: 12)
            ])
    }

    func createVolume(_ request: VolumeRequest) async throws(AdminRefused) -> VolumeReport {
        guard report.quorum.ok else { throw .mesh(.noQuorum(reachable: 1, needed: 2)) }
        guard !report.volumes.contains(where: { $0.name == request.name }) else {
            throw .volume(.exists(name: request.name))
        }
        return VolumeReport(
            id: 9, name: request.name, byteCount: request.byteCount, mode: request.mode,
            isOpen: true, socket: "/run/holdfast/volumes/\(request.name).sock")
    }

    func growVolume(
        named name: String, _ growth: VolumeGrowth
    ) async throws(AdminRefused) -> VolumeReport {
        guard var volume = report.volumes.first(where: { $0.name == name }) else {
            throw .volume(.unknown(name: name, known: report.volumes.map(\.name)))
        }
        guard growth.byteCount >= volume.byteCount else {
            throw .volume(
                .shrinks(name: name, from: volume.byteCount, to: growth.byteCount))
        }
        volume.byteCount = growth.byteCount
        return volume
    }

    func distrustVolume(
        named name: String, _ distrust: VolumeDistrust
    ) async throws(AdminRefused) -> VolumeReport {
        guard let volume = report.volumes.first(where: { $0.name == name }) else {
            throw .volume(.unknown(name: name, known: report.volumes.map(\.name)))
        }
        return volume
    }

    func deleteVolume(named name: String) async throws(AdminRefused) {
        guard report.volumes.contains(where: { $0.name == name }) else {
            throw .volume(.unknown(name: name, known: []))
        }
    }

    func switchover(to region: String) async throws(AdminRefused) -> SwitchoverReport {
        SwitchoverReport(epoch: 4, region: region, milliseconds: 87)
    }

    func changeMembers(_ request: MembersRequest) async throws(AdminRefused)
        -> MembersChangeReport
    {
        guard request.coming != 9 else { throw .member(.former(node: 9)) }
        return MembersChangeReport(change: "add node 4 in eu-north-1", isDone: false)
    }

    func cancelMembers() async throws(AdminRefused) -> MembersChangeReport {
        MembersChangeReport(change: "add node 4 in eu-north-1", isDone: true)
    }

    func clearAlarm(named code: String) async throws(AdminRefused) -> AlarmClearing {
        guard code != "disk-full" else { throw .alarm(.endsByItself(name: code)) }
        return AlarmClearing(code: code, cleared: 1)
    }

    func backup() async throws(AdminRefused) -> BackupJobReport {
        var report = BackupJobReport(
            state: .done, readBytes: 3 << 20, wantedBytes: 4 << 20, storedBytes: 1 << 20,
            milliseconds: 2_350, backup: Samples.backup)
        report.schedule = Samples.schedule
        report.scrub = RepositoryScrubReport(
            began: 1_795_766_400, percent: 41, bytes: 5 << 30, damaged: 2, failure: "no such bucket"
        )
        report.scrub?.last = RepositoryScrubReport.Ended(
            at: 1_795_680_000, copies: 812, bytes: 12 << 30)
        return report
    }
    func beginBackup(_ request: BackupRequest) async throws(AdminRefused) -> BackupJobReport {
        guard report.quorum.ok else { throw .backup(.isRunning(phase: "volumes")) }
        return BackupJobReport(state: .running, phase: "opening")
    }
    func snapshots() throws(AdminRefused) -> any SnapshotDoor { SampleSnapshots() }

    func log(_ query: LogQuery) async throws(AdminRefused) -> LogReport {
        let range = try query.admitted(first: 41, last: 42) ?? 41...42
        return LogReport(
            base: PositionReport(index: 40, term: 2), first: 41, last: 42,
            entries: entries.filter { range.contains($0.index) })
    }

    private var entries: [EntryReport] {
        [
            EntryReport(
                index: 41, term: 2, kind: .command, epoch: 3, time: 1_795_500_000_000_000_000,
                byteCount: 96, session: 7, sequence: 1, summary: "promote node 1, epoch 3"),
            EntryReport(
                index: 42, term: 2, kind: .write, epoch: 3, time: 1_795_500_001_000_000_000,
                byteCount: 4_160, session: 0, sequence: 0, summary: "db: 4 KiB at 0"),
        ]
    }
}

/// The built command line, run as an operator runs it.
enum Program {
    struct Said: Sendable {
        let code: Int32
        let output: String
        let errors: String
    }

    /// Beside the running tests.
    static var path: String {
        get throws {
            let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            return URL(filePath: own).deletingLastPathComponent().appending(path: "holdfast").path()
        }
    }

    static func freshDirectory() throws -> String {
        let path = "/tmp/hfp-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    static func run(
        _ arguments: [String], program: String? = nil, environment: [String: String] = [:],
        for milliseconds: Int? = nil
    ) async throws -> Said {
        let directory = try freshDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let process = Process()
        process.executableURL = URL(filePath: try program ?? path)
        process.arguments = arguments
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try file(directory + "/out")
        process.standardError = try file(directory + "/err")
        let code = try await withCheckedThrowingContinuation { waiting in
            process.terminationHandler = { waiting.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { waiting.resume(throwing: error) }
            if let milliseconds {
                DispatchQueue.global().async {
                    awaitFirstWord(in: directory + "/out", of: process)
                    usleep(UInt32(milliseconds) * 1_000)
                    process.interrupt()
                }
            }
        }
        return Said(
            code: code, output: try String(contentsOfFile: directory + "/out", encoding: .utf8),
            errors: try String(contentsOfFile: directory + "/err", encoding: .utf8))
    }

    /// A process takes its time to start: what it says of itself begins with its first word.
    private static func awaitFirstWord(in path: String, of process: Process) {
        for _ in 0..<firstWordPollsMax where process.isRunning {
            let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int
            if size ?? 0 > 0 { return }
            usleep(20_000)
        }
    }
    private static let firstWordPollsMax = 1_500

    /// Runs it on a terminal of its own (script(1)), with `typed` at the keyboard, against a healthy
    /// node.
    static func type(_ typed: String, to arguments: [String]) async throws -> Said {
        try await serving(Samples.healthy) { socket in
            let directory = try freshDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            try typed.write(toFile: directory + "/in", atomically: false, encoding: .utf8)
            let line = try ([path] + arguments).joined(separator: " ")
            let shell = "/usr/bin/script -qec '\(line)' /dev/null < \(directory)/in"
            return try await run(
                ["-c", shell], program: "/bin/sh", environment: ["HOLDFAST_SOCKET": socket])
        }
    }

    private static func file(_ path: String) throws -> FileHandle {
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        return try FileHandle(forWritingTo: URL(filePath: path))
    }

    /// Runs the command against a node that reports `report`.
    static func ask(
        _ arguments: [String], _ report: StatusReport = Samples.healthy,
        for milliseconds: Int? = nil
    ) async throws -> Said {
        try await serving(report) { socket in
            try await run(arguments, environment: ["HOLDFAST_SOCKET": socket], for: milliseconds)
        }
    }

    private static func serving(
        _ report: StatusReport, _ body: (_ socket: String) async throws -> Said
    ) async throws -> Said {
        let directory = try freshDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let socket = directory + "/admin.sock"
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = AdminServer(path: socket, door: SampleDoor(report: report), logger: logger)
        try await server.start()
        let said = try await body(socket)
        await server.shutdown()
        return said
    }
}
