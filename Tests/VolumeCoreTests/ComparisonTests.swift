import Mesh
import Record
import Testing

@testable import VolumeCore

@Suite("Replicas held against each other (ADR 22)")
struct ComparisonTests {
    /// Both read their images over, and what they say to each other arrives, is lost, or comes twice.
    private static func scrub(_ pair: inout Pair, lossOneIn: UInt64 = 5) throws {
        pair.now = pair.now + .milliseconds(200)
        _ = try pair.giveA(.scrub(WallTime(7), beside: Pair.replica))
        try pair.giveB(.scrub(WallTime(7), beside: Pair.source))
        if lossOneIn > 0 {
            pair.toA.removeAll { _ in pair.random.chance(1, in: lossOneIn) }
            pair.toB.removeAll { _ in pair.random.chance(1, in: lossOneIn) }
            if pair.random.chance(1, in: 4) { pair.toA += pair.toA }
        }
        if !pair.random.chance(1, in: 3) { try pair.mail() }
    }

    /// Passes over all that is there, and what is asked once more.
    private static func passes(_ pair: inout Pair, _ count: Int = 40) throws {
        for _ in 0..<count { try scrub(&pair, lossOneIn: 0) }
        for _ in 0..<4 { try pair.mail() }
    }

    @Test(arguments: 1...40)
    func `replicas that applied the same never differ, however far apart they are`(seed: UInt64)
        throws
    {
        var pair = try Pair(seed: seed)
        for _ in 0..<400 {
            try pair.change()
            if pair.random.chance(1, in: 2) { try pair.follow(1 + Int(pair.random.next() % 9)) }
            if pair.random.chance(1, in: 20) { _ = try pair.giveA(.checkpoint) }
            if pair.random.chance(1, in: 25) { try pair.giveB(.checkpoint) }
            if pair.random.chance(1, in: 60) { try pair.crash() }
            if pair.random.chance(1, in: 70) { try pair.forget() }
            if pair.random.chance(1, in: 3) { try pair.tick() }
            try Self.scrub(&pair)
            #expect(pair.a.differences == [] && pair.b.differences == [])
        }
        try pair.finish()
        try pair.giveB(.checkpoint)
        let before = pair.b.comparedByteCount
        try Self.passes(&pair)
        #expect(pair.a.differences == [] && pair.b.differences == [])
        #expect(pair.volumes.isEmpty || pair.b.comparedByteCount > before, "something is compared")
    }

    /// The replica is handed another log than the source, and so has other bytes under whole sums.
    private static func diverged(
        _ range: Range<UInt64>, trims: Bool = false, folds: Bool = true
    ) throws -> Pair {
        var pair = try Pair(seed: 3)
        try pair.create()
        try pair.write(VolumeID(1), 0..<pair.byteCount)
        try pair.follow()
        try pair.write(VolumeID(1), range)
        let (generation, number) = (
            ExportGeneration(epoch: Epoch(1), opening: 1), pair.numbers[VolumeID(1)] ?? 0
        )
        let other =
            trims
            ? VolumeWrite(
                zeroing: .trim, volume: VolumeID(1), offset: range.lowerBound,
                byteCount: UInt32(range.count), keepsAllocated: false, generation: generation,
                number: number)
            : VolumeWrite(
                volume: VolumeID(1), offset: range.lowerBound, generation: generation,
                number: number, data: [UInt8](repeating: 0xee, count: range.count)[...])
        let at = Position(index: LogIndex(UInt64(pair.log.count)), term: Term(1))
        let entry = other.draft.sealed(at: at, group: GroupID(1), time: .zero)
        try pair.giveB(.apply([Ruled(entry, .accepted)]))
        _ = try pair.giveA(.checkpoint)
        if folds { try pair.giveB(.checkpoint) }
        return pair
    }

    @Test func `other bytes under whole sums are told of by both, to the block`() throws {
        var pair = try Self.diverged(70_000..<80_000)
        try Self.passes(&pair)
        let range: Range<UInt64> = 69_632..<81_920
        #expect(pair.b.differences.map(\.range) == [range])
        #expect(pair.b.differences.map(\.node) == [Pair.source])
        #expect(pair.a.differences.map(\.range) == [range])
    }

    @Test func `one look alone says nothing, and what was written since ends it`() throws {
        var pair = try Self.diverged(70_000..<80_000)
        try pair.giveB(.scrub(WallTime(7), beside: Pair.source))
        while let ask = pair.toA.first {
            pair.toA.removeFirst()
            _ = try pair.giveA(.heard(ask, from: Pair.replica))
        }
        let first = pair.toB
        pair.toB = []
        for answer in first { try pair.giveB(.heard(answer, from: Pair.source)) }
        #expect(pair.b.differences == [], "it is asked once more")
        try pair.mail()
        try pair.mail()
        #expect(pair.b.differences.count == 1)
        // The same once more changes nothing: nobody asked.
        for answer in first { try pair.giveB(.heard(answer, from: Pair.source)) }
        #expect(pair.b.differences.count == 1)
        try pair.write(VolumeID(1), 65_536..<98_304)
        try pair.follow()
        pair.now = pair.now + Comparison.againEvery
        try Self.passes(&pair)
        #expect(pair.b.differences == [])
    }

