import Mesh
@testable import Raft
import Record

/// A disk that answers late: what isn't yet saved is lost by a crash.
struct SlowDisk {
    var hardState = HardState()
    var base: Base
    var entries: [Entry] = []

    /// By log matching, all before it too.
    func holds(_ position: Position) -> Bool {
        guard position.index > base.position.index else { return true }
        guard let first = entries.first?.index, position.index >= first else { return false }
        let at = Int(position.index.rawValue - first.rawValue)
        return at < entries.count && entries[at].position == position
    }

    mutating func keep(_ change: LogChange) {
        if let new = change.base {
            let held = entries.first { $0.index == new.position.index }
            entries =
                held?.term == new.position.term
                ? entries.filter { $0.index > new.position.index } : []
            base = new
        }
        if let first = change.entries.first {
            entries.removeAll { $0.index >= first.index }
            entries += change.entries
        }
        if let state = change.hardState { hardState = state }
    }
}

/// Cores, disks and a network in one thread; all chance from one seed.
struct Cluster {
    struct Node {
        var raft: Raft
        var disk: SlowDisk
        var writes: [Write] = []
        var applied: [Entry] = []
        var isUp = true
        /// What the state machine was restored to.
        var restoredTo: LogIndex = .zero
    }
    struct Flight {
        let due: Instant
        let order: UInt64
        let letter: Letter
    }

    static let group = GroupID(7)
    /// As the group begins.
    let membership: Membership
    /// Machines that hold no data, whoever votes.
    let witnesses: [NodeID]
    var witness: NodeID? { membership.voters.witness }
    var settings: RaftSettings
    var nodes: [Node] = []
    var flights: [Flight] = []
    var now = Instant.zero
    var random: SeededRandom
    var order: UInt64 = 0
    var effects: [(NodeID, Effect)] = []
    var readsReady: [(NodeID, UInt64, LogIndex)] = []
    var refusals: [ProposalRefusal] = []
    var membershipRefusals: [MembershipRefusal] = []
    /// Whom each letter may reach.
    var isCut: (NodeID, NodeID) -> Bool = { _, _ in false }
    var lossPercent: UInt64 = 0
    var duplicatePercent: UInt64 = 0
    var delay = Interval.milliseconds(2)
    var jitter = Interval.zero
    /// Disks that save nothing for now.
    var stalled: Set<NodeID> = []
    var appliesAtOnce = true
    /// Whether disks lose what they held in this run; else nobody may be said to have.
    var mayForget = false
    var losses: [NodeID] = []
    /// Those whose volumes, once they were restored, lack something until the test says otherwise.
    var staysPartial: Set<NodeID> = []
    var leftBehind: [(node: NodeID, through: LogIndex)] = []
    var witnessWindowBytesMax = 2_000
    /// Whether every moment is searched for what the witness forgot too early.
    var watchesWitness = true
    /// What any leader ever took for committed.
    var promised: [LogIndex: Term] = [:]
    var promisedIndex = LogIndex.zero
    /// Letters in words, if they are kept: those that are sent, and what became of them.
    var keepsLetters = false
    var letters: [String] = []
    /// Bytes of all letters sent, by receiver.
    var received: [NodeID: Int] = [:]
    var leadersByTerm: [Term: NodeID] = [:]
    /// Pairs of configurations that followed each other, as far as they were looked at.
    var judged: Set<[Membership]> = []
    var membershipsDone: [LogIndex: Membership] = [:]
    var committed: [LogIndex: Entry] = [:]
    var violations: [String] = []

