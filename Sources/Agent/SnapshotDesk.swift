import Admin
import Alarms
import Control
import Decisions
import Disk
import Dispatch
import Driver
import FoundationEssentials
import Glibc
import Journal
import Launch
import Logging
import Mesh
import NIOConcurrencyHelpers
import Node
import Store
import VolumeCore
import Volumes

/// The snapshots of this node: takes orders for them, remembers which there were, and tells of those that ended.
final class SnapshotDesk: SnapshotDoor {
    private static let fileName = "snapshots.json"
    private static let fileByteCountMax = 16 << 20
    /// Of an earlier process; more are forgotten, the oldest first.
    private static let formerMax = 16
    /// What the volumes are asked at once, and what waits to be taken: clients' requests go in between, and a disk that stalls must
    /// not gather questions.
    static let questionsMax = 16
    /// Of the data directory's file system: before less is left for the log, snapshots go.
    static let sparedByteCount = RoomWatch.reserveBytes * 2
    /// A backup's tickets are counted from 1.
    private static let firstTicket: UInt64 = 1 << 63

    /// As its file has it.
    struct Former: Codable, Hashable, Sendable {
        var name: String
        var index: UInt64
        var takenAt: UInt64
        var volumes: [SnapshotReport.Volume]
        var ended: String?
    }

    private struct State: Sendable {
        var former: [Former]
        var standing: [SnapshotInfo] = []
        var nextTicket = SnapshotDesk.firstTicket
        var lastID: UInt64 = 0
        var asked: [CutTicket: (order: SnapshotOrder, done: Done)] = [:]
        var questions = 0
    }
    private typealias Taken = Result<SnapshotInfo, SnapshotRefused>
    private typealias Done = CheckedContinuation<Taken, Never>

    private let data: String
    private let driver: Driver<Node>
    private let volumes: VolumeThread<FileDisk>
    private let ask: BackupScheduler.Ask
    private let file: StateFile
    private let logger: Logger
    /// A disk that has stalled keeps nobody waiting but who asks for a snapshot.
    private let files = DispatchQueue(label: "holdfast.snapshots")
    private let state: NIOLockedValueBox<State>

    init(
        in data: String, _ driver: Driver<Node>, _ volumes: VolumeThread<FileDisk>,
        _ logger: Logger, ask: @escaping BackupScheduler.Ask
    ) {
        (self.data, self.driver, self.volumes) = (data, driver, volumes)
        (self.ask, self.logger) = (ask, logger)
        file = StateFile(Self.fileName, in: data)
        var former: [Former] = []
        do {
            let bytes = try file.read(bytesMax: Self.fileByteCountMax)
            former = try bytes.map { try JSONDecoder().decode([Former].self, from: Data($0)) } ?? []
        } catch {
            logger.warning(
                "which snapshots the last process held can't be told", metadata: ["why": "\(error)"]
            )
        }
        for at in former.indices where former[at].ended == nil {
            former[at].ended = "the agent was started anew, which ends them"
            logger.warning(
                "a snapshot ended with the last process", metadata: ["name": "\(former[at].name)"])
        }
        state = NIOLockedValueBox(State(former: Array(former.suffix(Self.formerMax))))
    }

    // From the core and from the volumes.

    /// False where it is a backup's.
    func ordered(_ order: CutOrder) -> Bool {
        guard order.ticket.rawValue >= Self.firstTicket else { return false }
        let asked = state.withLockedValue { $0.asked[order.ticket]?.order }
        if let asked { volumes.post(.takeSnapshot(order.ticket, asked)) }
        return true
    }

    func taken(
        _ ticket: CutTicket, _ result: Result<SnapshotInfo, SnapshotRefused>
    ) {
        let done = state.withLockedValue { $0.asked.removeValue(forKey: ticket)?.done }
        done?.resume(returning: result)
    }

    /// About once a second.
    func tick() {
        let standing = volumes.status.snapshots
        if standing.contains(where: { $0.end == nil }), isShortOfRoom {
            volumes.post(.yieldSnapshots)
        }
        if note(standing) { files.async { self.save() } }
    }

