import Mending
import Mesh
import Record
import Testing

func entry(_ index: UInt64, term: UInt64 = 1, byteCount: Int = 100) -> Entry {
    Draft(
        .write, epoch: Epoch(1),
        payload: [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: byteCount)
    )
    .sealed(
        at: Position(index: LogIndex(index), term: Term(term)), group: GroupID(1),
        time: WallTime(index))
}

func base(_ index: UInt64, term: UInt64 = 1, byteCount: Int = 10) -> Base {
    Base(
        position: Position(index: LogIndex(index), term: Term(term)),
        contents: [UInt8](repeating: 7, count: byteCount))
}

let session = MendSession(77)

/// A peer's log, as one that answers has it.
struct Peer {
    var entries: [Entry] = []
    var base = LogIndex.zero
    /// What it gives when a base is asked for.
    var gives: Base?
    /// Can't be read here.
    var damaged: Set<LogIndex> = []
    var isSilent = false
    var desk = BaseDesk()
    /// As a former release gives it; nil: as this one does.
    var pieceByteCount: Int?

    mutating func answers(_ message: MendMessage) -> [MendMessage] {
        guard !isSilent else { return [] }
        switch message {
        case .ask(let session, let wanted):
            return wanted.compactMap { one in
                if one.index <= base { return .say(session, .compacted, [one]) }
                if damaged.contains(one.index) { return nil }
                let found = entries.first { $0.identity == one }
                return found.map { .give($0) } ?? .say(session, .lacks, [one])
            }
        case .askBase(_, _, let offset) where pieceByteCount != nil:
            guard let gives, let count = pieceByteCount else { return [] }
            let bytes = Array(gives.contents.dropFirst(Int(offset)).prefix(count))
            return [
                .basePiece(BasePiece(base: BaseIdentity(gives), offset: offset, bytes: bytes))
            ]
        case .askBase(let index, let of, let offset):
            let gives = gives
            let answer = desk.answer(atLeast: index, of: of, offset: offset) { gives }
            return answer.map { [$0] } ?? []
        case .give, .say, .basePiece: return []
        }
    }
}

/// A mend on virtual time, with what it restored.
private struct Run {
    var mending: Mending
    var peers: [NodeID: Peer]
    var now = Instant.zero
    var restored: [Entry] = []
    var restoredBase: Base?
    var asked: [(NodeID, MendMessage)] = []
    var bytesAskedMax = 0

    init(
        _ entries: [Entry], base: Base? = nil, above: UInt64 = 0, commit: UInt64 = 0,
        peers: [Peer], patienceMax: Interval? = nil
    ) {
        let named = peers.enumerated().map { (NodeID(UInt64($0.offset) + 2), $0.element) }
        self.peers = Dictionary(uniqueKeysWithValues: named)
        var settings = Mending.Settings(peers: named.map(\.0))
        if let patienceMax { settings.patienceMax = patienceMax }
        mending = Mending(
            settings,
            Mending.Need(
                entries: entries.map(\.identity), base: base.map(BaseIdentity.init),
                basePosition: base?.position
                    ?? Position(index: LogIndex(above), term: Term(above == 0 ? 0 : 1)),
                commit: LogIndex(commit)), session: session, at: .zero)
        mending.hasWholePeer = true
    }

    /// Until the mend is over, or for so many turns.
    mutating func go(_ turns: Int = 40) {
        for _ in 0..<turns where mending.outcome == nil {
            now = max(now, mending.deadline)
            var effects: [Mending.Effect] = []
            mending.handle(.wake, at: now, &effects)
            carryOut(effects)
        }
    }

    mutating func carryOut(_ effects: [Mending.Effect]) {
        for effect in effects {
            switch effect {
            case .restore(let entry): restored.append(entry)
            case .restoreBase(let base): restoredBase = base
            case .send(let message, let to):
                asked.append((to, message))
                if case .ask(_, let entries) = message {
                    bytesAskedMax = max(
                        bytesAskedMax, entries.reduce(0) { $0 + Int($1.byteCount) })
                }
                for answer in peers[to]?.answers(message) ?? [] { receive(answer, from: to) }
            }
        }
    }

