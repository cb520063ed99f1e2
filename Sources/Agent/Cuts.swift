import Backup
import Decisions
import Dispatch
import Disk
import Driver
import Journal
import Logging
import Mesh
import NIOConcurrencyHelpers
import Node
import Repository
import VolumeCore
import Volumes

/// Cuts of the volumes that a backup waits for: the core says behind which entry, the volumes begin there.
final class Cuts: Sendable {
    /// A cut begins behind what the volumes have still to apply; one that takes longer is given up.
    static let beginMax = DispatchTimeInterval.seconds(30)

    struct Begun: Sendable {
        let moment: CutOrder.Moment
        let cut: BegunCut
    }

    private struct Asked: Sendable {
        var moment: CutOrder.Moment?
        let done: DispatchSemaphore
        var result: Result<Begun, CutFailed>?
    }

    private struct State: Sendable {
        var next: UInt64 = 1
        var asked: [CutTicket: Asked] = [:]
    }
    private let state = NIOLockedValueBox(State())

    /// Waits until the volumes are held, or can't be.
    func begin(since: LogIndex?, _ post: (CutTicket) -> Void) throws(CutFailed) -> Begun {
        let done = DispatchSemaphore(value: 0)
        let ticket = state.withLockedValue { state in
            defer { state.next += 1 }
            let ticket = CutTicket(state.next)
            state.asked[ticket] = Asked(done: done)
            return ticket
        }
        post(ticket)
        _ = done.wait(timeout: .now() + Self.beginMax)
        let asked = state.withLockedValue { $0.asked.removeValue(forKey: ticket) }
        return try (asked?.result ?? .failure(.late)).get()
    }

    /// From the core: everything before is on its way to the volumes.
    func ordered(_ order: CutOrder, _ volumes: VolumeThread<FileDisk>) {
        guard let moment = order.moment else {
            end(order.ticket, .failure(.nothingApplied))
            return
        }
        let isAwaited = state.withLockedValue { state in
            state.asked[order.ticket]?.moment = moment
            return state.asked[order.ticket] != nil
        }
        if isAwaited { volumes.post(.beginCut(order.ticket, since: order.since)) }
    }

    /// From the volumes. False where nobody waits for it any more.
    func begun(_ ticket: CutTicket, _ result: Result<BegunCut, CutRefused>) -> Bool {
        guard let moment = state.withLockedValue({ $0.asked[ticket]?.moment }) else { return false }
        return end(
            ticket,
            result.mapError { .refused($0) }.flatMap { cut in
                cut.index == moment.place.position.index
                    ? .success(Begun(moment: moment, cut: cut))
                    : .failure(.elsewhere(decided: moment.place.position.index, held: cut.index))
            })
    }

    /// False where it is awaited no more.
    @discardableResult
    private func end(_ ticket: CutTicket, _ result: Result<Begun, CutFailed>) -> Bool {
        state.withLockedValue { state in
            state.asked[ticket]?.result = result
            return state.asked[ticket]?.done.signal() != nil
        }
    }
}

enum CutFailed: Error, Hashable, Sendable, CustomStringConvertible {
    case refused(CutRefused)
    case nothingApplied
    case late
    /// The decisions and the volumes are of different places: a bug.
    case elsewhere(decided: LogIndex, held: LogIndex)

    var description: String {
        switch self {
        case .refused(let refused): "the volumes here can't be held: \(refused)"
        case .nothingApplied:
            "nothing of the log was applied since this node started; ask again in a moment"
        case .late: "the volumes here did not begin to hold within 30 s: their disk may be stalled"
        case .elsewhere(let decided, let held):
            "the decisions are as of entry \(decided) and the volumes as of \(held)"
        }
    }
}

/// The volumes of this node, held for one backup at a time.
struct NodeCut: CutHolder {
    let cluster: ClusterID
    let group: GroupID
    let cuts: Cuts
    let driver: Driver<Node>
    let volumes: VolumeThread<FileDisk>
    let logger: Logger
    let ask: BackupScheduler.Ask

    /// Why what guests had flushed when the last cut was asked for may not be in it; nil where it is.
    let shortfall = NIOLockedValueBox<String?>(nil)

    /// Waits until all is applied here that guests had flushed: a replica is behind by what is on its way to it. Where the mesh
    /// can't say, what is here has to do.
    private func catchUp() {
        let done = DispatchSemaphore(value: 0)
        let answer = NIOLockedValueBox<Node.Answer?>(nil)
        Task { [ask] in
            let said = await ask(.backup(.mark))
            answer.withLockedValue { $0 = said }
            done.signal()
        }
        done.wait()
        let why = Self.shortfall(answer.withLockedValue { $0 })
        shortfall.withLockedValue { $0 = why }
        guard let why else { return }
        logger.warning(
            "the backup may lack what guests flushed just before it was asked for",
            metadata: ["why": "\(why)"])
    }

    static func shortfall(_ answer: Node.Answer?) -> String? {
        switch answer {
        // It was applied, which is all that is asked.
        case .done: nil
        case .declined(let why): why
        case .busy(let limit): "this node has \(limit) requests to the mesh under way"
        case .unknown(.some(let leader)): "node \(leader), which leads, did not answer in time"
        case .unknown(nil): "the mesh has no leader"
        case .primary, nil: "the mesh gave no answer to it"
        }
    }

    func begin(since: LogIndex?) throws(BackupFailure) -> HeldCut {
        catchUp()
        let begun: Cuts.Begun
        do throws(CutFailed) {
            begun = try cuts.begin(since: since) { driver.post(.cut($0, since: since)) }
        } catch {
            // They are held, and nobody else would let go of them.
            if case .elsewhere = error { end() }
            throw .volume("\(error)")
        }
        let (moment, cut) = (begun.moment, begun.cut)
        return HeldCut(
            place: HeldCut.Place(
                cluster: cluster, group: group, position: moment.place.position,
                epoch: moment.epoch, time: moment.place.time),
            state: moment.decisions,
            volumes: cut.volumes.map { volume in
                HeldCut.Volume(
                    id: volume.id, name: volume.name, isSync: volume.isSync,
                    lastWrite: Manifest.WriteMark(
                        generation: volume.generation.rawValue, number: volume.number),
                    byteCount: volume.byteCount, allocated: volume.allocated,
                    changed: volume.changed)
            }.sorted { $0.id < $1.id })
    }

    func read(_ volume: VolumeID, at offset: UInt64, count: Int) throws(BackupFailure) -> [UInt8] {
        try read(volume, [offset..<offset + UInt64(count)])[0]
    }

    func read(_ volume: VolumeID, _ parts: [Range<UInt64>]) throws(BackupFailure) -> [[UInt8]] {
        let done = DispatchSemaphore(value: 0)
        let result = NIOLockedValueBox<Result<[[UInt8]], CutRefused>?>(nil)
        volumes.readCut(volume, parts) { read in
            result.withLockedValue { $0 = read }
            done.signal()
        }
        // Answered also when the disk fails.
        done.wait()
        switch result.withLockedValue({ $0 }) {
        case .success(let pieces): return pieces
        case .failure(let refused): throw .volume("volume \(volume) can't be read: \(refused)")
        case nil: throw .volume("volume \(volume) can't be read")
        }
    }

    func end() { volumes.post(.endCut) }
}
