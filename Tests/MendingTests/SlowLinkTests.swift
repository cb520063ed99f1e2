import Mending
import Mesh
import Record
import Testing

/// A mend over links of 200 ms there and back that carry one letter after the other; either each peer
/// has its own, or all share the way to the one that mends.
private struct SlowRun {
    /// What a lane keeps of what its link can't carry at once.
    static let laneByteCountMax = 8 << 20
    static let delay = Interval.milliseconds(100)

    private enum Mail {
        case ask(MendMessage, of: NodeID)
        case answer(MendMessage, from: NodeID)
    }

    let link: Link
    var mending: Mending
    var peers: [NodeID: Peer]
    var now = Instant.zero
    var restored: Set<Entry> = []
    var byteCount = 0
    /// Of so many letters one is lost; 0: none.
    var losesOneOf: UInt64 = 0
    private var random = SeededRandom(seed: 5)
    private var mail: [(at: Instant, what: Mail)] = []
    /// Until then a link is full.
    private var busyUntil: [NodeID: Instant] = [:]

    init(
        _ link: Link, _ entries: [Entry], peers: [Peer]
    ) {
        self.link = link
        let named = peers.enumerated().map { (NodeID(UInt64($0.offset) + 2), $0.element) }
        self.peers = Dictionary(uniqueKeysWithValues: named)
        mending = Mending(
            Mending.Settings(peers: named.map(\.0)),
            Mending.Need(
                entries: entries.map(\.identity), base: nil, basePosition: .zero, commit: .zero),
            session: session, at: .zero)
        mending.hasWholePeer = true
    }

    /// Told without its bytes, which nobody wants to see where it did not.
    func took(_ base: Base) -> Bool { mending.outcome == .base(base) }

    mutating func go(upTo limit: Interval, until isDone: (SlowRun) -> Bool = { _ in false }) {
        while mending.outcome == nil, now <= .zero + limit, !isDone(self) {
            let next = mail.indices.min { mail[$0].at < mail[$1].at }
            if let next, mail[next].at <= mending.deadline {
                let (at, what) = mail.remove(at: next)
                now = max(now, at)
                deliver(what)
            } else {
                now = max(now, mending.deadline)
                handle(.wake)
            }
        }
    }

    private mutating func deliver(_ what: Mail) {
        if losesOneOf > 0, random.chance(1, in: losesOneOf) { return }
        switch what {
        case .answer(let message, let from): handle(.received(message, from: from))
        case .ask(let message, let of):
            for answer in peers[of]?.answers(message) ?? [] { queue(answer, from: of) }
        }
    }

    private mutating func queue(_ answer: MendMessage, from peer: NodeID) {
        let place = link.isShared ? NodeID(1) : peer
        let size = answer.encoded.count
        let free = max(now, busyUntil[place] ?? .zero)
        let waiting = free.since(now).nanoseconds / 1_000 * link.bitsPerSecond / 8_000_000
        guard Int(waiting) + size <= Self.laneByteCountMax else { return }
        byteCount += size
        let taken = link.time(for: size)
        busyUntil[place] = free + taken
        mail.append((free + taken + Self.delay, .answer(answer, from: peer)))
    }

    mutating func handle(_ event: Mending.Event) {
        var effects: [Mending.Effect] = []
        mending.handle(event, at: now, &effects)
        for effect in effects {
            switch effect {
            case .send(let message, let to):
                mail.append((now + Self.delay, .ask(message, of: to)))
            case .restore(let entry): restored.insert(entry)
            case .restoreBase: break
            }
        }
    }
}

/// Bits a second, and whether all peers share them.
private struct Link: Sendable, CustomTestStringConvertible {
    let bitsPerSecond: UInt64
    var isShared = true
    var testDescription: String {
        "\(bitsPerSecond / 1_000) kbit/s\(isShared ? ", shared" : "")"
    }

    func time(for byteCount: Int) -> Interval {
        .microseconds(UInt64(byteCount) * 8_000_000 / bitsPerSecond)
    }
}

