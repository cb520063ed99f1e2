import Decisions
import Gossip
import Mending
import Mesh
import Node
import Raft
import Record
import VolumeCore
import Voting
import Wire

/// Three nodes whose letters arrive after a millisecond and whose disks save at once. Exports are
/// not there: a test sees what they would be told, and answers for them.
struct Trio {
    static let group = GroupID(1)
    static let regions = ["alpha", "beta", "gamma"].compactMap(RegionName.init)

    struct Seat {
        var node: Node
        var isUp = true
        /// What runs there while the log is damaged.
        var patient: MendingMember?
        /// What its disk holds.
        var base: Base
        var entries: [Entry] = []
        var hardState = HardState()
        /// What the exports were told, oldest first.
        var told: [Node.Effect] = []
        var answers: [Node.OperationID: Node.Answer] = [:]
        var checkpointsAsked = 0
        var halted: Node.Halt?
        /// What this process told of itself.
        var happened: [Node.Happening] = []
        var applied: [Ruled] = []
        /// What its volumes were last told of where the log begins, and whom to ask.
        var behind: LogIndex?
        var pulled: NodeID?
        /// It knew the mesh's state before the first entry.
        var isFounder = true
        /// Its volumes never get through with what they are given.
        var isBusy = false
        /// Whom it asked for what its log lacks.
        var mendsAsked: [NodeID] = []
    }

    private enum Mail {
        case letter(Letter)
        case note(Note, from: NodeID)
        case gossip(Gossip.Message, from: NodeID)
    }

    var now = Instant(nanoseconds: 1_000_000_000)
    var seats: [Seat] = []
    var isCut: (_ from: Int, _ to: Int) -> Bool = { _, _ in false }
    /// Most tests need none: no decision rests on it.
    var carriesGossip = false
    /// Notes that are lost on their way.
    var losesNotes = false
    private(set) var notes: [Note] = []
    private var mail: [(at: Instant, to: Int, Mail)] = []
    private var random = SeededRandom(seed: 7)
    /// No process speaks under an incarnation that another had.
    private var lives: UInt64 = 0
    private let lease: Interval
    private let shape: (inout Node.Settings) -> Void
    /// As the cluster file has them.
    private(set) var roster = Self.members

    init(
        lease: Interval = Self.leaseLength,
        _ shape: @escaping (inout Node.Settings) -> Void = { _ in }
    ) throws {
        (self.lease, self.shape) = (lease, shape)
        let base = Base(
            position: .zero, membership: Self.membership, state: Self.firstDecisions.encoded)
        for at in 0..<3 {
            let restored = try Restored(hardState: HardState(), base: base, entries: [])
            seats.append(Seat(node: make(at, restored), base: base))
        }
    }

    static let members = regions.enumerated().map { at, region in
        Node.Member(node: NodeID(UInt64(at) + 1), region: region, isWitness: false)
    }
    static var membership: Membership {
        Membership(voters: Electorate(data: members.map(\.node)), preferred: members.map(\.node))
    }
    static var firstDecisions: Decisions {
        Decisions(seats: members.map { Decisions.Seat(node: $0.node, region: $0.region) })
    }
    /// As long as `LeaseTerms` says by default in the cluster's file.
    static let leaseLength = Interval.milliseconds(400)

    private mutating func make(
        _ at: Int, _ restored: Restored, isFounder: Bool = true
    ) -> Node {
        var raft = RaftSettings()
        raft.followsPreference = false
        raft.lendsBases = true
        let core = Raft(
            seat: roster[at].node, isWitness: false, isFounded: isFounder, group: Self.group,
            settings: raft, restored: restored, random: random.fork(), at: now)
        let decisions = try? Decisions(parsing: restored.base.parsed().state.contents)
        return Node(
            settings: settings(at), voter: Voter(raft: core, gossip: gossip(at)),
            decisions: decisions ?? Self.firstDecisions, at: now)
    }

    private mutating func gossip(_ at: Int) -> Gossip {
        let peers = roster.map { Gossip.Peer(node: $0.node, region: $0.region, role: .data) }
        lives += 1
        return Gossip(
            self: peers[at], roster: peers, settings: Gossip.Settings(),
            boot: BootID(random.next()), incarnation: Incarnation(lives), random: random.fork(),
            at: now)
    }

