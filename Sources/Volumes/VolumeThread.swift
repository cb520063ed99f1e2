package import Disk
internal import Dispatch
package import Mesh
internal import NIOConcurrencyHelpers
package import VolumeCore

/// Owns the exports on one queue: whoever posts is not kept waiting, and the order of posting is
/// the order of handling.
///
/// What is posted is bounded by its senders: the server by its requests in flight, the node by what
/// it has not yet been told `.applied` of.
package final class VolumeThread<D: Disk>: Sendable {
    /// Syncs these images later, outside of the volumes' queue. Their descriptors must be held from
    /// the moment of the call, since an image may be closed meanwhile.
    package typealias PrepareSync =
        @Sendable (D, [FileHandle]) throws(DiskError) -> @Sendable () throws(DiskError) -> Void
    package typealias Serve = @Sendable ([ClientEvent], LeaseCheck) -> Void

    /// Events handled before their effects are passed on.
    private static var batchMax: Int { 256 }
    /// Less than this of the overlay is left until a checkpoint: what is overwritten meanwhile is
    /// written once.
    package static var idleOverlayByteCount: Int { 8 << 20 }

    private struct Waiting: Sendable {
        var events: [ExportEvent] = []
        var isScheduled = false
        var hasFailed = false
        /// How many of them came from other nodes.
        var peerEvents = 0
    }

    fileprivate enum Checkpoint: Sendable {
        case none
        /// What was in the overlay when it began goes first, slice by slice between requests.
        case folding(left: Int)
        /// The images are synced elsewhere, so that requests go on.
        case syncing
    }

    fileprivate struct Work: Sendable {
        var exports: Exports<D>
        var tenure: UInt64 = 0
        var checkpoint = Checkpoint.none
        var isFolding = false
        var open: [VolumeID: ExportGeneration] = [:]
    }

    private let work: NIOLockedValueBox<Work>
    private let published: NIOLockedValueBox<VolumeStatus>
    private let waiting = NIOLockedValueBox(Waiting())
    private let queue = DispatchQueue(label: "holdfast.volumes")
    private let syncQueue = DispatchQueue(label: "holdfast.volumes.sync")
    private let lease = NIOLockedValueBox(PostedLease())
    private let clock: @Sendable () -> Instant
    private let prepareSync: PrepareSync
    private let serve: Serve
    private let tell: @Sendable (VolumeEvent) -> Void

    package init(
        _ core: VolumeCore<D>, clock: @escaping @Sendable () -> Instant,
        prepareSync: @escaping PrepareSync, serve: @escaping Serve,
        tell: @escaping @Sendable (VolumeEvent) -> Void
    ) {
        let exports = Exports(core)
        published = NIOLockedValueBox(VolumeStatus(exports))
        work = NIOLockedValueBox(Work(exports: exports))
        self.clock = clock
        self.prepareSync = prepareSync
        self.serve = serve
        self.tell = tell
    }

    package func post(_ event: ExportEvent) { post([event]) }

    /// Takes what another node's volumes say, which they say again if it is lost: it is dropped while
    /// `peerEventsWaitingMax` of them wait.
    package func offer(_ message: ResyncMessage, from node: NodeID) {
        let isCrowded = waiting.withLockedValue { waiting in
            guard waiting.peerEvents < Self.peerEventsWaitingMax else { return true }
            waiting.peerEvents += 1
            return false
        }
        if !isCrowded { post(.heard(message, from: node)) }
    }

    /// A replica asks for no more than its window at once.
    private static var peerEventsWaitingMax: Int { 128 }

    /// Takes events from any thread; false once the volumes have failed.
    @discardableResult
    package func post(_ events: [ExportEvent]) -> Bool {
        let (isTaken, wakes) = waiting.withLockedValue { waiting -> (Bool, Bool) in
            guard !waiting.hasFailed else { return (false, false) }
            // A reply that is on its way must not leave once this has been said.
            lease.withLockedValue { lease in for event in events { lease.note(event) } }
            waiting.events += events
            defer { waiting.isScheduled = true }
            return (true, !waiting.isScheduled)
        }
        if wakes { queue.async { self.handleWaiting() } }
        return isTaken
    }

    /// The volumes in figures, as they were after the last events: asking waits for no disk.
    package var status: VolumeStatus { published.withLockedValue { $0 } }

    /// Reads some of the images over, and holds it against what another replica has, unless there is something better to do.
    package func scrub(at wall: WallTime, beside other: NodeID?) {
        let isIdle = waiting.withLockedValue { !$0.hasFailed && !$0.isScheduled }
        if isIdle { post(.scrub(wall, beside: other)) }
    }

    /// Parts of what there was, each of which is given once. Clients' requests go in between; long parts keep them waiting.
    /// What could not be given fails all of them.
    package func readCut(
        _ volume: VolumeID, _ parts: [Range<UInt64>],
        reply: @escaping @Sendable (Result<[[UInt8]], CutRefused>) -> Void
    ) {
        queue.async {
            let read = self.guarded { work throws(DiskError) -> Result<[[UInt8]], CutRefused> in
                var pieces: [[UInt8]] = []
                for part in parts {
                    switch try work.exports.readCut(
                        volume, at: part.lowerBound, count: part.count)
                    {
                    case .success(let bytes): pieces.append(bytes)
                    case .failure(let refused): return .failure(refused)
                    }
                }
                return .success(pieces)
            }
            reply(read ?? .failure(.none))
        }
    }

    /// Looks at the exports behind what is under way; nil where their disk has failed. It keeps clients
    /// waiting. Whoever changes what the figures tell has them published.
    package func ask<Value: Sendable>(
        publishes: Bool = false,
        _ body: @escaping @Sendable (inout Exports<D>) throws(DiskError) -> Value,
        reply: @escaping @Sendable (Value?) -> Void
    ) {
        queue.async {
            let value = self.guarded { work throws(DiskError) -> Value in try body(&work.exports) }
            if publishes { self.publish() }
            reply(value)
        }
    }

    /// Does something with the exports; nil, and the end of all, when the disk fails.
    private func guarded<T: Sendable>(
        _ body: (inout Work) throws(DiskError) -> T
    ) -> T? {
        guard !waiting.withLockedValue({ $0.hasFailed }) else { return nil }
        let result = work.withLockedValue { work -> Result<T, DiskError> in
            do throws(DiskError) { return .success(try body(&work)) } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let value): return value
        case .failure(let error):
            fail(error)
            return nil
        }
    }

    private func fail(_ error: DiskError) {
        let isNews = waiting.withLockedValue { waiting in
            defer { waiting = Waiting(hasFailed: true) }
            return !waiting.hasFailed
        }
        guard isNews else { return }
        lease.withLockedValue { $0.end() }
        let open = work.withLockedValue { work in
            defer { work.open = [:] }
            return work.open
        }
        let ended = open.sorted { $0.key < $1.key }.map { ClientEvent.ended($0.key, $0.value) }
        serve(ended, LeaseCheck(lease: lease, tenure: 0, clock: clock))
        tell(.failed(error))
    }
}