@Suite("Mends over slow links")
struct SlowLinkTests {
    private static let byteCount = 1 << 20
    private static let pieces = UInt64(byteCount / MendMessage.pieceByteCount)
    private static let links = [
        Link(bitsPerSecond: 64_000), Link(bitsPerSecond: 64_000, isShared: false),
        Link(bitsPerSecond: 1_000_000), Link(bitsPerSecond: 1_000_000, isShared: false),
        Link(bitsPerSecond: 20_000_000),
    ]

    /// Each has compacted the entry, at another index.
    private func givers(_ count: Int, byteCount: Int = Self.byteCount) -> [Peer] {
        (0..<count).map { at in
            let index = UInt64(20 + at)
            return Peer(base: LogIndex(index), gives: base(index, byteCount: byteCount))
        }
    }

    @Test(arguments: [1, 2, 4, 12], links)
    fileprivate func `a base of many pieces comes over any link`(count: Int, link: Link) {
        var run = SlowRun(link, [entry(4)], peers: givers(count))
        run.go(upTo: .seconds(3_600))
        guard case .base(let base)? = run.mending.outcome else {
            Issue.record("\(run.mending.outcome as Any)")
            return
        }
        #expect(base.contents.count == Self.byteCount)
        let rounds = run.mending.settings.askEvery * UInt64(2 * count)
        let best = link.time(for: Self.byteCount) + SlowRun.delay * 2 * Self.pieces
        #expect(run.now <= .zero + best * 2 + rounds, "\(run.now)")
        #expect(run.byteCount <= Self.byteCount * 2, "\(run.byteCount)")
    }

    @Test func `a former release's pieces come as well`() {
        var peers = givers(2, byteCount: 3 << 20)
        for at in peers.indices { peers[at].pieceByteCount = MendMessage.pieceByteCountMax }
        var run = SlowRun(Link(bitsPerSecond: 1_000_000), [entry(4)], peers: peers)
        run.go(upTo: .seconds(120))
        #expect(run.mending.outcome != nil)
    }

    @Test(arguments: [1, 2, 4, 12], links.suffix(3))
    fileprivate func `many entries come over any link, and few of them twice`(
        count: Int, link: Link
    ) {
        let all = (1...200).map { entry($0, byteCount: 20_000) }
        let peers = (0..<count).map { _ in Peer(entries: all) }
        var run = SlowRun(link, all, peers: peers)
        run.go(upTo: .seconds(3_600))
        #expect(run.mending.outcome == .whole && run.restored.count == 200)
        let byteCount = all.reduce(0) { $0 + $1.bytes.count }
        #expect(run.now <= .zero + link.time(for: byteCount) * 2 + .seconds(5), "\(run.now)")
        #expect(run.byteCount <= byteCount * 9 / 4, "\(run.byteCount)")
    }

    @Test(arguments: [5, 10])
    func `where letters are lost, what came before is kept`(oneOf: UInt64) {
        var run = SlowRun(Link(bitsPerSecond: 1_000_000), [entry(4)], peers: givers(2))
        run.losesOneOf = oneOf
        run.go(upTo: .seconds(60))
        #expect(run.mending.outcome != nil)
        #expect(run.byteCount <= Self.byteCount * 3 / 2, "\(run.byteCount)")
    }

    @Test func `where its giver dies, another's base comes`() {
        let link = Link(bitsPerSecond: 1_000_000)
        var run = SlowRun(link, [entry(4)], peers: givers(2))
        run.go(upTo: .seconds(600)) { $0.byteCount > Self.byteCount / 2 }
        #expect(run.mending.outcome == nil)
        run.peers[NodeID(2)] = Peer(isSilent: true)
        run.go(upTo: .seconds(60))
        #expect(run.took(base(21, byteCount: Self.byteCount)))
    }

    @Test func `where its giver has another base by now, that one comes`() {
        var run = SlowRun(Link(bitsPerSecond: 1_000_000), [entry(4)], peers: givers(1))
        run.go(upTo: .seconds(600)) { $0.byteCount > Self.byteCount / 2 }
        run.peers[NodeID(2)]?.desk = BaseDesk()
        run.peers[NodeID(2)]?.gives = base(30, byteCount: Self.byteCount)
        run.go(upTo: .seconds(60))
        #expect(run.took(base(30, byteCount: Self.byteCount)))
    }

