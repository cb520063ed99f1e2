import Mesh
import Record
import Testing

@testable import VolumeCore

@Suite("Sources that are many, slow, or take turns")
struct SourceTests {
    /// Each is named for half a second in turn, as a node does; it answers after three, and who asks
    /// once more meanwhile has no use for the answer.
    @Test(arguments: [1, 2, 7, 11, 12, 13, 24, 63])
    func `a damaged block comes from slow sources, however many they are`(count: UInt64) {
        let piece = Piece(VolumeID(1), 0..<BlockSum.blockByteCount)
        var mend = Mend()
        var onTheirWay: [(at: Instant, question: Mend.Question)] = []
        var hasCome = false
        for tick in 0..<UInt64(6_000) where !hasCome {
            let now = Instant.zero + .milliseconds(20 * tick)
            let source = NodeID(1 + tick / 25 % count)
            _ = mend.late(at: now)
            mend.meet(source, at: now)
            if !mend.next([piece], of: source, at: now).isEmpty {
                onTheirWay.append((now + .seconds(3), Mend.Question(source: source, at: now)))
            }
            let open = mend.outstanding.flatMap(\.questions)
            hasCome = onTheirWay.contains { letter in
                letter.at <= now
                    && open.contains {
                        $0.source == letter.question.source && $0.at == letter.question.at
                    }
            }
        }
        #expect(hasCome)
    }

    /// Names the sources one after the other, each for so many ticks of 20 ms; 0 stands for none.
    private func flap(
        _ pair: inout Pair, _ order: [UInt64], ticks: Int, upTo limit: Interval,
        _ mail: (inout Pair) throws -> Void = { try $0.mail() }
    ) throws {
        let end = pair.now + limit
        var tick = 0
        while pair.b.core.isResyncing, pair.now < end {
            let named = order[tick / ticks % order.count]
            tick += 1
            pair.now = pair.now + .milliseconds(20)
            try pair.giveB(.pull(from: named == 0 ? nil : NodeID(named)))
            try mail(&pair)
            try pair.follow()
        }
    }

    /// What was lost is asked for again 100 ms after it was asked for.
    @Test(
        arguments: [[1, 0], [1, 3], [1, 0, 3, 0], [1, 3, 4], [1, 3, 4, 5, 6, 7]], [1, 2, 3, 4])
    func `a leader that flaps leaves nothing unasked for ever`(
        order: [UInt64], ticks: Int
    ) throws {
        var pair = try Pair(seed: 21, cells: 8)
        _ = try pair.beginCopying()
        (pair.toA, pair.toB) = ([], [])
        try flap(&pair, order, ticks: ticks, upTo: .seconds(5))
        let isDone = !pair.b.core.isResyncing
        #expect(isDone)
        try pair.finish()
        try pair.expectEqual()
    }

    /// An answer takes three times as long as the first wait, and the log goes on, so that one to an
    /// earlier question is too old.
    @Test(arguments: [[1, 3], [1, 3, 4]], [2, 4, 8, 12])
    func `on a slow link a leader that flaps holds up no answer`(
        order: [UInt64], ticks: Int
    ) throws {
        var pair = try Pair(seed: 22, cells: 8)
        let volume = try pair.beginCopying()
        var onTheirWay: [(at: Instant, letter: ResyncMessage)] = []
        try flap(&pair, order, ticks: ticks, upTo: .seconds(20)) { pair in
            try pair.write(volume, 0..<512)
            let asked = pair.toA
            pair.toA = []
            for letter in asked { _ = try pair.giveA(.heard(letter, from: Pair.replica)) }
            onTheirWay += pair.toB.map { (pair.now + .milliseconds(300), $0) }
            pair.toB = []
            let due = onTheirWay.filter { $0.at <= pair.now }.map(\.letter)
            onTheirWay.removeAll { $0.at <= pair.now }
            for letter in due { try pair.giveB(.heard(letter, from: Pair.source)) }
        }
        let isDone = !pair.b.core.isResyncing
        #expect(isDone)
        #expect(pair.copied <= 3 * pair.byteCount, "\(pair.copied)")
        try pair.finish()
        try pair.expectEqual()
    }

    // MARK: What is late, and of whom

    private static let limits = VolumeLimits.Resync()

    private func piece(_ number: UInt64) -> Piece {
        Piece(VolumeID(1), number * 512..<(number + 1) * 512)
    }

    private func at(_ seconds: UInt64) -> Instant { .zero + .seconds(seconds) }

    @Test(arguments: [(away: UInt64(29), isNews: false), (away: 31, isNews: true)])
    func `after an absence a source is waited for as one that is new`(
        away: UInt64, isNews: Bool
    ) {
        var pull = Pull()
        pull.meet(NodeID(1), at: at(0), Self.limits)
        pull.asked(piece(0), of: NodeID(1), at: at(0))
        #expect(pull.late(of: NodeID(1), at: at(3), Self.limits) == [piece(0)])
        let back = at(away)
        pull.meet(NodeID(1), at: back, Self.limits)
        pull.asked(piece(0), of: NodeID(1), at: back)
        let late = pull.late(of: NodeID(1), at: back + .seconds(3), Self.limits)
        #expect(late.isEmpty != isNews)
        #expect(pull.late(of: NodeID(1), at: back + .seconds(6), Self.limits).isEmpty == isNews)
    }

    @Test func `what was asked of another is not asked again of a new source at once`() {
        var pull = Pull()
        pull.meet(NodeID(1), at: at(0), Self.limits)
        pull.asked(piece(0), of: NodeID(1), at: at(0))
        pull.meet(NodeID(2), at: at(10), Self.limits)
        #expect(pull.late(of: NodeID(2), at: at(12), Self.limits).isEmpty)
        #expect(pull.late(of: NodeID(2), at: at(13), Self.limits) == [piece(0)])
    }

    @Test func `what one source answers says nothing of what another was asked`() {
        var pull = Pull()
        pull.meet(NodeID(1), at: at(0), Self.limits)
        pull.asked(piece(0), of: NodeID(1), at: at(0))
        pull.meet(NodeID(2), at: at(1), Self.limits)
        pull.asked(piece(1), of: NodeID(2), at: at(1))
        pull.came(piece(1), from: NodeID(2), at: at(2), Self.limits)
        #expect(pull.late(of: NodeID(2), at: at(4), Self.limits).isEmpty, "it may still come")
        pull.came(piece(0), from: NodeID(2), at: at(20), Self.limits)
        pull.asked(piece(2), of: NodeID(2), at: at(20))
        #expect(pull.late(of: NodeID(2), at: at(23), Self.limits) == [piece(2)])
    }
}
