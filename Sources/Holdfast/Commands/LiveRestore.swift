internal import Admin
internal import Backup
internal import Control
internal import Dispatch
internal import Glibc
internal import Mesh
internal import NIOConcurrencyHelpers
internal import Repository

/// `restore --into`: a new volume of a mesh that runs gets what a volume held. What is restored goes through the log, as a guest's
/// writes do.
struct LiveRestore {
    /// What was made, for a program.
    struct Made: Encodable {
        let volume: String
        let into: String
        let byteCount: UInt64
        /// The backup that it began with, and the last entry that is in it.
        let number: UInt64
        let index: UInt64
        let replayed: UInt64
        /// Of data; holes and zeros are not written.
        let bytes: UInt64
    }

    let vault: Vault
    let moment: RestoreMoment
    let volume: String
    let into: String
    let client: AdminClient
    let progress: ProgressTeller

    func run(_ options: OutputOptions) async throws {
        try await checkPrimary()
        progress.name("\(volume) into \(into)")
        let sink = VolumeSink(volume: volume, into: into, client: client)
        let made = try await offThePool {
            do throws(BackupFailure) { return try restore(sink) } catch {
                sink.giveUp()
                throw Failure(.refused, "\(error)\(sink.left)")
            }
        }
        progress.end()
        try options.show(
            made,
            [
                Line(
                    "\(volume) as of entry \(made.index) is in volume \(into) of the mesh", .good)
            ])
    }

    private func restore(_ sink: VolumeSink) throws(BackupFailure) -> Made {
        let restore = MomentRestore(vault: vault, moment: moment, sink: sink)
        let done = try restore.run(progress)
        guard let target = done.targets.first?.target else {
            throw .volume("there was no volume \(volume) then: entry \(done.position.index)")
        }
        try target.writer.flush()
        return Made(
            volume: volume, into: into, byteCount: target.byteCount,
            number: done.manifest.sequence, index: done.position.index.rawValue,
            replayed: done.entries, bytes: done.byteCount)
    }

    private func checkPrimary() async throws {
        let status: StatusReport
        do { status = try await client.ask(.status, for: StatusReport.self) } catch {
            throw Failure(error)
        }
        guard status.primary?.acting == true else {
            throw Failure(
                .refused,
                "this node does not act as primary, and volumes are written there alone\n  Ask a node of "
                    + "\(status.primary?.region ?? "the primary's region"); `holdfast status` says which."
            )
        }
        guard !status.volumes.contains(where: { $0.name == into }) else {
            throw Failure(
                .refused,
                "volume \(into) is there already: nothing is restored over it\n  Give another name."
            )
        }
    }

    /// What waits for disks and sockets must not wait on a thread that others need.
    private func offThePool<Value: Sendable>(
        _ deed: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { waiting in
            DispatchQueue.global().async { waiting.resume(with: Result { try deed() }) }
        }
    }
}

/// A volume of the mesh as what a restore fills.
private final class VolumeSink: RestoreSink, Sendable {
    struct Target: RestoreTarget {
        private(set) var byteCount: UInt64
        private(set) var writer: NBDWriter
        let sink: VolumeSink

        func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
            try writer.write(bytes, at: offset)
        }
        func zero(_ range: Range<UInt64>) throws(BackupFailure) { try writer.zero(range) }
        /// A client learns of a volume's length when it connects.
        mutating func grow(to byteCount: UInt64) throws(BackupFailure) {
            try writer.flush()
            writer.hangUp()
            writer = try sink.grown(to: byteCount)
            self.byteCount = byteCount
        }
    }

    private enum Stage {
        case nothing, made
        /// It could not be deleted again.
        case left(String)
    }

    /// A new volume is served within this, or the mesh is in no state to be written to.
    private static let servedTries = 100
    private static let servedPollMicroseconds: UInt32 = 100_000

    private let volume: String
    private let into: String
    private let client: AdminClient
    private let stage = NIOLockedValueBox(Stage.nothing)

    init(volume: String, into: String, client: AdminClient) {
        (self.volume, self.into, self.client) = (volume, into, client)
    }

    func wants(_ name: String) -> Bool { name == volume }

    /// Each member looks after its own room: writes stall before a disk runs full.
    func room() -> (room: Room, besides: UInt64) { (Room(.max, in: into), 0) }

    func begin() {}

    func target(_ volume: RestoredVolume) throws(BackupFailure) -> Target? {
        guard wants(volume.name) else { return nil }
        let request = VolumeRequest(
            name: into, byteCount: volume.byteCount, mode: volume.isSync ? .sync : .async)
        _ = try ask(.createVolume(request), for: VolumeReport.self)
        stage.withLockedValue { $0 = .made }
        let writer = try NBDWriter(
            try socket(), volume: into, byteCount: volume.byteCount)
        return Target(
            byteCount: volume.byteCount, writer: writer, sink: self)
    }

    private func grown(to byteCount: UInt64) throws(BackupFailure) -> NBDWriter {
        let growth = VolumeGrowth(byteCount: byteCount)
        _ = try ask(.growVolume(named: into, growth), for: VolumeReport.self)
        return try NBDWriter(try socket(), volume: into, byteCount: byteCount)
    }

    func drop(_ target: Target) {
        target.writer.hangUp()
        giveUp()
    }

    /// Nothing half is left, if the mesh can still be asked.
    func giveUp() {
        let isMade = stage.withLockedValue { if case .made = $0 { true } else { false } }
        guard isMade else { return }
        let route = Route.deleteVolume(named: into)
        for _ in 0..<Self.servedTries {
            switch client.answer(to: route) {
            case .success: return stage.withLockedValue { $0 = .nothing }
            case .failure(let failed):
                stage.withLockedValue { $0 = .left(Failure(failed).text) }
            }
            // Its last client may not be gone yet.
            usleep(Self.servedPollMicroseconds)
        }
    }

    /// What a person has to do about what is left of it.
    var left: String {
        stage.withLockedValue { stage in
            guard case .left(let why) = stage else { return "" }
            return
                "\n  Volume \(into) is half restored, and was not deleted again: \(why)\n  Do it "
                + "yourself: holdfast volume delete \(into)"
        }
    }

    private func socket() throws(BackupFailure) -> String {
        for _ in 0..<Self.servedTries {
            let report = try ask(.volumes, for: VolumesReport.self)
            if let path = report.volumes.first(where: { $0.name == into })?.socket { return path }
            usleep(Self.servedPollMicroseconds)
        }
        throw .volume("volume \(into) was made, and this node does not serve it")
    }

    private func ask<Value: Decodable & Sendable>(
        _ route: Route, for type: Value.Type
    ) throws(BackupFailure) -> Value {
        switch client.answer(to: route, for: type) {
        case .success(let value): return value
        case .failure(let failed): throw .refused(Failure(failed).text)
        }
    }
}