    mutating func receive(_ message: MendMessage, from peer: NodeID) {
        var effects: [Mending.Effect] = []
        mending.handle(.received(message, from: peer), at: now, &effects)
        carryOut(effects)
    }
}

@Suite("What a damaged log lacks comes from the peers")
struct MendingTests {
    @Test func `nothing lacks, and nobody is asked`() {
        let run = Run([], peers: [Peer()])
        #expect(run.mending.outcome == .whole)
    }

    @Test func `exactly what is missing is asked for, and restored`() {
        var run = Run([entry(4), entry(9)], peers: [Peer(entries: (1...12).map { entry($0) })])
        run.go()
        #expect(run.mending.outcome == .whole)
        #expect(run.restored == [entry(4), entry(9)])
        #expect(run.asked.count == 1)
    }

    @Test func `three logs with holes at different places fill each other's`() {
        let all = (1...9).map { entry($0) }
        for own in 0..<3 {
            let holes = { (node: Int) in
                Set(all.map(\.index).filter { Int($0.rawValue) % 3 == node })
            }
            let others = (0..<3).filter { $0 != own }.map { Peer(entries: all, damaged: holes($0)) }
            var run = Run(all.filter { holes(own).contains($0.index) }, peers: others)
            run.go()
            #expect(run.mending.outcome == .whole)
        }
    }

    @Test(arguments: [400, 800, 1_200, 1_600, 2_400, 4_800])
    func `what one can't read is asked of the next, whatever else nobody has`(patience: UInt64) {
        var run = Run(
            [entry(5), entry(7), entry(9)],
            peers: [
                Peer(entries: [entry(7)], damaged: [LogIndex(5)]),
                Peer(entries: [entry(5)], isSilent: true), Peer(),
            ], patienceMax: .milliseconds(patience))
        run.go(20)
        run.peers[NodeID(3)]?.isSilent = false
        run.go(100)
        #expect(run.mending.outcome == .cut(before: LogIndex(9)))
    }

    @Test func `another entry at the same index is not taken`() {
        var run = Run([entry(4, term: 2)], peers: [Peer(isSilent: true)])
        run.go(2)
        run.receive(.give(entry(4, term: 1)), from: NodeID(2))
        run.receive(.give(entry(4, term: 2, byteCount: 101)), from: NodeID(2))
        run.receive(.give(entry(4, term: 2)), from: NodeID(9))
        #expect(run.restored == [] && run.mending.outcome == nil)
        run.receive(.give(entry(4, term: 2)), from: NodeID(2))
        #expect(run.mending.outcome == .whole)
    }

    @Test func `who does not answer holds up nobody`() {
        var run = Run([entry(4)], peers: [Peer(isSilent: true), Peer(entries: [entry(4)])])
        run.go(4)
        #expect(run.mending.outcome == .whole)
        #expect(run.now <= .zero + .seconds(1))
    }

    @Test func `a peer that is asked in vain is asked again, each time twice as late`() {
        var run = Run([entry(4)], peers: [Peer(isSilent: true)])
        run.go(100)
        #expect(run.now >= .zero + .milliseconds(99 * 400))
        // At 0, 0.4, 1.2, 2.8, 6, 12.4 and 25.2 s; then after 30 s each.
        #expect(run.asked.count == 7)
        run.peers[NodeID(2)] = Peer(entries: [entry(4)])
        run.go(100)
        #expect(run.mending.outcome == .whole && run.asked.count == 8)
    }

    @Test func `one that was away, or begins anew, is asked at once`() {
        var run = Run([entry(4)], peers: [Peer(isSilent: true)])
        run.go(100)
        run.peers[NodeID(2)] = Peer(entries: [entry(4)])
        run.mending.meetsAnew(NodeID(2))
        run.go(1)
        #expect(run.mending.outcome == .whole)
    }

    @Test func `no more is under way than fits the window`() {
        let many = (1...300).map { entry($0, byteCount: 60_000) }
        var run = Run(many, peers: [Peer(entries: many)])
        run.go()
        #expect(run.mending.outcome == .whole && run.restored.count == 300)
        #expect(run.bytesAskedMax <= 1 << 20)
        // One after the other without a pause: the window, not the pace, is the limit.
        #expect(run.now < .zero + .seconds(1))
    }

