import Mesh
import Testing
import VolumeCore

@testable import Simulator

@Suite struct `What a run is made of` {
    @Test func `the agenda goes by time, and among equals by the order of entry`() {
        var agenda = Agenda(filler: -1)
        var chance = SeededRandom(seed: 5)
        var expected: [(Moment, Int)] = []
        for number in 0..<500 {
            let at = Moment(nanoseconds: chance.next() % 40)
            agenda.push(at, number)
            expected.append((at, number))
        }
        expected.sort { ($0.0, $0.1) < ($1.0, $1.1) }
        for (at, number) in expected {
            let next = agenda.pop()
            #expect(next.0 == at && next.1 == number)
        }
        #expect(agenda.isEmpty)
    }

    @Test(arguments: [997_700, 1_000_000, 1_002_299, 1_330_000] as [UInt64])
    func `a clock reaches an instant at the moment it is said to, and not before`(rate: UInt64) {
        let start = Instant(nanoseconds: 77_000_000_123)
        var clock = VirtualClock(startingAt: start, rate: rate)
        clock.run(at: rate, from: Moment(nanoseconds: 1_000_003))
        for step in 1..<200 as Range<UInt64> {
            let instant = start + Interval(nanoseconds: 1_500_000 + step * 7_777_777)
            let moment = clock.moment(of: instant)
            #expect(clock.local(moment) >= instant)
            #expect(clock.local(Moment(nanoseconds: moment.nanoseconds - 2)) < instant)
        }
        #expect(clock.moment(of: .distantFuture) == .never)
    }

    private let generation = ExportGeneration(epoch: Epoch(1), opening: 1)
    private let later = ExportGeneration(epoch: Epoch(2), opening: 1)

    @Test func `a block may hold its last flushed version or a later issued one, and no other`() {
        var ledger = Ledger(volume: 0, blockCount: 2)
        func verdict(_ version: UInt64, in generation: ExportGeneration) -> String? {
            var copy = ledger
            let bytes =
                version == 0
                ? [UInt8](repeating: 0, count: Ledger.blockByteCount)
                : copy.content(of: 0, version: version)
            return copy.judge(0, bytes[...], least: copy.least(0, in: generation), in: generation)
        }
        for _ in 1...3 { _ = ledger.issue(0, isZero: false) }
        #expect(verdict(0, in: generation) == nil)
        #expect(verdict(3, in: generation) == nil)
        #expect(verdict(4, in: generation) != nil)
        ledger.answered(0, version: 2, in: generation)
        #expect(verdict(1, in: generation) != nil)
        #expect(verdict(2, in: generation) == nil)
        // Another primary may lack what no flush covered.
        #expect(verdict(1, in: later) == nil)
        ledger.flushed(ledger.covered(in: generation))
        #expect(verdict(1, in: later) != nil)
        #expect(verdict(0, in: later) != nil)
        #expect(verdict(2, in: later) == nil)
    }

    @Test func `a flush covers what its generation was answered before, and nothing else`() {
        var ledger = Ledger(volume: 0, blockCount: 1)
        _ = ledger.issue(0, isZero: false)
        ledger.answered(0, version: 1, in: generation)
        #expect(ledger.covered(in: later).versions == [0])
        let covered = ledger.covered(in: generation)
        _ = ledger.issue(0, isZero: false)
        ledger.answered(0, version: 2, in: generation)
        ledger.flushed(covered)
        #expect(ledger.blocks[0].flushed == 1)
    }

    @Test func `bytes of another block or a torn block are never taken for a version`() {
        var ledger = Ledger(volume: 0, blockCount: 2)
        _ = ledger.issue(0, isZero: false)
        _ = ledger.issue(1, isZero: false)
        let foreign = ledger.content(of: 1, version: 1)
        #expect(ledger.judge(0, foreign[...], least: 0, in: generation) != nil)
        var torn = ledger.content(of: 0, version: 1)
        torn[300] ^= 1
        #expect(ledger.judge(0, torn[...], least: 0, in: generation) != nil)
    }

    @Test func `a cleared zero counts as the version that cleared it`() {
        var ledger = Ledger(volume: 0, blockCount: 1)
        _ = ledger.issue(0, isZero: false)
        _ = ledger.issue(0, isZero: true)
        ledger.answered(0, version: 2, in: generation)
        let zero = [UInt8](repeating: 0, count: Ledger.blockByteCount)
        #expect(ledger.judge(0, zero[...], least: 2, in: generation) == nil)
        #expect(ledger.blocks[0].seen == 2)
    }
}