    private var isShortOfRoom: Bool {
        var status = statvfs()
        guard unsafe statvfs(data, &status) == 0 else { return false }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize) < Self.sparedByteCount
    }

    /// False where there is nothing new.
    private func note(_ standing: [SnapshotInfo]) -> Bool {
        let news = state.withLockedValue { state -> [SnapshotInfo]? in
            guard state.standing != standing else { return nil }
            let known = Set(state.standing.filter { $0.end != nil }.map(\.id))
            state.standing = standing
            return standing.filter { $0.end != nil && !known.contains($0.id) }
        }
        guard let news else { return false }
        for info in news {
            guard let end = info.end else { continue }
            logger.warning(
                "a snapshot ended", metadata: ["name": "\(info.name)", "why": "\(end)"])
        }
        return true
    }

    /// Notes what there is by now, and returns once that is on the disk.
    private func settle() async {
        _ = note(volumes.status.snapshots)
        await withCheckedContinuation { done in
            files.async {
                self.save()
                done.resume()
            }
        }
    }

    /// What is not on the disk is lost without a word by the next start.
    private func save() {
        let all = state.withLockedValue { state in
            state.former
                + state.standing.map { info in
                    let report = SnapshotReport(info)
                    return Former(
                        name: report.name, index: report.index, takenAt: report.takenAt,
                        volumes: report.volumes, ended: report.ended)
                }
        }
        do { try file.replace(Array(JSONEncoder().encode(all))) } catch {
            logger.warning("which snapshots there are is not kept", metadata: ["why": "\(error)"])
        }
    }

    var sight: [Sight.Snapshot] {
        let standing = volumes.status.snapshots
        let former = state.withLockedValue { $0.former }
        return former.map { Sight.Snapshot(name: $0.name, why: $0.ended ?? "it ended") }
            + standing.flatMap { info -> [Sight.Snapshot] in
                if let end = info.end { return [Sight.Snapshot(name: info.name, why: "\(end)")] }
                // Who deletes a volume knows it.
                return info.volumes.compactMap { volume in
                    guard let end = volume.end, end != .volumeDeleted else { return nil }
                    return Sight.Snapshot(name: info.name, why: "volume \(volume.name): \(end)")
                }
            }
    }
}

/// What an operator asks.
extension SnapshotDesk {
    func list() async throws(AdminRefused) -> SnapshotsReport {
        let former = state.withLockedValue { $0.former }
        let live = try await asking { exports in exports.snapshotList }
        let room = volumes.status.snapshotRoom
        return SnapshotsReport(
            roomBytes: room.byteCount, usedBytes: room.usedByteCount,
            snapshots: live.map { SnapshotReport($0) }
                + former.map {
                    SnapshotReport(
                        name: $0.name, index: $0.index, takenAt: $0.takenAt, volumes: $0.volumes,
                        keptBytes: 0, ended: $0.ended)
                })
    }

    func create(_ request: SnapshotRequest) async throws(AdminRefused) -> SnapshotReport {
        guard SnapshotRequest.isLawful(request.name) else {
            throw .snapshot(.nameUnlawful(request.name))
        }
        guard !state.withLockedValue({ $0.former.contains { $0.name == request.name } }) else {
            throw .snapshot(.exists(name: request.name))
        }
        guard volumes.status.snapshotRoom.byteCount > 0 else { throw .snapshot(.notConfigured) }
        let known = volumes.status.volumes
        var chosen: Set<VolumeID> = []
        for name in request.volumes {
            guard let volume = known.first(where: { $0.name == name }) else {
                throw .volume(.unknown(name: name, known: known.map(\.name).sorted()))
            }
            chosen.insert(volume.id)
        }
        // A replica is behind by what is on its way to it, and guests may have flushed that.
        let lacks = NodeCut.shortfall(await ask(.backup(.mark)))
        switch try await take(request.name, chosen) {
        case .failure(let refused): throw .snapshot(SnapshotRefusal(refused, of: request.name))
        case .success(let info):
            await settle()
            var report = SnapshotReport(info)
            report.mayLack = lacks
            return report
        }
    }

    private func take(
        _ name: String, _ chosen: Set<VolumeID>
    ) async throws(AdminRefused) -> Taken {
        guard state.withLockedValue({ $0.asked.count < Self.questionsMax }) else {
            throw .node(.busy(doing: "taking \(Self.questionsMax) snapshots already"))
        }
        return await withCheckedContinuation { done in
            let ticket = state.withLockedValue { state in
                let time = BootClock.wall
                // Of no process before: names may come again, and who serves one must not give another's bytes.
                state.lastID = max(state.lastID + 1, time.rawValue)
                let order = SnapshotOrder(
                    id: SnapshotID(state.lastID), name: name, time: time, volumes: chosen)
                defer { state.nextTicket += 1 }
                let ticket = CutTicket(state.nextTicket)
                state.asked[ticket] = (order, done)
                return ticket
            }
            // Through the core: all that it has handed to the volumes goes before.
            driver.post(.cut(ticket, since: nil))
        }
    }