    init(
        _ count: Int, seed: UInt64 = 1, preferred: [NodeID] = [], hasWitness: Bool = false,
        spares: Int = 0, hasSpareWitness: Bool = false, settings: RaftSettings = RaftSettings()
    ) {
        let voters = (1...UInt64(count)).map { NodeID($0) }
        membership = Membership(
            voters: Electorate(
                data: voters, witness: hasWitness ? NodeID(UInt64(count) + 1) : nil),
            preferred: preferred)
        let inUse = UInt64(count + (hasWitness ? 1 : 0))
        let machines = inUse + UInt64(spares + (hasSpareWitness ? 1 : 0))
        witnesses =
            (hasWitness ? [NodeID(inUse)] : []) + (hasSpareWitness ? [NodeID(machines)] : [])
        self.settings = settings
        random = SeededRandom(seed: seed)
        for node in (1...machines).map({ NodeID($0) }) {
            let base = Base(position: .zero, membership: membership, state: [])
            let disk = SlowDisk(base: base)
            nodes.append(Node(raft: start(node, disk), disk: disk))
        }
    }

    /// As from a journal: only the newest entries come to memory.
    private mutating func start(_ node: NodeID, _ disk: SlowDisk) -> Raft {
        let (entries, tail) = (disk.entries, Array(disk.entries.suffix(2)))
        guard
            var restored = try? Restored(
                hardState: disk.hardState, base: disk.base, positions: entries.map(\.position),
                configurations: entries.filter { $0.kind == .membership },
                time: entries.last?.time ?? .zero, tail: tail)
        else { invariantFailure() }
        let others = entries.dropLast(tail.count)
        restored.untailedByteCount = others.reduce(0) { $0 + $1.bytes.count }
        var settings = settings
        if witnesses.contains(node) { settings.windowBytesMax = witnessWindowBytesMax }
        return Raft(
            seat: node, isWitness: witnesses.contains(node),
            isWhole: disk.base.position == .zero || !staysPartial.contains(node),
            group: Self.group, settings: settings, restored: restored, random: random.fork(),
            at: now)
    }

    private func invariantFailure() -> Never { preconditionFailure("a base that can't be read") }

    subscript(_ node: UInt64) -> Raft { nodes[Int(node) - 1].raft }

    var leaders: [NodeID] {
        nodes.filter { $0.isUp && $0.raft.role == .leader }.map(\.raft.seat)
    }
    func isUp(_ node: NodeID) -> Bool { nodes[Int(node.rawValue) - 1].isUp }
    /// The leader of the highest term.
    var leader: UInt64? {
        nodes.filter { $0.isUp && $0.raft.role == .leader }.max { $0.raft.term < $1.raft.term }?
            .raft.seat.rawValue
    }

    @discardableResult
    mutating func give(_ node: UInt64, _ event: Event) -> [Effect] {
        let at = Int(node) - 1
        guard nodes[at].isUp else { return [] }
        var wanted: [Effect] = []
        nodes[at].raft.handle(event, at: now, &wanted)
        for effect in wanted { carryOut(effect, at) }
        check(at)
        return wanted
    }

    private mutating func carryOut(_ effect: Effect, _ at: Int) {
        let node = nodes[at].raft.seat
        effects.append((node, effect))
        switch effect {
        case .save(let write): nodes[at].writes.append(write)
        case .send(let letter): post(letter)
        case .apply(let entries):
            if witnesses.contains(node) {
                violations.append("the witness applies \(entries.count)")
            }
            nodes[at].applied += entries
            noteCommitted(entries, node)
            if appliesAtOnce, let last = entries.last {
                give(node.rawValue, .applied(last.index))
            }
        case .fetch(let fetch):
            var bytes = 0
            let found = nodes[at].disk.entries
                .filter { $0.index >= fetch.first && $0.index <= fetch.last }
                .prefix {
                    bytes += $0.bytes.count
                    return bytes <= fetch.bytesMax || bytes == $0.bytes.count
                }
            give(node.rawValue, .fetched(fetch, Array(found)))
        case .readReady(let id, let index): readsReady.append((node, id, index))
        case .proposalsRefused(_, let why): refusals.append(why)
        case .restore(let base):
            nodes[at].restoredTo = base.position.index
            if !staysPartial.contains(node) { give(node.rawValue, .replica(isWhole: true)) }
        case .leftBehind(let left, let index): leftBehind.append((left, index))
        case .became(.leader, let term, _):
            if let other = leadersByTerm[term], other != node {
                violations.append("\(other) and \(node) both led term \(term)")
            }
            leadersByTerm[term] = node
            checkCompleteness(at)
        case .replicaLost(let lost, let index):
            losses.append(lost)
            if !mayForget { violations.append("\(lost) is said to have lost up to \(index)") }
        case .contradicted(let found):
            if !mayForget { violations.append("\(node) is contradicted: \(found)") }
        case .membershipRefused(let why): membershipRefusals.append(why)
        case .membershipChanged(let members, let index): noteMembership(members, index, node)
        case .became, .accepted, .readRefused, .steppedDown: break
        }
    }