    /// The giver's log goes on to be compacted, and a letter is lost: what it begins with again is the
    /// higher one.
    @Test func `where its giver's base has to reach further by now, that one comes`() {
        let giver = Peer(base: LogIndex(20), gives: base(20, byteCount: Self.byteCount))
        var run = SlowRun(Link(bitsPerSecond: 1_000_000), [entry(4), entry(25)], peers: [giver])
        run.go(upTo: .seconds(600)) { $0.byteCount > Self.byteCount / 2 }
        #expect(run.mending.outcome == nil)
        run.peers[NodeID(2)]?.base = LogIndex(30)
        run.peers[NodeID(2)]?.gives = base(30, byteCount: Self.byteCount)
        run.losesOneOf = 3
        run.go(upTo: .seconds(600))
        #expect(run.took(base(30, byteCount: Self.byteCount)))
    }

    /// What it was asked for in the place of came from another meanwhile.
    @Test func `a base that has become of no use is not taken`() {
        let lacking = Peer(base: LogIndex(20), gives: base(20, byteCount: Self.byteCount))
        var run = SlowRun(
            Link(bitsPerSecond: 1_000_000), [entry(4), entry(25)],
            peers: [lacking, Peer(isSilent: true)])
        run.go(upTo: .seconds(600)) { $0.byteCount > Self.byteCount / 2 }
        #expect(run.mending.outcome == nil)
        run.handle(.received(.give(entry(4)), from: NodeID(3)))
        run.peers[NodeID(3)] = Peer(entries: [entry(25)])
        run.go(upTo: .seconds(600))
        #expect(run.mending.outcome == .whole && run.restored.count == 2)
    }

    /// A witness has compacted what a data member is giving, window after window.
    @Test func `no base takes the place of what is being given`() {
        let all = (1...40).map { entry($0, byteCount: 20_000) }
        let peers = [Peer(base: LogIndex(40)), Peer(entries: all, gives: base(40))]
        var run = SlowRun(Link(bitsPerSecond: 1_000_000), all, peers: peers)
        run.go(upTo: .seconds(120))
        #expect(run.mending.outcome == .whole && run.restored.count == 40)
    }
}

@Suite("Who gives a base")
struct BaseDeskTests {
    @Test func `one that is known and does not reach so far is not gone on with`() {
        var desk = BaseDesk()
        let first = base(20, byteCount: 100_000)
        _ = desk.answer(atLeast: LogIndex(4), of: .none, offset: 0) { first }
        let answer = desk.answer(atLeast: LogIndex(25), of: BaseIdentity(first), offset: 64) {
            base(30)
        }
        guard case .basePiece(let piece)? = answer else {
            Issue.record("\(answer as Any)")
            return
        }
        #expect(piece.base == BaseIdentity(base(30)) && piece.offset == 0)
    }

    @Test func `one that is of no use to an asker takes no other asker's away`() {
        var desk = BaseDesk()
        let first = base(20, byteCount: 100_000)
        let identity = BaseIdentity(first)
        _ = desk.answer(atLeast: LogIndex(4), of: .none, offset: 0) { first }
        for made in [nil, base(30)] {
            #expect(
                desk.answer(atLeast: LogIndex(99), of: .none, offset: 0) { made } == nil)
        }
        let rest = desk.answer(atLeast: LogIndex(4), of: identity, offset: 65_536) { base(31) }
        let bytes = [UInt8](repeating: 7, count: 100_000 - 65_536)
        #expect(rest == .basePiece(BasePiece(base: identity, offset: 65_536, bytes: bytes)))
    }

    @Test func `a piece is short enough for a slow link`() {
        var desk = BaseDesk()
        let answer = desk.answer(atLeast: LogIndex(4), of: .none, offset: 0) {
            base(20, byteCount: 100_000)
        }
        guard case .basePiece(let piece)? = answer else { Issue.record("no piece"); return }
        #expect(piece.bytes.count == 64 << 10)
    }
}
