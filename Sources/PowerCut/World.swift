internal import Disk
internal import JournalCore
internal import Mesh
internal import Record
internal import SimulatedDisk
internal import VolumeCore

/// What the script does, one after the other.
enum Deed: String, Hashable, Sendable, CaseIterable {
    /// Entries behind the log's end, perhaps with a hard state: one batch.
    case append
    /// A new leader's entries take the place of the last ones.
    case truncation
    /// A term and a vote.
    case vote
    /// Some of what the log holds is committed, and applied to the volumes.
    case commit
    case fold
    case checkpoint
    /// The log forgets what the volumes made durable.
    case compaction
    case preparation
    /// The member becomes primary for a moment.
    case opening
    /// The group went on without this member, whose log starts over on the group's base.
    case install
    /// A member that is behind gets what is committed.
    case catchUp
    /// Its volumes ask for what they lack.
    case resync
}

/// A member, the group it belongs to, and what was promised so far.
struct World: Sendable {
    private(set) var member: Member
    private(set) var group: Group
    /// What the member's log must hold.
    private(set) var log = LogModel()
    /// Its volumes promised to need no entry up to here.
    private(set) var checkpointed = LogIndex.zero
    private(set) var opening = ExportGeneration.none
    /// Its volumes may lack something.
    private(set) var mayResync = false
    private var term = Term(1)
    private var epoch = Epoch(2)
    private var random: SeededRandom

    init(seed: UInt64) throws {
        random = SeededRandom(seed: seed)
        group = try Group(limits: Member.limits)
        var disks = Disks()
        member = try Member(&disks, random: random.fork())
    }

    /// The same after a restart of the member, which had given out no opening behind `opening`.
    init(_ world: World, restarted member: Member, opening: ExportGeneration) {
        self = world
        self.member = member
        self.opening = opening
        checkpointed = member.exports.core.checkpointed
        mayResync = member.isResyncing
    }

    func steps(_ side: Disks.Side) -> Int { member.disks[side].counts.steps }
    /// Names on the log's disk.
    var logFiles: [String] {
        var disk = member.disks.log
        return (try? disk.list()) ?? []
    }

    mutating func alter(_ side: Disks.Side, _ alter: (inout SimulatedDisk) -> Void) {
        member.alter(side, alter)
    }

    /// Draws a deed and carries it out. Chance is the world's own: a copy does the same.
    mutating func step() throws -> Deed {
        let deed = draw()
        try carryOut(deed)
        return deed
    }

    private var uncommitted: [Entry] { log.entries.filter { $0.index > group.committed } }

    private mutating func draw() -> Deed {
        let number = random.next() % 64
        if log.last.index < group.committed {
            return number < 24 ? .catchUp : member.isResyncing && number < 56 ? .resync : .commit
        }
        if member.isResyncing, number < 16 { return .resync }
        switch number % 32 {
        case 0..<9: return .append
        case 9..<16: return .commit
        case 16 where !uncommitted.isEmpty: return .truncation
        case 17, 18: return .vote
        case 19, 20: return .fold
        case 21, 22, 23: return .checkpoint
        case 24, 25: return .compaction
        case 26..<29: return .preparation
        case 29 where !member.isResyncing && !group.volumes.isEmpty: return .opening
        case 30 where number < 32 && !member.isResyncing: return .install
        default: return .append
        }
    }

    private mutating func carryOut(_ deed: Deed) throws {
        switch deed {
        case .append: try append(behind: log.last, count: 1 + random.next() % 4)
        case .truncation:
            term = term.next
            let tail = uncommitted
            let first = tail[Int(random.next() % UInt64(tail.count))]
            let before = tail.last { $0.index < first.index }?.position ?? group.position
            try append(behind: before, count: 1 + random.next() % 3)
        case .vote:
            term = term.next
            try save(LogChange(hardState: hardState))
        case .commit: try commit(Int(1 + random.next() % 6))
        case .fold: try member.fold()
        case .checkpoint: try checkpoint()
        case .compaction: try compact()
        case .preparation: try member.prepareNext()
        case .opening: try open()
        case .install: try install()
        case .catchUp: try catchUp(Int(1 + random.next() % 6))
        case .resync: try resync()
        }
    }

    private var hardState: HardState {
        HardState(term: term, vote: NodeID(term.rawValue % 5), commit: group.committed)
    }

    private mutating func save(_ change: LogChange) throws {
        log.apply(change)
        try member.append(change)
    }

