import Disk
import Foundation
import Glibc
import Journal
import Logging
import Mesh
import Record
import NIOConcurrencyHelpers
import Synchronization
import Testing
import VolumeCore
import Volumes

/// A log of one voter: a draft is committed once a file holds it, unless it is held back.
final class LoopLog: Sendable {
    private struct State: Sendable {
        var last: UInt64 = 0
        var isHeld = false
        var held: [Ruled] = []
        var post: (@Sendable ([ExportEvent]) -> Void)?
        var failure: DiskError?
        var checkpoints = 0
        var drains = 0
        var applied = LogIndex.zero
        var recorded: [Ruled] = []
    }
    private let state = NIOLockedValueBox(State())
    private let queue = DispatchQueue(label: "loop-log")
    private let file: CInt

    init(_ path: String, after last: LogIndex) {
        file = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        state.withLockedValue { state in
            state.last = last.rawValue
            state.applied = last
        }
    }
    deinit { close(file) }

    func start(_ post: @escaping @Sendable ([ExportEvent]) -> Void) {
        state.withLockedValue { $0.post = post }
    }

    func hear(_ event: VolumeEvent) {
        switch event {
        case .propose(let drafts, let round): queue.async { self.append(drafts, round) }
        case .failed(let error): state.withLockedValue { $0.failure = error }
        case .checkpointed: state.withLockedValue { $0.checkpoints += 1 }
        case .drained: state.withLockedValue { $0.drains += 1 }
        case .cutBegun, .snapshotTaken: break
        case .applied(let index): state.withLockedValue { $0.applied = index }
        case .send, .resync, .damage, .distrust, .scrubs: break
        case .refused(let index, let reason): Issue.record("entry \(index): \(reason)")
        }
    }

    private func append(_ drafts: [Draft], _ round: ProposalRound) {
        let entries = state.withLockedValue { state in drafts.map { Self.seal($0, &state.last) } }
        for entry in entries {
            _ = unsafe entry.bytes.withUnsafeBytes { unsafe write(file, $0.baseAddress, $0.count) }
        }
        fdatasync(file)
        commit(entries.map { Ruled($0, .accepted) }, round)
    }

    private static func seal(_ draft: Draft, _ last: inout UInt64) -> Entry {
        last += 1
        return draft.sealed(
            at: Position(index: LogIndex(last), term: Term(1)), group: GroupID(1), time: .zero)
    }

    private func commit(_ ruled: [Ruled], _ round: ProposalRound) {
        let (post, now) = state.withLockedValue { state in
            state.held += ruled
            state.recorded += ruled
            guard !state.isHeld else { return (state.post, [Ruled]()) }
            defer { state.held = [] }
            return (state.post, state.held)
        }
        guard let first = ruled.first, let last = ruled.last else { return }
        post?([
            .proposed(first: first.entry.index, count: ruled.count, round: round),
            .durable(through: last.entry.index),
        ])
        if !now.isEmpty { post?([.apply(now)]) }
    }

    /// Commits a command of the decisions.
    func decide(_ ruling: Ruling) {
        queue.async {
            let (ruled, post) = self.state.withLockedValue { state in
                let entry = Self.seal(Draft(.command, epoch: Epoch(1)), &state.last)
                state.recorded.append(Ruled(entry, ruling))
                return (Ruled(entry, ruling), state.post)
            }
            post?([.apply([ruled])])
        }
    }

    func hold() { state.withLockedValue { $0.isHeld = true } }

    func release() {
        queue.async {
            let (post, held) = self.state.withLockedValue { state in
                defer {
                    state.isHeld = false
                    state.held = []
                }
                return (state.post, state.held)
            }
            if !held.isEmpty { post?([.apply(held)]) }
        }
    }

    var failure: DiskError? { state.withLockedValue { $0.failure } }
    var checkpoints: Int { state.withLockedValue { $0.checkpoints } }
    var drains: Int { state.withLockedValue { $0.drains } }
    var applied: LogIndex { state.withLockedValue { $0.applied } }
    var last: LogIndex { state.withLockedValue { LogIndex($0.last) } }
    var recorded: [Ruled] { state.withLockedValue { $0.recorded } }
}

/// Volumes of one node in a directory of its own, with their server, for real clients.
final class Rig: Sendable {
    static let volume = VolumeID(1)
    let path: String
    let log: LoopLog
    let thread: VolumeThread<FileDisk>
    let server: NBDServer
    let requestsPosted = Atomic<Int>(0)