    mutating func post(_ letter: Letter) {
        let isLost = isCut(letter.from, letter.to) || random.chance(lossPercent, in: 100)
        if keepsLetters { letters.append("\(words(letter))\(isLost ? " (lost)" : "")") }
        guard !isLost else { return }
        guard let copy = try? Letter(parsing: letter.encoded), copy == letter else {
            violations.append("a letter changed on the wire")
            return
        }
        received[letter.to, default: 0] += letter.encoded.count
        if case .snapshot = letter.body, witnesses.contains(letter.from) {
            violations.append("the witness sent its base as a snapshot")
        }
        let copies = duplicatePercent > 0 && random.chance(duplicatePercent, in: 100) ? 2 : 1
        for _ in 0..<copies {
            order += 1
            let extra = random.interval(in: .zero...jitter)
            flights.append(Flight(due: now + delay + extra, order: order, letter: copy))
        }
    }

    /// The first `count` writes of `node` become durable, all by default.
    mutating func save(_ node: UInt64, _ count: Int = .max) {
        let at = Int(node) - 1
        guard nodes[at].isUp else { return }
        let done = Array(nodes[at].writes.prefix(count))
        nodes[at].writes.removeFirst(done.count)
        for write in done {
            nodes[at].disk.keep(write.change)
            for letter in write.releases { post(letter) }
        }
        if let last = done.last { give(node, .saved(through: last.number)) }
    }

    mutating func crash(_ node: UInt64) {
        nodes[Int(node) - 1].isUp = false
        nodes[Int(node) - 1].writes = []
    }

    mutating func restart(_ node: UInt64) {
        let at = Int(node) - 1
        nodes[at] = Node(raft: start(NodeID(node), nodes[at].disk), disk: nodes[at].disk)
    }

    /// One millisecond passes.
    mutating func step() {
        now = now + .milliseconds(1)
        let due = flights.filter { $0.due <= now }.sorted {
            ($0.due, $0.order) < ($1.due, $1.order)
        }
        flights.removeAll { $0.due <= now }
        for flight in due { give(flight.letter.to.rawValue, .received(flight.letter)) }
        for at in nodes.indices where nodes[at].isUp {
            let id = nodes[at].raft.seat
            if !stalled.contains(id), !nodes[at].writes.isEmpty { save(id.rawValue) }
            if nodes[at].raft.deadline <= now { give(id.rawValue, .deadlineReached) }
        }
        if watchesWitness { checkForgetting() }
    }

    /// Milliseconds that span `count` of the shortest election timeouts.
    func timeouts(_ count: UInt64) -> Int {
        Int(settings.electionFloor.nanoseconds / 1_000_000 * count)
    }

    mutating func run(_ milliseconds: Int) { for _ in 0..<milliseconds { step() } }

    /// Steps until `done`, at most `milliseconds`; whether it came to that.
    mutating func run(upTo milliseconds: Int, until done: (Cluster) -> Bool) -> Bool {
        for _ in 0..<milliseconds {
            if done(self) { return true }
            step()
        }
        return done(self)
    }

    mutating func propose(_ node: UInt64, _ payload: [UInt8] = [1, 2, 3]) {
        let draft = Draft(.write, epoch: Epoch(1), payload: payload)
        give(node, .propose([draft], time: WallTime(now.nanoseconds)))
    }
}