    @Test
    func `where a peer's base stands for it, that base is taken, and what lies above it asked for`()
    {
        let later = base(20, byteCount: 3 << 20)
        var peer = Peer(entries: (21...30).map { entry($0) }, base: LogIndex(20))
        peer.gives = later
        var run = Run([entry(4), entry(25)], peers: [peer, Peer(isSilent: true)])
        run.go()
        #expect(run.mending.outcome == .base(later))
        #expect(run.restored == [entry(25)])
    }

    @Test func `an entry is taken from whom it can be had, though another compacted it`() {
        var compacted = Peer(base: LogIndex(20))
        compacted.gives = base(20)
        var run = Run([entry(4)], peers: [Peer(entries: [entry(4)]), compacted])
        run.go()
        #expect(run.mending.outcome == .whole)
    }

    @Test func `the very base is put back, and a higher one stands for it`() {
        let own = base(8)
        var same = Run([], base: own, peers: [Peer(gives: own)])
        same.go()
        #expect(same.mending.outcome == .whole && same.restoredBase == own)
        var higher = Run([entry(9)], base: own, peers: [Peer(entries: [entry(9)], gives: base(12))])
        higher.go()
        #expect(higher.mending.outcome == .base(base(12)) && higher.restoredBase == nil)
    }

    @Test func `a base below, or another at the same index, is no use`() {
        for wrong in [base(7), base(8, byteCount: 11)] {
            var run = Run([], base: base(8), peers: [Peer(gives: wrong)])
            run.go(6)
            #expect(run.mending.outcome == nil && run.restoredBase == nil)
        }
    }