    init(
        at path: String? = nil, listener: NBDServer.Listener? = nil,
        limits: NBDLimits = NBDLimits(),
        pendingByteCountMax: Int = 64 << 20
    ) async throws {
        // Short, for a socket's path has at most 107 bytes.
        let path = path ?? "/tmp/hf-\(UUID().uuidString.prefix(8))"
        self.path = path
        try FileManager.default.createDirectory(
            atPath: path + "/disk", withIntermediateDirectories: true)
        let core = try VolumeCore(
            disk: try FileDisk(path + "/disk"),
            limits: VolumeLimits(pendingByteCountMax: pendingByteCountMax))
        let log = LoopLog(path + "/log", after: core.applied)
        var logger = Logger(label: "volumes")
        logger.logLevel = .critical
        let server = try NBDServer(
            directory: path, listener: listener, limits: limits, logger: logger)
        self.log = log
        self.server = server
        thread = VolumeThread(
            core, clock: { Self.now },
            prepareSync: { disk, files throws(DiskError) in try disk.syncing(files) },
            serve: { server.serve($0, $1) }, tell: { log.hear($0) })
        log.start { [thread] in thread.post($0) }
        try await server.start { [thread, self] events in
            for case .request in events { requestsPosted.add(1, ordering: .relaxed) }
            thread.post(events)
        }
    }

    static var now: Instant {
        var time = timespec()
        unsafe clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// A rig whose one volume is open.
    static func open(
        byteCount: UInt64 = 64 << 20, isSync: Bool = true, listener: NBDServer.Listener? = nil,
        limits: NBDLimits = NBDLimits(), at path: String? = nil, isNew: Bool = true
    ) async throws -> Rig {
        let rig = try await Rig(at: path, listener: listener, limits: limits)
        if isNew {
            rig.log.decide(
                .created(volume, name: "disk1", byteCount: byteCount, isSync: isSync))
        }
        try await rig.wait("create") { rig.log.applied == rig.log.last }
        rig.thread.post(.opened(Epoch(1), until: .distantFuture))
        try await rig.waitForSocket()
        return rig
    }

    /// Returns once the export is served in a generation after the given one and its socket
    /// listens: a socket that is seen may be an ended generation's, or not listen yet.
    func waitForSocket(after generation: ExportGeneration? = nil) async throws {
        try await wait("export") {
            self.server.status.first.map { $0.generation != generation } ?? false
        }
        await server.waitForSockets()
    }

    var socket: String { server.socketPath(of: "disk1") }
    var uri: String { "nbd+unix:///disk1?socket=\(socket)" }

    func wait(_ what: String, seconds: Double = 20, _ holds: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while !holds() {
            try #require(ContinuousClock.now < end, "waited in vain: \(what)")
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    func close(keepsFiles: Bool = false) async throws {
        await server.shutdown()
        #expect(log.failure == nil)
        if !keepsFiles { try FileManager.default.removeItem(atPath: path) }
    }
}

struct Ran {
    let status: Int32
    let output: String
}

/// Runs a client for at most a minute; its output goes through a file, which never fills up.
func run(_ tool: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation)
    async throws -> Ran
{
    let path = "/tmp/hf-out-\(UUID())"
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try #require(FileHandle(forWritingAtPath: path))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments = ["-k", "5", "60", tool] + arguments
    process.standardOutput = file
    process.standardError = file
    process.standardInput = Foundation.FileHandle.nullDevice
    let status = try await withCheckedThrowingContinuation {
        (waiter: CheckedContinuation<Int32, any Error>) in
        process.terminationHandler = { waiter.resume(returning: $0.terminationStatus) }
        do { try process.run() } catch { waiter.resume(throwing: error) }
    }
    try file.close()
    let data = FileManager.default.contents(atPath: path) ?? Data()
    return Ran(status: status, output: String(decoding: data.prefix(20_000), as: UTF8.self))
}

/// Runs it and expects success.
@discardableResult
func succeed(
    _ tool: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
) async throws -> String {
    let ran = try await run(tool, arguments)
    try #require(
        ran.status == 0, "\(tool) \(arguments): \(ran.output)", sourceLocation: sourceLocation)
    return ran.output
}

/// Runs Python with libnbd, `h` being a handle that is not connected; what it prints comes
/// back.
func shell(_ script: String, sourceLocation: SourceLocation = #_sourceLocation) async throws
    -> String
{
    try await succeed(
        "/usr/bin/python3", ["-c", "import nbd\nh = nbd.NBD()\n" + script],
        sourceLocation: sourceLocation)
}