    func delete(named name: String) async throws(AdminRefused) {
        let wasFormer = state.withLockedValue { state in
            let count = state.former.count
            state.former.removeAll { $0.name == name }
            return state.former.count < count
        }
        if wasFormer { return await settle() }
        let refused = try await asking(publishes: true) { exports in
            exports.deleteSnapshot(name)
        }
        guard refused == nil else {
            let known = volumes.status.snapshots.map(\.name)
            throw .snapshot(.unknown(name: name, known: known))
        }
        await settle()
    }

    func shape(
        of name: String, volume: String
    ) async throws(AdminRefused) -> SnapshotShapeReport {
        let standing = volumes.status.snapshots
        guard let info = standing.first(where: { $0.name == name }) else {
            let former = state.withLockedValue { $0.former.first { $0.name == name } }
            if let why = former?.ended { throw .snapshot(.ended(why: why)) }
            throw .snapshot(.unknown(name: name, known: standing.map(\.name)))
        }
        guard let wanted = info.volumes.first(where: { $0.name == volume }) else {
            throw .snapshot(.volumeAbsent(snapshot: name, volume: volume))
        }
        let (id, volumeID) = (info.id, wanted.id)
        switch try await asking({ exports in exports.snapshotShape(id, volumeID) }) {
        case .failure(let refused): throw .snapshot(SnapshotRefusal(refused, of: name))
        case .success(let shape):
            return SnapshotShapeReport(
                snapshot: id.rawValue, volume: volumeID.rawValue, index: info.index.rawValue,
                byteCount: shape.byteCount, held: SnapshotShapeReport.joined(shape.held))
        }
    }

    func read(_ read: SnapshotRead) async throws(AdminRefused) -> [UInt8] {
        guard read.from < read.to, read.to - read.from <= SnapshotRead.byteCountMax else {
            throw .snapshot(.outOfRange)
        }
        let bytes = try await asking { exports throws(DiskError) in
            try exports.readSnapshot(
                SnapshotID(read.snapshot), VolumeID(read.volume), read.from..<read.to)
        }
        switch bytes {
        case .failure(let refused): throw .snapshot(SnapshotRefusal(refused, of: "this one"))
        case .success(let bytes): return bytes
        }
    }

    private func asking<Value: Sendable>(
        publishes: Bool = false,
        _ body: @escaping @Sendable (inout Exports<FileDisk>) throws(DiskError) -> Value
    ) async throws(AdminRefused) -> Value {
        let isBusy = state.withLockedValue { state in
            guard state.questions < Self.questionsMax else { return true }
            state.questions += 1
            return false
        }
        guard !isBusy else {
            throw .node(.busy(doing: "asked \(Self.questionsMax) things of snapshots already"))
        }
        let answer = await withCheckedContinuation { done in
            volumes.ask(publishes: publishes, body) { done.resume(returning: $0) }
        }
        state.withLockedValue { $0.questions -= 1 }
        guard let answer else { throw .node(.stopping) }
        return answer
    }
}

extension SnapshotReport {
    fileprivate init(_ info: SnapshotInfo) {
        self.init(
            name: info.name, index: info.index.rawValue, takenAt: info.time.unixSeconds,
            volumes: info.volumes.map {
                Volume(name: $0.name, byteCount: $0.byteCount, ended: $0.end.map { "\($0)" })
            }, keptBytes: info.keptByteCount, ended: info.end.map { "\($0)" })
    }
}

extension SnapshotRefusal {
    fileprivate init(_ refused: SnapshotRefused, of name: String) {
        self =
            switch refused {
            case .notConfigured: .notConfigured
            case .incomplete: .incomplete(why: "\(refused)")
            case .exists(let name): .exists(name: name)
            case .tooMany(let limit): .tooMany(limit: limit)
            case .unknown: .unknown(name: name, known: [])
            case .unknownVolume: .incomplete(why: "\(refused)")
            case .ended(let end): .ended(why: "\(end)")
            case .outOfRange: .outOfRange
            case .damaged(let offset): .damaged(at: offset)
            }
    }
}