    @Test func `of a base of no use no more than one piece is asked for`() {
        for (given, isWholeKnown) in [
            (base(8, byteCount: 200_000), true), (base(12, byteCount: 200_000), false),
        ] {
            var run = Run([], base: base(8), peers: [Peer(gives: given)])
            run.mending.hasWholePeer = isWholeKnown
            run.go(20)
            #expect(run.mending.outcome == nil && run.asked.count > 1)
            for case (_, .askBase(_, _, let offset)) in run.asked { #expect(offset == 0) }
        }
    }

    @Test func `who may be the last with whole volumes takes no base but its own`() {
        for (given, isTaken) in [(base(8), true), (base(12), false)] {
            var run = Run([], base: base(8), peers: [Peer(gives: given)])
            run.mending.hasWholePeer = false
            run.go(6)
            #expect((run.mending.outcome != nil) == isTaken)
        }
    }

    @Test func `a base whose bytes are not its own is refused`() {
        var run = Run([], base: base(8), peers: [Peer(isSilent: true)])
        run.go(1)
        let claimed = BaseIdentity(base(12))
        run.receive(
            .basePiece(
                BasePiece(base: claimed, offset: 0, bytes: [UInt8](repeating: 8, count: 10))),
            from: NodeID(2))
        #expect(run.mending.outcome == nil)
    }

    @Test func `the log is cut before what all others lack`() {
        var run = Run([entry(4), entry(6)], peers: [Peer(entries: [entry(4)]), Peer()])
        run.go()
        #expect(run.mending.outcome == .cut(before: LogIndex(6)))
        #expect(run.restored == [entry(4)])
    }

    @Test func `while one has not said that it lacks it, the log is not cut`() {
        for quiet in [Peer(isSilent: true), Peer(damaged: [LogIndex(6)])] {
            var run = Run([entry(6)], peers: [Peer(), quiet])
            run.go(20)
            #expect(run.mending.outcome == nil)
        }
    }

    @Test func `where a base has to be taken, it stands for what nobody has as well`() {
        var run = Run(
            [entry(3), entry(9)], peers: [Peer(base: LogIndex(5), gives: base(12)), Peer()])
        run.go()
        #expect(run.mending.outcome == .base(base(12)))
    }

    @Test func `nobody who got so far, and a lower base is taken for what it stands for`() {
        var run = Run([entry(3), entry(9)], peers: [Peer(base: LogIndex(5), gives: base(6))])
        run.go()
        #expect(run.mending.outcome == nil && run.mending.need.entries == [entry(9).identity])
        run.peers[NodeID(2)]?.gives = base(12)
        run.peers[NodeID(2)]?.desk = BaseDesk()
        run.go()
        #expect(run.mending.outcome == .base(base(12)))
    }

    @Test(arguments: 1...4, [400, 800, 1_200, 1_600, 2_400, 3_200, 4_000, 4_800])
    func `a lower base is asked for as well, however late there is one`(
        count: Int, patience: UInt64
    ) {
        let silent = (1..<count).map { _ in Peer(isSilent: true) }
        var run = Run(
            [entry(3), entry(9)], peers: [Peer(base: LogIndex(5))] + silent,
            patienceMax: .milliseconds(patience))
        run.go(100)
        run.peers[NodeID(2)]?.gives = base(6)
        run.go(200)
        #expect(run.mending.need.entries == [entry(9).identity])
    }

    @Test
    func `one that never answers is not waited for where another's base stands for the entry`() {
        var run = Run(
            [entry(3, term: 2)],
            peers: [Peer(gives: base(8)), Peer(isSilent: true), Peer(gives: base(2))])
        run.go(3 * (run.mending.settings.roundsUntilBase + 1) - 1)
        #expect(run.mending.outcome == nil, "it may yet answer")
        run.go(4)
        #expect(run.mending.outcome == .base(base(8)))
    }

    @Test func `what is known to be committed is not cut, whoever lacks it`() {
        var run = Run([entry(6)], commit: 6, peers: [Peer(), Peer()])
        run.go(20)
        #expect(run.mending.outcome == nil)
    }

    @Test func `what was said in another mend is not taken for now`() {
        var run = Run([entry(6)], peers: [Peer(), Peer(isSilent: true)])
        run.go(4)
        run.receive(.say(MendSession(76), .lacks, [entry(6).identity]), from: NodeID(3))
        #expect(run.mending.outcome == nil)
        run.receive(.say(session, .lacks, [entry(6).identity]), from: NodeID(3))
        #expect(run.mending.outcome == .cut(before: LogIndex(6)))
    }

    @Test func `with nobody to ask nothing is given up`() {
        var run = Run([entry(6)], peers: [])
        run.go(20)
        #expect(run.mending.outcome == nil)
    }
}

@Suite("Letters of a mend")
struct MendMessageTests {
    static let all: [MendMessage] = [
        .ask(session, []), .ask(session, [entry(4).identity, entry(9, term: 3).identity]),
        .give(entry(7)),
        .say(session, .lacks, [entry(4).identity]), .say(session, .compacted, []),
        .askBase(atLeast: LogIndex(4), of: .none, offset: 0),
        .askBase(atLeast: LogIndex(4), of: BaseIdentity(base(9)), offset: 4),
        .basePiece(BasePiece(base: BaseIdentity(base(9)), offset: 4, bytes: [1, 2, 3])),
    ]

    @Test(arguments: all) func `what was written is read`(message: MendMessage) throws {
        #expect(try MendMessage(parsing: message.encoded) == message)
        #expect(MendMessage.isOne(message.encoded))
    }

    @Test(arguments: all) func `what is cut short or longer is refused`(message: MendMessage) {
        let bytes = message.encoded
        for count in 0..<bytes.count {
            let part = try? MendMessage(parsing: Array(bytes[..<count]))
            guard case .basePiece = message else { #expect(part == nil, "\(count)"); continue }
            #expect(part != message)
        }
        guard case .basePiece = message else {
            #expect(throws: MendMessageRefused.self) { try MendMessage(parsing: bytes + [0]) }
            return
        }
    }

    @Test func `what no mend can say is refused`() {
        let beyond = EntryIdentity(
            position: Position(index: LogIndex(.max), term: Term(1)), checksum: 0, byteCount: 64)
        let piece = BasePiece(base: BaseIdentity(base(9)), offset: 9, bytes: [1, 2])
        let many = [EntryIdentity](repeating: entry(1).identity, count: 129)
        var other = MendMessage.say(session, .lacks, []).encoded
        other[9] = 9
        for bytes in [
            MendMessage.ask(session, [beyond]).encoded, MendMessage.basePiece(piece).encoded,
            MendMessage.ask(session, many).encoded, other, [99], [],
        ] {
            #expect(throws: MendMessageRefused.self) { try MendMessage(parsing: bytes) }
        }
    }
}
