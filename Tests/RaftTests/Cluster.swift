import Mesh
import Raft
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
    let membership: Membership
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
    var witnessWindowBytesMax = 2_000
    /// Whether every moment is searched for what the witness forgot too early.
    var watchesWitness = true
    /// What any leader ever took for committed.
    var promised: [LogIndex: Term] = [:]
    var promisedIndex = LogIndex.zero
    /// Bytes of all letters sent, by receiver.
    var received: [NodeID: Int] = [:]
    var leadersByTerm: [Term: NodeID] = [:]
    var committed: [LogIndex: Entry] = [:]
    var violations: [String] = []

    init(
        _ count: Int, seed: UInt64 = 1, preferred: [NodeID] = [], hasWitness: Bool = false,
        settings: RaftSettings = RaftSettings()
    ) {
        let voters = (1...UInt64(count)).map { NodeID($0) }
        membership = Membership(
            voters: Electorate(
                data: voters, witness: hasWitness ? NodeID(UInt64(count) + 1) : nil),
            preferred: preferred)
        self.settings = settings
        random = SeededRandom(seed: seed)
        for node in membership.members {
            let base = Base(position: .zero, membership: membership, state: [])
            let disk = SlowDisk(base: base)
            nodes.append(Node(raft: start(node, disk), disk: disk))
        }
    }

    private mutating func start(_ node: NodeID, _ disk: SlowDisk) -> Raft {
        guard
            let restored = try? Restored(
                hardState: disk.hardState, base: disk.base, entries: disk.entries)
        else { invariantFailure() }
        var settings = settings
        if node == witness { settings.windowBytesMax = witnessWindowBytesMax }
        return Raft(
            seat: node, group: Self.group, settings: settings, restored: restored,
            random: random.fork(), at: now)
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
            if node == witness { violations.append("the witness applies \(entries.count)") }
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
        case .restore(let base): nodes[at].restoredTo = base.position.index
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
        case .became, .accepted, .readRefused, .steppedDown: break
        }
    }

    mutating func post(_ letter: Letter) {
        guard !isCut(letter.from, letter.to), !random.chance(lossPercent, in: 100) else { return }
        guard let copy = try? Letter(parsing: letter.encoded), copy == letter else {
            violations.append("a letter changed on the wire")
            return
        }
        received[letter.to, default: 0] += letter.encoded.count
        if case .snapshot = letter.body, letter.from == witness {
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

extension Cluster {
    var summary: String {
        nodes.map {
            let (raft, up) = ($0.raft, $0.isUp)
            return "\(raft.seat) up \(up) \(raft.role) term \(raft.term) last "
                + "\(raft.lastPosition) commit \(raft.commitIndex) applied \(raft.appliedIndex) "
                + "durable \(raft.durableIndex) timeout \(raft.electionTimeout) "
                + "\(raft.progress.map { "\($0.node) \($0.match) \($0.next) \($0.state)" })"
        }.joined(separator: "\n")
    }

    /// State machine safety (Raft fig. 3).
    private mutating func noteCommitted(_ entries: [Entry], _ node: NodeID) {
        for entry in entries {
            if let known = committed[entry.index], known != entry {
                violations.append("\(node) applied \(entry.position), not \(known.position)")
            }
            committed[entry.index] = entry
        }
    }

    /// Leader completeness (Raft fig. 3).
    private mutating func checkCompleteness(_ at: Int) {
        let raft = nodes[at].raft
        let held = Dictionary(
            uniqueKeysWithValues: everything(at).map { ($0.index, $0) })
        for (index, entry) in committed where index > raft.basePosition.index {
            if held[index] != entry {
                violations.append("leader \(raft.seat) lacks committed \(entry.position)")
            }
        }
        for (index, term) in promised where index > raft.basePosition.index {
            if raft.term(at: index) != term {
                violations.append("leader \(raft.seat) lacks promised \(index)@\(term)")
            }
        }
    }

    /// What a leader takes for committed is promised, applied or not.
    private mutating func notePromised(_ raft: Raft) {
        while promisedIndex < raft.commitIndex {
            promisedIndex = promisedIndex.next
            promised[promisedIndex] = raft.term(at: promisedIndex)
        }
        if let term = promised[raft.commitIndex], raft.term(at: raft.commitIndex) != term {
            violations.append("leader \(raft.seat) committed another \(raft.commitIndex)")
        }
    }

    /// ADR 2: any majority that contains the witness also contains a data voter whose disk holds
    /// all that the witness forgot.
    private mutating func checkForgetting() {
        guard let witness else { return }
        let base = self[witness.rawValue].basePosition
        let voters = membership.voters
        let lacking = nodes.filter { $0.raft.seat != witness && !$0.disk.holds(base) }.count
        if lacking + 1 >= voters.quorum {
            violations.append("\(lacking) data voters lack \(base), which the witness forgot")
        }
        let own = everything(Int(witness.rawValue) - 1).first { leadersByTerm[$0.term] == witness }
        if let own { violations.append("the witness appended \(own.position) as leader") }
    }

    /// The whole log of a node, with what it hasn't saved yet.
    func everything(_ at: Int) -> [Entry] {
        var disk = nodes[at].disk
        for write in nodes[at].writes { disk.keep(write.change) }
        return disk.entries
    }

    private mutating func check(_ at: Int) {
        let raft = nodes[at].raft
        if raft.durableIndex > raft.lastPosition.index { violations.append("durable past the end") }
        if raft.appliedIndex > raft.commitIndex { violations.append("applied past the commit") }
        if raft.role == .leader { notePromised(raft) }
    }

    /// Log matching (Raft §5.3): equal (index, term) means equal prefixes.
    func logMismatch() -> String? {
        for a in nodes.indices {
            for b in nodes.indices where b > a {
                let (left, right) = (everything(a), everything(b))
                let other = Dictionary(uniqueKeysWithValues: right.map { ($0.index, $0) })
                var agreed = false
                for entry in left.reversed() {
                    guard let twin = other[entry.index] else { continue }
                    if agreed, twin != entry { return "\(a) and \(b) differ below \(entry.index)" }
                    if twin.term == entry.term { agreed = true }
                }
            }
        }
        return nil
    }
}