// Everything below runs on the queue.
extension VolumeThread {
    private func handleWaiting() {
        let (events, more) = waiting.withLockedValue { waiting -> ([ExportEvent], Bool) in
            let batch = waiting.events.prefix(Self.batchMax)
            // What a replica asks for takes as long as many requests: clients are answered in between.
            let end = batch.firstIndex(where: \.readsForPeer).map { $0 + 1 } ?? batch.endIndex
            let events = Array(batch[..<end])
            waiting.events.removeFirst(events.count)
            waiting.peerEvents -= events.count(where: \.isPeers)
            waiting.isScheduled = !waiting.events.isEmpty
            return (events, waiting.isScheduled)
        }
        // A tenure's replies are checked against that tenure, so none shares a section with another.
        var rest = events[...]
        while let first = rest.first {
            let count = 1 + rest.dropFirst().prefix { !$0.changesTenure }.count
            if first.changesTenure { work.withLockedValue { $0.tenure += 1 } }
            handle(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        if more { queue.async { self.handleWaiting() } } else { foldIfIdle() }
    }

    private func handle(_ events: ArraySlice<ExportEvent>) {
        var effects: [ExportEffect] = []
        // What was done before the disk failed is passed on all the same.
        _ = guarded { work throws(DiskError) in
            for event in events {
                if case .checkpoint = event {
                    beginCheckpoint(&work)
                } else {
                    try work.exports.handle(event, at: clock(), &effects)
                }
            }
        }
        pass(effects)
    }

    private func pass(_ effects: [ExportEffect]) {
        publish()
        guard !effects.isEmpty else { return }
        var (told, served): ([VolumeEvent], [ClientEvent]) = ([], [])
        for effect in effects {
            switch effect {
            case .propose(let drafts, let round):
                // One proposal for a burst of requests.
                if case .propose(let before, round)? = told.last {
                    told[told.count - 1] = .propose(before + drafts, round: round)
                } else {
                    told.append(.propose(drafts, round: round))
                }
            case .reply(let id, let reply): served.append(.reply(id, reply))
            case .opened(let volume, let name, let generation, let byteCount):
                served.append(.opened(volume, name: name, generation, byteCount: byteCount))
            case .ended(let volume, let generation): served.append(.ended(volume, generation))
            case .grown(let volume, let byteCount):
                served.append(.grown(volume, byteCount: byteCount))
            case .applied(let index): told.append(.applied(index))
            case .checkpointed(let index): told.append(.checkpointed(index))
            case .drained: told.append(.drained)
            case .refused(let index, let reason): told.append(.refused(index, reason))
            case .send(let message, let to): told.append(.send(message, to: to))
            case .resync(let standing, let index): told.append(.resync(standing, behind: index))
            case .scrubs: told.append(.scrubs)
            case .cutBegun(let ticket, let begun): told.append(.cutBegun(ticket, begun))
            case .snapshotTaken(let ticket, let taken):
                told.append(.snapshotTaken(ticket, taken))
            case .damage(let blocks): told.append(.damage(blocks: blocks))
            case .distrust(let blocks): told.append(.distrust(blocks: blocks))
            case .wantsCheckpoint: post(.checkpoint)
            }
        }
        let tenure = work.withLockedValue { work in
            for event in served { work.note(event) }
            return work.tenure
        }
        for event in told { tell(event) }
        if !served.isEmpty {
            serve(served, LeaseCheck(lease: lease, tenure: tenure, clock: clock))
        }
    }

    /// Before anything is told: whoever hears of a checkpoint finds it in the figures.
    private func publish() {
        let status = work.withLockedValue { VolumeStatus($0.exports) }
        published.withLockedValue { $0 = status }
    }

    private func foldIfIdle() {
        let folds = work.withLockedValue { work in
            guard !work.isFolding, work.exports.overlayBytes > Self.idleOverlayByteCount,
                case .none = work.checkpoint
            else { return false }
            work.isFolding = true
            return true
        }
        guard folds else { return }
        queue.async {
            _ = self.guarded { work throws(DiskError) in
                work.isFolding = false
                var effects: [ExportEffect] = []
                try work.exports.handle(.fold, at: self.clock(), &effects)
            }
            self.publish()
            self.foldIfIdle()
        }
    }

    private func beginCheckpoint(_ work: inout Work) {
        // One that is under way will do.
        guard case .none = work.checkpoint else { return }
        work.checkpoint = .folding(left: work.exports.overlayBytes)
        queue.async { self.goOnWithCheckpoint() }
    }

    private enum Step: Sendable {
        case again
        case sync(@Sendable () throws(DiskError) -> Void)
    }

    private func goOnWithCheckpoint() {
        let step = guarded { work throws(DiskError) -> Step in
            guard case .folding(let left) = work.checkpoint, left > 0 else {
                work.checkpoint = .syncing
                let files = try work.exports.dirtyFiles()
                return .sync(try prepareSync(work.exports.core.disk, files))
            }
            var effects: [ExportEffect] = []
            try work.exports.handle(.fold, at: clock(), &effects)
            work.checkpoint = .folding(left: left - VolumeLimits.foldSliceByteCount)
            return .again
        }
        switch step {
        case nil: return
        case .again: queue.async { self.goOnWithCheckpoint() }
        case .sync(let sync):
            syncQueue.async {
                var failure: DiskError?
                do throws(DiskError) { try sync() } catch { failure = error }
                self.queue.async { [failure] in self.endCheckpoint(failure) }
            }
        }
    }

    private func endCheckpoint(_ failure: DiskError?) {
        if let failure { return fail(failure) }
        var effects: [ExportEffect] = []
        _ = guarded { work throws(DiskError) in
            work.checkpoint = .none
            try work.exports.handle(.checkpoint, at: clock(), &effects)
        }
        pass(effects)
    }
}

extension VolumeThread.Work {
    fileprivate mutating func note(_ event: ClientEvent) {
        switch event {
        case .opened(let volume, _, let generation, _): open[volume] = generation
        case .ended(let volume, _): open[volume] = nil
        case .reply, .grown: break
        }
    }
}

extension ExportEvent {
    fileprivate var readsForPeer: Bool {
        switch self {
        case .heard(.askPiece, _), .heard(.askSums, _): true
        default: false
        }
    }

    fileprivate var isPeers: Bool {
        if case .heard = self { return true }
        return false
    }
}