    @Test(arguments: [false, true], [false, true])
    func `what is distrusted comes from the other one, also where nothing was here`(
        trims: Bool, folds: Bool
    ) throws {
        let range: Range<UInt64> = 65_536..<196_608
        var pair = try Self.diverged(range, trims: trims, folds: folds)
        try Self.passes(&pair)
        #expect(pair.a.differences.map(\.range) == [range])
        // Who has nothing there has nothing to read over, and so asks nobody.
        #expect(pair.b.differences.map(\.range) == (trims && folds ? [] : [range]))
        let piece = Piece(VolumeID(1), range)
        try pair.giveB(.distrust(piece))
        #expect(pair.b.core.distrustedBlockCount == range.count / 4_096)
        for _ in 0..<200 where pair.b.core.distrustedBlockCount > 0 {
            try pair.tick()
            try pair.mail()
            try pair.change()
            try pair.follow()
        }
        #expect(pair.b.core.distrustedBlockCount == 0)
        #expect(
            try pair.b.core.contents(of: piece)?.bytes == pair.a.core.contents(of: piece)?.bytes)
        pair.now = pair.now + Comparison.againEvery
        try Self.passes(&pair)
        #expect(pair.a.differences == [] && pair.b.differences == [])
    }

    /// Each then has what the other had: somebody still has all that there was.
    @Test func `what both distrust is not lost`() throws {
        let range: Range<UInt64> = 65_536..<73_728
        var pair = try Self.diverged(range)
        let piece = Piece(VolumeID(1), range)
        let before = [
            try pair.a.core.contents(of: piece)?.bytes, try pair.b.core.contents(of: piece)?.bytes,
        ]
        _ = try pair.giveA(.distrust(piece))
        try pair.giveB(.distrust(piece))
        for _ in 0..<50 {
            pair.now = pair.now + .milliseconds(50)
            try pair.giveB(.pull(from: Pair.source))
            _ = try pair.giveA(.pull(from: Pair.replica))
            try pair.mail()
        }
        #expect(pair.a.core.distrustedBlockCount + pair.b.core.distrustedBlockCount == 0)
        let (a, b) = (
            try pair.a.core.contents(of: piece)?.bytes, try pair.b.core.contents(of: piece)?.bytes
        )
        #expect(before.contains(a) && before.contains(b) && a != nil && b != nil)
    }

    @Test func `what is distrusted is bounded, and goes with its volume`() throws {
        var pair = try Self.diverged(70_000..<80_000)
        try pair.giveB(.distrust(Piece(VolumeID(1), 5_000..<9_000)))
        #expect(pair.b.core.wantedPieces.map(\.range) == [4_096..<8_192, 8_192..<12_288])
        try pair.giveB(.distrust(Piece(VolumeID(1), 0..<pair.byteCount)))
        #expect(pair.b.core.distrustedBlockCount == Int(pair.byteCount / 4_096))
        try pair.delete(VolumeID(1))
        try pair.follow()
        #expect(pair.b.core.distrustedBlockCount == 0)
    }

    /// A replica whose log is behind is asked for sums that it can't tell yet.
    @Test func `sums that can't be told yet keep no mend waiting`() throws {
        var pair = try Self.diverged(70_000..<80_000)
        for block in 0..<200 as Range<UInt64> {
            let piece = Piece(VolumeID(1), block % 90 * 4_096..<(block % 90 + 1) * 4_096)
            _ = try pair.giveA(
                .heard(.askSums(piece, since: LogIndex(1_000 + block)), from: Pair.replica))
        }
        #expect(pair.a.held.count <= Comparison.outstandingMax)
        pair.toB = []
        let piece = Piece(VolumeID(1), 0..<4_096)
        _ = try pair.giveA(.heard(.askPiece(piece, since: LogIndex(1)), from: Pair.replica))
        #expect(pair.toB.count == 1)
    }

    @Test func `a difference of a volume that is gone is none`() throws {
        var pair = try Self.diverged(70_000..<80_000)
        try Self.passes(&pair)
        #expect(pair.b.differences.count == 1)
        try pair.delete(VolumeID(1))
        try pair.follow()
        try pair.giveB(.scrub(WallTime(7), beside: Pair.source))
        #expect(pair.b.differences == [])
    }

    @Test func `whoever does not answer costs no more than what may be outstanding`() throws {
        var pair = try Self.diverged(70_000..<80_000)
        for _ in 0..<200 {
            pair.now = pair.now + .milliseconds(200)
            try pair.giveB(.scrub(WallTime(7), beside: Pair.source))
            #expect(pair.b.comparison.outstanding.count <= Comparison.outstandingMax)
        }
        let asked = pair.toA.count
        #expect(
            asked > Comparison.outstandingMax, "what is late is given up, and others are asked for")
        // And far too late an answer is none.
        try pair.mail()
        #expect(pair.b.differences == [])
    }

    @Test(arguments: 1...20)
    func `what was left alone is what did not change`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var ring = ChangeRing(knownAbove: LogIndex(10))
        let byteCount: UInt64 = 1 << 20
        for index in 11..<200 as Range<UInt64> where random.chance(1, in: 2) {
            let start = random.next() % byteCount
            ring.note(start..<min(start + 9_000, byteCount), of: byteCount, at: LogIndex(index))
            if random.chance(1, in: 4) { ring.close() }
        }
        for _ in 0..<300 {
            let start = random.next() % byteCount
            let range = start..<min(start + 1 + random.next() % 50_000, byteCount)
            let index = LogIndex(random.next() % 210)
            let changed = ring.changed(since: index, of: byteCount)
            let isClear = changed.map { changed in
                let run = changed.run(at: range.lowerBound, in: range)
                return !run.isSet && run.end >= range.upperBound
            }
            #expect(ring.leftAlone(range, since: index) == (isClear ?? false))
        }
    }
}
