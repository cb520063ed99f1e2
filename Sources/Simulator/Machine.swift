internal import Decisions
internal import Gossip
internal import JournalCore
internal import Mending
internal import Mesh
internal import Node
internal import Raft
internal import Record
internal import SimulatedDisk
internal import VolumeCore
internal import Voting

/// A data member's process, as the agent runs it, without threads. A class, because a run turns it
/// millions of times in place.
final class Agent {
    var node: Node
    var exports: Exports<SimulatedDisk>
    var volumes = VolumesDesk()
    /// The exports that clients can connect to.
    var open: [OpenExport] = []

    func grow(_ volume: VolumeID, to byteCount: UInt64) {
        for at in open.indices where open[at].volume == volume { open[at].byteCount = byteCount }
    }

    /// The core does, and is woken where its deadline has come, as the driver has it.
    func handle(_ event: Node.Event, at now: Instant, _ effects: inout [Node.Effect]) -> Instant {
        node.handle(event, at: now, &effects)
        if now >= node.deadline { node.handle(.wake, at: now, &effects) }
        return node.deadline
    }

    /// In place: a copy of the core counts each of its many references, and each commit asks.
    func raft<T>(_ body: (Raft) -> T) -> T { Self.read(&node, body) }
    private static func read<T>(_ node: inout Node, _ body: (Raft) -> T) -> T {
        body(node.voter.raft)
    }

    init(node: Node, exports: Exports<SimulatedDisk>) {
        (self.node, self.exports) = (node, exports)
    }
}

struct OpenExport {
    let volume: VolumeID
    let name: String
    let generation: ExportGeneration
    var byteCount: UInt64
}

/// What waits for the volumes' thread.
struct VolumesDesk {
    private(set) var events: [ExportEvent] = []
    private var isScheduled = false
    private(set) var turns: UInt64 = 0
    /// As posted, and how many of the events that end or begin a tenure were handled.
    private(set) var lease = PostedLease()
    private var tenure: UInt64 = 0

    /// Holds nothing but room, which the events take in turn.
    private var spare: [ExportEvent] = []

    mutating func end(_ begun: consuming [ExportEvent]) {
        begun.removeAll(keepingCapacity: true)
        spare = begun
    }

    /// Whether what comes next takes the time of a checkpoint.
    var isCheckpointNext: Bool { events.first?.isCheckpoint == true }

    mutating func post(_ event: ExportEvent) {
        lease.note(event)
        events.append(event)
    }

    mutating func noteHandling(_ event: ExportEvent) { if event.changesTenure { tenure += 1 } }

    /// Whether an answer that was just computed may leave.
    func mayTell(at now: Instant) -> Bool { lease.holds(tenure, at: now) }

    /// A disk that refused a deed is used no more.
    mutating func fail() {
        lease.end()
        events = []
    }

    /// Whether a turn has to be scheduled, which it is from then on.
    mutating func schedules() -> Bool {
        guard !isScheduled, !events.isEmpty else { return false }
        isScheduled = true
        return true
    }

    /// Gives the next turn what waits, up to a checkpoint that is not the first: while one is made, all
    /// before it is applied and told, and nothing of it durable. Its room comes back with `end`.
    mutating func begin() -> [ExportEvent] {
        (isScheduled, turns) = (false, turns + 1)
        var begun: [ExportEvent] = []
        swap(&begun, &spare)
        swap(&begun, &events)
        if let next = begun.dropFirst().firstIndex(where: \.isCheckpoint) {
            events = Array(begun[next...])
            begun.removeSubrange(next...)
        }
        return begun
    }
}

extension ExportEvent {
    fileprivate var isCheckpoint: Bool {
        if case .checkpoint = self { true } else { false }
    }
}

/// What waits for the log's thread: changes gather while it is busy (group commit).
struct LogDesk {
    /// A write as the thread has it.
    struct Save {
        let number: UInt64
        var change: LogChange
        var releases: [Letter]

