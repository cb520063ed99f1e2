package import Disk
package import Mesh
internal import Planted
internal import Record

/// Whether this node may serve.
enum ServingTenure: Sendable {
    case away
    case acting(ExportGeneration, until: Instant)
    /// `isTold`: `.drained` was said.
    case draining(ExportGeneration, until: Instant, isTold: Bool)
}

/// One open volume. Its flushes wait in the order of what they wait for.
struct Export: Sendable {
    let name: String
    let isSync: Bool
    let generation: ExportGeneration
    /// The number of the last write that is committed, and of the last that is in the own log.
    var committed: UInt64 = 0
    var durable: UInt64 = 0
    var flushes = Fifo<(id: RequestID, number: UInt64)>()

    /// What a flush may be answered for. What a majority holds survives as well as what the
    /// own disk holds, so an async volume takes either.
    var safe: UInt64 {
        isSync && !isPlanted(.flushesOwnDisk) ? committed : max(committed, durable)
    }
}

/// A request that can't be served yet, for want of a lease or of room.
struct WaitingRequest: Sendable {
    let id: RequestID
    let volume: VolumeID
    let generation: ExportGeneration
    let request: VolumeRequest
}

/// The volumes of one node with who waits for what: a request is served under the lease, answered
/// as its volume's mode has it, and refused once the node acts no more.
///
/// A `DiskError` thrown here is final (see `Disk`): drop the value and recover from the disk.
package struct Exports<D: Disk>: Sendable {
    var tenure = ServingTenure.away
    var exports: [VolumeID: Export] = [:]
    var waiting = Fifo<WaitingRequest>()
    var flight = Flight()
    var pull = Pull()
    /// The highest index that the log was said to begin behind.
    var behind = LogIndex.zero
    /// Whom to ask for what is missing here.
    var source: NodeID?
    /// The manifest that is being told, and to whom.
    var served: ServedManifest?
    /// Asked for as of what is not applied here yet.
    var held: [HeldAsk] = []
    /// Reads of damaged blocks.
    var afflicted: [AfflictedRead] = []
    var mend = Mend()
    /// How many damaged blocks were told of.
    var toldDamage = 0
    /// And how many distrusted ones.
    var toldDistrust = 0
    /// A checkpoint is wanted for what is damaged, for the edges, or to end the replay.
    var hasAskedToSave = false
    var scrubPace = ScrubPace()
    var comparison = Comparison()
    /// What was last told of a resync here.
    var toldStanding: (standing: ResyncStanding?, behind: LogIndex)?
    /// What the present event made; proposed together once it is handled.
    var drafts: [Draft] = []
    /// The last, like the disk in it: see there.
    package internal(set) var core: VolumeCore<D>

    package init(_ core: VolumeCore<D>) {
        self.core = core
    }

    /// Lets a simulation hurt the disk under open exports.
    package mutating func alterDisk(_ alter: (inout D) -> Void) { alter(&core.disk) }

    /// When the lease ends under which requests are served; nil while this node does not act.
    package var leaseEnds: Instant? {
        switch tenure {
        case .away: nil
        case .acting(_, let until), .draining(_, let until, _): until
        }
    }

    /// Reads what is committed, whether or not this node acts: for backups and comparisons.
    package mutating func readCommitted(_ volume: VolumeID, at offset: UInt64, count: Int)
        throws(DiskError) -> Result<[UInt8], VolumeRefused>
    {
        try core.readCommitted(volume, at: offset, count: count)
    }

    package mutating func handle(
        _ event: ExportEvent, at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        switch event {
        case .opened(let epoch, let until): try open(epoch, until: until, &effects)
        case .leased(let until): try renew(until: until, at: now, &effects)
        case .drain: drain()
        case .closed: if !isPlanted(.staysOpenWhenClosed) { close(&effects) }
        case .apply(let entries): try apply(entries, at: now, &effects)
        case .proposed(let first, let count, let round):
            flight.place(first, count: count, round: round)
            markDurable(&effects)
        case .lost: proposeAgain()
        case .durable(let index):
            flight.durableThrough = index
            markDurable(&effects)
        case .request(let id, let volume, let generation, let request):
            let asked = WaitingRequest(
                id: id, volume: volume, generation: generation, request: request)
            try admit(asked, at: now, &effects)
        case .cancelled(let connection): forget(connection)
        case .fold: try core.fold(bytesMax: VolumeLimits.foldSliceByteCount)
        case .checkpoint: try checkpoint(&effects)
        case .behind(let index): try fallBehind(through: index, &effects)
        case .pull(let source):
            try pull(from: source, at: now, &effects)
            try mend(from: source, at: now, &effects)
        case .scrub(let wall, let other):
            try core.tidyRoom()
            try scrub(wall, beside: other, at: now, &effects)
        case .distrust(let piece): core.distrust(piece)
        case .beginCut(let ticket, let since):
            effects.append(.cutBegun(ticket, core.beginCut(since: since)))
        case .endCut: core.endCut()
        case .takeSnapshot(let ticket, let order):
            effects.append(.snapshotTaken(ticket, core.takeSnapshot(order)))
        case .yieldSnapshots: try core.yieldSnapshots()
        case .heard(let message, let node): try hear(message, from: node, at: now, &effects)
        }
        if !drafts.isEmpty {
            effects.append(.propose(drafts, round: flight.round))
            drafts = []
        }
        tellDrained(&effects)
        let upkeep = core.upkeep
        if upkeep.isResyncing { tendResync(&effects) }
        try tendDamage(upkeep, at: now, &effects)
    }

    private mutating func open(
        _ epoch: Epoch, until: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        close(&effects)
        let generation = try core.newGeneration(epoch)
        tenure = .acting(generation, until: until)
        for volume in core.list { open(volume, generation, &effects) }
    }

    func isOpen(_ volume: VolumeID) -> Bool { exports[volume] != nil }

    mutating func open(
        _ volume: VolumeInfo, _ generation: ExportGeneration, _ effects: inout [ExportEffect]
    ) {
        // Refused where a record of a later epoch was applied: this node is deposed and is about
        // to learn of it.
        guard core.open(volume.id, generation: generation) == nil else { return }
        exports[volume.id] = Export(
            name: volume.name, isSync: volume.isSync, generation: generation)
        effects.append(
            .opened(
                volume.id, name: volume.name, generation, byteCount: volume.byteCount))
    }

    private mutating func renew(
        until: Instant, at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        switch tenure {
        case .away: return
        case .acting(let generation, let before):
            tenure = .acting(generation, until: max(before, until))
        case .draining(let generation, let before, let isTold):
            tenure = .draining(generation, until: max(before, until), isTold: isTold)
        }
        try serveWaiting(at: now, &effects)
    }

    private mutating func drain() {
        switch tenure {
        case .away: tenure = .away
        case .acting(let generation, let until):
            tenure = .draining(generation, until: until, isTold: false)
        case .draining: break
        }
    }

    private mutating func tellDrained(_ effects: inout [ExportEffect]) {
        guard case .draining(let generation, let until, isTold: false) = tenure,
            core.pendingBytes == 0, waiting.isEmpty
        else { return }
        tenure = .draining(generation, until: until, isTold: true)
        effects.append(.drained)
    }

    mutating func close(_ effects: inout [ExportEffect]) {
        tenure = .away
        for volume in exports.keys.sorted() { end(volume, &effects) }
        flight.forget()
    }

    /// Ends a volume's generation: who waits is refused, what is pending is lost.
    mutating func end(_ volume: VolumeID, _ effects: inout [ExportEffect]) {
        guard let export = exports.removeValue(forKey: volume) else { return }
        for flush in export.flushes.all { effects.append(.reply(flush.id, .refused(.closed))) }
        let reads = afflicted.filter { $0.volume == volume }.map(\.id)
        afflicted.removeAll { $0.volume == volume }
        for id in waiting.extract(where: { $0.volume == volume }).map(\.id) + reads {
            effects.append(.reply(id, .refused(.closed)))
        }
        _ = core.close(volume)
        effects.append(.ended(volume, export.generation))
    }
}

extension Exports {
    /// Files that a checkpoint will have to sync: whoever syncs them before, elsewhere, makes it
    /// short. The sums go from memory into theirs.
    package mutating func dirtyFiles() throws(DiskError) -> [FileHandle] {
        try core.writeOutSums()
        return core.volumes.filter(\.isDirty).flatMap { [$0.image, $0.sums] }
    }

    package var overlayBytes: Int { core.overlayBytes }
}