    private mutating func append(behind position: Position, count: UInt64) throws {
        var tail = uncommitted.filter { $0.index <= position.index }
        var entries: [Entry] = []
        for _ in 0..<count {
            let entry = try draw(behind: tail)
            tail.append(entry)
            entries.append(entry)
        }
        let isNews = random.chance(1, in: 3) || log.hardState.term != term
        try save(LogChange(entries: entries, hardState: isNews ? hardState : nil))
    }

    private mutating func draw(behind tail: [Entry]) throws -> Entry {
        let last = tail.last?.position ?? group.position
        let at = Position(index: last.index.next, term: term)
        return try group.draw(behind: tail, &random).sealed(
            at: at, group: Group.id, time: WallTime(at.index.rawValue))
    }

    private mutating func commit(_ count: Int) throws {
        for entry in uncommitted.prefix(count) { try group.commit(entry) }
        try member.apply(through: group.committed)
    }

    private mutating func checkpoint() throws {
        try member.checkpoint()
        noteVolumes()
    }

    private mutating func noteVolumes() {
        checkpointed = max(checkpointed, member.exports.core.checkpointed)
        mayResync = member.isResyncing
    }

    /// Volumes in the middle of a resync may be ahead of the log, which then goes no further than
    /// what it holds.
    private mutating func compact() throws {
        let index = min(checkpointed, log.last.index, member.handed)
        guard let position = log.entries.first(where: { $0.index == index })?.position else {
            return
        }
        let contents = [UInt8](repeating: UInt8(truncatingIfNeeded: index.rawValue), count: 700)
        try save(LogChange(base: Base(position: position, contents: contents)))
    }

    private mutating func open() throws {
        if random.chance(1, in: 3) { epoch = Epoch(epoch.rawValue + 1) }
        try member.openAndClose(epoch)
        opening = member.opening
    }

    /// What only this member held is gone; the group's checkpoint becomes the log's base.
    private mutating func install() throws {
        term = term.next
        for _ in 0..<6 + random.next() % 24 { try group.commit(try draw(behind: [])) }
        let position = try group.checkpoint()
        for _ in 0..<random.next() % 8 { try group.commit(try draw(behind: [])) }
        mayResync = true
        let contents = [UInt8](repeating: 9, count: 1_300)
        try save(
            LogChange(base: Base(position: position, contents: contents), hardState: hardState))
        try member.fallBehind(position.index)
    }

    private mutating func catchUp(_ count: Int) throws {
        let rest = group.log[Int(log.last.index.rawValue)...]
        try save(LogChange(entries: Array(rest.prefix(count))))
        try member.apply(through: group.committed)
        noteVolumes()
    }

    private mutating func resync() throws {
        try member.pull(from: &group)
        try member.apply(through: group.committed)
        noteVolumes()
    }
}

extension Group {
    /// The last committed entry's.
    var position: Position { log.last?.position ?? .zero }
}

extension World {
    /// Throws unless the member can become what the group is, and holds what it promised.
    func audit(promisedBy before: World, mayResync: Bool) throws {
        let core = member.exports.core
        guard core.checkpointed >= before.checkpointed || mayResync else {
            throw Broken("the checkpoint at \(before.checkpointed) is one at \(core.checkpointed)")
        }
        guard !core.isResyncing || mayResync else {
            throw Broken("the log begins behind the checkpoint at \(core.checkpointed)")
        }
        var world = self
        try world.finish()
        try world.compare()
        try world.expectNewOpening(behind: before.opening)
    }

    /// Until the member is what the group is.
    private mutating func finish() throws {
        if log.last.index < group.committed { try catchUp(.max) }
        try member.apply(through: group.committed)
        var rounds = 0
        while member.isResyncing {
            rounds += 1
            guard rounds < Self.roundsMax else { throw Broken("the resync does not end") }
            try resync()
        }
    }

    /// A resync of all volumes takes about twenty.
    private static var roundsMax: Int { 400 }

    private mutating func compare() throws {
        guard member.exports.core.list.map(\.id) == group.volumes.keys.sorted() else {
            throw Broken("there are other volumes than there should be")
        }
        for (id, bytes) in group.volumes.sorted(by: { $0.key < $1.key }) {
            var exports = member.exports
            let read = try exports.readCommitted(id, at: 0, count: bytes.count).get()
            guard read != bytes else { continue }
            let at = zip(read, bytes).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
            throw Broken("volume \(id) differs from byte \(at) on")
        }
    }

    private mutating func expectNewOpening(behind last: ExportGeneration) throws {
        guard !group.volumes.isEmpty, last != .none else { return }
        // Epochs only grow: the world's own is not below the last opening's.
        try member.openAndClose(epoch)
        guard member.opening > last else {
            throw Broken("opening \(member.opening) was given out before")
        }
    }
}