        init(_ write: Write) {
            (number, change, releases) = (write.number, write.change, write.releases)
        }
    }
    enum Job {
        case save([Save])
        case fetch(Fetch)
    }
    private enum Ticket {
        case save
        case fetch(Fetch)
    }
    private var tickets: [Ticket] = []
    private(set) var waiting: [Save] = []
    private(set) var present: Job?

    mutating func submit(_ write: Save) {
        if waiting.isEmpty { tickets.append(.save) }
        waiting.append(write)
    }

    mutating func submit(_ fetch: Fetch) { tickets.append(.fetch(fetch)) }

    /// Takes the next job; nil while one is under way, or there is none.
    mutating func begin() -> Job? {
        guard present == nil, !tickets.isEmpty else { return nil }
        switch tickets.removeFirst() {
        case .fetch(let fetch): present = .fetch(fetch)
        case .save:
            present = .save(waiting)
            waiting = []
        }
        return present
    }

    mutating func finish() -> Job? { present.take() }
}

/// How fast a machine's parts are.
struct Pace {
    var save: ClosedRange<Interval>
    var apply: ClosedRange<Interval>
    var checkpoint: ClosedRange<Interval>
}

/// One member: what a process of it is made of while one runs, and what stays when it dies.
final class Machine {
    enum Power: Equatable {
        case up
        case paused(until: Moment, by: Int)
        case down
    }

    let id: NodeID
    let isWitness: Bool
    let pace: Pace
    var clock: VirtualClock
    var power = Power.down
    /// It is no founder: it knows nothing of the beginning.
    let isNewcomer: Bool
    /// Nobody has made it part of the mesh yet.
    var isSpare: Bool
    /// What its program speaks, and whether it was given the former release after the newer one had run on
    /// it or elsewhere: it may find that the mesh has gone on.
    var speaks = FeatureLevel.spoken
    var wasTakenBack = false
    /// It is lost with its disks, and never starts again.
    var isGone = false
    /// Counts the processes: what was under way for an earlier one is void.
    var life: UInt64 = 0
    var agent: Agent?
    var voter: Voter?
    var journal: JournalCore<SimulatedDisk>?
    var log = LogDesk()
    /// While its log is damaged: what is made of it, and the process that asks for what it lacks.
    var mend: LogMend<SimulatedDisk>?
    var patient: MendingMember?
    /// Its log was damaged since a process last found it whole.
    var isHurt = false
    /// All entries of the batches that were struck, by segment. What a base stands for is not mended
    /// there, and from then on the index alone tells what else such a batch held.
    var scars: [String: [EntryIdentity]] = [:]
    /// What it gives to others who lost their base.
    var baseDesk = BaseDesk()
    /// What the disks hold while no process has them open.
    var logDisk = SimulatedDisk()
    var volumesDisk = SimulatedDisk()
    var incarnation = Incarnation.zero
    /// Its volumes lack what its log no longer holds.
    var isPartial = false
    /// What an earlier process had applied: until this one has too, its images are ahead of it.
    var appliedBefore = LogIndex.zero
    /// Its letters said that its log is safe up to here; a later leader may have cut it since.
    var promised = LogIndex.zero
    /// Its own checkpoints let the log forget what is at or below.
    var compacted = LogIndex.zero
    /// What its log held when its last process ended; without the disk, which is `logDisk`.
    var remains: JournalCore<SimulatedDisk>?
    /// The highest term in which it promised anything, and the highest incarnation it spoke under.
    var spokenTerm = Term.zero
    var spokenIncarnation = Incarnation.zero
    /// When its process last took a letter of each other one.
    var heard: [Moment]
    /// Since when its process runs without a pause.
    var runsSince = Moment.zero
    /// When it last resigned from the primary's office, unless it acts again.
    var resignedAt: Moment?
    /// What reached a paused process.
    var inbox: [Occurrence] = []
    /// The earliest wake that is on the agenda.
    var wakeAt = Moment.never
    /// Until when what was asked of its disks is not done.
    var logStalledUntil = Moment.zero
    var volumesStalledUntil = Moment.zero
    /// Whether its disk has room beyond the reserve; the process is told when it can listen.
    var hasRoom = true
    /// Blocks of its images that faults have struck.
    var hurt: Set<HurtBlock> = []
    /// How many its process knew of.
    var damagedBefore = 0
    /// Until when its exports may answer, in true time.
    var servesUntil = Moment.zero
    /// The highest index that it was seen to take for committed.
    var commitSeen = LogIndex.zero