    private func settings(_ at: Int) -> Node.Settings {
        guard let lease = LeaseTerms(length: lease) else { fatalError("a lawful lease") }
        var settings = Node.Settings(
            seat: roster[at].node, members: roster, order: roster.map(\.node), lease: lease)
        shape(&settings)
        return settings
    }

    /// An empty node whose configuration says that it founds nothing; all others' files name it.
    ///
    /// One that takes itself for a founder begins with what its own file says of the members.
    mutating func join(_ region: String, asFounder: Bool = false) throws {
        let id = NodeID(UInt64(seats.count) + 1)
        name(id, region, isWitness: false)
        let own = Decisions(
            seats: asFounder ? roster.map { .init(node: $0.node, region: $0.region) } : [])
        let base = Base(position: .zero, membership: Self.membership, state: own.encoded)
        let restored = try Restored(hardState: HardState(), base: base, entries: [])
        seats.append(
            Seat(
                node: make(seats.count, restored, isFounder: asFounder), base: base,
                isFounder: asFounder))
    }

    /// Everybody's file names it.
    mutating func name(_ id: NodeID, _ region: String, isWitness: Bool) {
        guard let name = RegionName(region) else { fatalError("a lawful name") }
        roster.append(Node.Member(node: id, region: name, isWitness: isWitness))
        for at in seats.indices { give(at, .roster(roster, order: roster.map(\.node))) }
    }

    /// Its volumes have all that they lacked.
    mutating func becomeWhole(_ at: Int) {
        guard let behind = seats[at].behind else { return }
        give(at, .resync(nil, behind: behind))
    }

    /// The process ends; what was saved stays.
    mutating func crash(_ at: Int) { seats[at].isUp = false }

    /// Its disk is emptied.
    mutating func wipe(_ at: Int) {
        (seats[at].hardState, seats[at].entries) = (HardState(), [])
        seats[at].base = Base(
            position: .zero, membership: Self.membership, state: Self.firstDecisions.encoded)
    }

    /// The process ends, and the next one finds a log that nobody mends.
    mutating func damage(_ at: Int) {
        let peers = roster.map(\.node).filter { $0 != roster[at].node }
        let lost = EntryIdentity(
            position: Position(index: .countMax, term: Term(1)), checksum: 0, byteCount: 100)
        let mending = Mending(
            Mending.Settings(peers: peers),
            Mending.Need(entries: [lost], base: nil, basePosition: .zero, commit: .countMax),
            session: MendSession(1), at: now)
        seats[at].patient = MendingMember(
            gossip: gossip(at), mending: mending, dataPeers: peers, last: .countMax,
            speaks: settings(at).speaks, at: now)
    }

    private mutating func treat(_ at: Int, _ event: Node.Event) {
        var effects: [MendingMember.Effect] = []
        switch event {
        case .wake: seats[at].patient?.handle(.wake, at: now, &effects)
        case .gossip(let message, let from):
            seats[at].patient?.handle(.gossip(message, from: from), at: now, &effects)
        case .incarnationPersisted(let own):
            seats[at].patient?.handle(.incarnationPersisted(own), at: now, &effects)
        default: break
        }
        for case .mend(.send(_, let to)) in effects { seats[at].mendsAsked.append(to) }
        for case .gossip(let effect) in effects {
            switch effect {
            case .send(let message, let to): carryOut(.gossip(message, to: to), at)
            case .persist(let persist): carryOut(.persist(persist), at)
            default: break
            }
        }
    }

    mutating func restart(_ at: Int) throws {
        seats[at].patient = nil
        let restored = try Restored(
            hardState: seats[at].hardState, base: seats[at].base, entries: seats[at].entries)
        seats[at].node = make(at, restored, isFounder: seats[at].isFounder)
        seats[at].isUp = true
        (seats[at].told, seats[at].applied, seats[at].happened) = ([], [], [])
    }

    mutating func give(_ at: Int, _ event: Node.Event) {
        guard seats[at].isUp else { return }
        guard seats[at].patient == nil else { return treat(at, event) }
        var effects: [Node.Effect] = []
        seats[at].node.handle(event, at: now, &effects)
        for effect in effects { carryOut(effect, at) }
    }