    init(
        id: NodeID, isWitness: Bool, isNewcomer: Bool, pace: Pace, clock: VirtualClock, peers: Int
    ) {
        (self.isNewcomer, isSpare) = (isNewcomer, isNewcomer)
        (self.id, self.isWitness, self.pace, self.clock) = (id, isWitness, pace, clock)
        heard = Array(repeating: .zero, count: peers)
    }

    var isUp: Bool { power != .down }
    /// The export of that name, where clients can connect to it here.
    func open(_ name: String) -> OpenExport? { agent?.open.first { $0.name == name } }
    var isPaused: Bool {
        if case .paused = power { return true }
        return false
    }

    /// Alters its disks, whoever has them open.
    func alterDisks(_ alter: (inout SimulatedDisk) -> Void) {
        alter(&logDisk)
        alter(&volumesDisk)
        journal?.alterDisk(alter)
        mend?.alterDisk(alter)
        agent?.exports.alterDisk(alter)
    }

    /// When the present process has to be woken.
    var deadline = Instant.distantFuture

    /// Reads the gossip, whichever process holds it.
    func gossip<T>(_ body: (Gossip) -> T) -> T? {
        if let agent { return body(agent.node.voter.gossip) }
        return voter.map { body($0.gossip) }
    }

    /// Below what its transport greets nobody.
    var meshLevel: FeatureLevel {
        guard let agent else { return Self.toldLevel(&voter) ?? .first }
        return agent.node.decisions.level
    }

    /// Whether its disk holds this entry, or has a base that stands for it.
    func holds(_ index: LogIndex, _ term: Term) -> Bool {
        Self.holds(&journal, index, term) ?? Self.holds(&remains, index, term) ?? false
    }

    /// In place: a copy of a journal counts every reference in it, and each commit asks all machines.
    @inline(never) private static func holds(
        _ log: inout JournalCore<SimulatedDisk>?, _ index: LogIndex, _ term: Term
    ) -> Bool? { log?.isHolding(index, term) }

    var voterDeadline: Instant { Self.deadline(&voter) ?? .distantFuture }

    // Asked with nearly every event, and so not by way of a copy of the core.
    var role: RaftRole? {
        guard let agent else { return Self.role(&voter) }
        return agent.node.voter.raft.role
    }
    var term: Term? {
        guard let agent else { return Self.term(&voter) }
        return agent.node.voter.raft.term
    }

    // In place, as `Agent.raft`. Never inlined: then a voter would be copied before it is known that there
    // is none.
    @inline(never) private static func role(_ voter: inout Voter?) -> RaftRole? { voter?.raft.role }
    @inline(never) private static func term(_ voter: inout Voter?) -> Term? { voter?.raft.term }
    @inline(never) private static func deadline(_ voter: inout Voter?) -> Instant? {
        voter?.deadline
    }
    @inline(never) private static func toldLevel(_ voter: inout Voter?) -> FeatureLevel? {
        voter?.toldLevel
    }

    /// Reads the consensus core, whichever process holds it.
    func raft<T>(_ body: (Raft) -> T) -> T? {
        if let agent { return agent.raft(body) }
        return voter.map { body($0.raft) }
    }
}