    private mutating func carryOut(_ effect: Node.Effect, _ at: Int) {
        switch effect {
        case .save(let write): save(write, at)
        case .send(let letter): post(letter.to, .letter(letter), from: at)
        case .note(let note, let to):
            notes.append(note)
            if !losesNotes { post(to, .note(note, from: seats[at].node.seat), from: at) }
        case .fetch(let fetch):
            give(
                at,
                .fetched(
                    fetch,
                    seats[at].entries.filter { $0.index >= fetch.first && $0.index <= fetch.last }))
        case .apply(let ruled):
            seats[at].applied += ruled
            if let last = ruled.last, !seats[at].isBusy {
                give(at, .applied(through: last.entry.index))
            }
        case .checkpoint: seats[at].checkpointsAsked += 1
        case .behind(let index): seats[at].behind = index
        case .pull(let source): seats[at].pulled = source
        case .answer(let id, let answer): seats[at].answers[id] = answer
        case .halt(let halt): seats[at].halted = halt
        case .open, .lease, .drain, .close, .placed, .durable, .cut: seats[at].told.append(effect)
        case .happened(let happening): seats[at].happened.append(happening)
        case .gossip(let message, let to):
            guard carriesGossip else { return }
            post(to, .gossip(message, from: seats[at].node.seat), from: at)
        case .persist(let persist):
            guard carriesGossip else { return }
            for letter in persist.releases {
                post(letter.to, .gossip(letter.message, from: seats[at].node.seat), from: at)
            }
            give(at, .incarnationPersisted(persist.incarnation))
        }
    }

    private mutating func save(_ write: Write, _ at: Int) {
        if let base = write.change.base {
            seats[at].base = base
            seats[at].entries.removeAll { $0.index <= base.position.index }
        }
        if let first = write.change.entries.first {
            seats[at].entries.removeAll { $0.index >= first.index }
            seats[at].entries += write.change.entries
        }
        if let hardState = write.change.hardState { seats[at].hardState = hardState }
        for letter in write.releases { post(letter.to, .letter(letter), from: at) }
        give(at, .saved(through: write.number))
    }

    private mutating func post(_ to: NodeID, _ item: Mail, from: Int) {
        let to = Int(to.rawValue) - 1
        guard seats.indices.contains(to), !isCut(from, to) else { return }
        mail.append((now + .milliseconds(1), to, item))
    }

    /// Lets time pass, a millisecond after the other.
    mutating func run(_ length: Interval) { _ = run(upTo: length) { _ in false } }

    /// Until `isDone`; false if that did not come in time.
    @discardableResult
    mutating func run(upTo length: Interval, until isDone: (Trio) -> Bool) -> Bool {
        let end = now + length
        while now < end {
            if isDone(self) { return true }
            now = now + .milliseconds(1)
            let due = mail.filter { $0.at <= now }
            mail.removeAll { $0.at <= now }
            for (_, to, item) in due {
                switch item {
                case .letter(let letter): give(to, .letter(letter))
                case .note(let note, let from): give(to, .note(note, from: from))
                case .gossip(let message, let from): give(to, .gossip(message, from: from))
                }
            }
            for at in seats.indices where seats[at].isUp {
                let deadline = seats[at].patient?.deadline ?? seats[at].node.deadline
                if now >= deadline { give(at, .wake) }
            }
        }
        return isDone(self)
    }

    /// The node whose exports are open.
    var primary: Int? { seats.indices.first { isOpen($0) } }

    func isOpen(_ at: Int) -> Bool {
        guard seats[at].isUp, case .acting(let acting) = seats[at].node.office else { return false }
        return acting.isOpen
    }

    var leader: Int? {
        seats.indices.filter { seats[$0].isUp && seats[$0].node.voter.raft.role == .leader }
            .max { seats[$0].node.voter.raft.term < seats[$1].node.voter.raft.term }
    }

    func epoch(_ at: Int) -> Epoch { seats[at].node.decisions.tenure.epoch }

    /// What the exports of a node were told, in words.
    func words(_ at: Int) -> [String] {
        seats[at].told.compactMap { effect in
            switch effect {
            case .open(let epoch, _): "open \(epoch)"
            case .drain: "drain"
            case .close: "close"
            default: nil
            }
        }
    }

    func commands(_ at: Int) -> [Command] {
        seats[at].entries.filter { $0.kind == .command }
            .compactMap { try? Command(parsing: $0.payload) }
    }
}
