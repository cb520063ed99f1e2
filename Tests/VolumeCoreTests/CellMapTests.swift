import Mesh
import Testing

@testable import VolumeCore

private let volume: UInt64 = 20 * (64 << 10) + 512

private func cell(_ number: UInt64) -> Range<UInt64> {
    number * (64 << 10)..<min((number + 1) * (64 << 10), volume)
}

private func map(_ cells: UInt64...) -> CellMap {
    var map = CellMap(byteCount: volume)
    for number in cells { map.insert(cell(number)) }
    return map
}

@Suite("Sets of cells and what the log changed")
struct CellMapTests {
    @Test func `a map tells stretches, gaps and how much it holds, to the last short cell`() {
        let found = map(0, 1, 7, 8, 9, 20)
        #expect(found.next(from: 0) == 0..<cell(1).upperBound)
        #expect(found.next(from: cell(2).lowerBound) == cell(7).lowerBound..<cell(9).upperBound)
        #expect(found.next(from: cell(10).lowerBound) == cell(20))
        #expect(found.next(from: volume) == nil)
        #expect(
            found.gaps == [
                cell(2).lowerBound..<cell(6).upperBound, cell(10).lowerBound..<cell(19).upperBound,
            ])
        #expect(found.heldByteCount == 5 * (64 << 10) + 512)
    }

    @Test(arguments: 1...30)
    func `a map is read as it was written, whichever way is shorter`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var map = CellMap(byteCount: 64 << 20)
        for _ in 0..<Int(random.next() % 900) {
            let at = random.next() % 1_024
            map.insert(at * (64 << 10)..<(at + 1) * (64 << 10))
        }
        var bytes: [UInt8] = []
        map.encode(into: &bytes)
        #expect(bytes.count <= 4 + 128)
        var reader = ByteReader(bytes)
        #expect(CellMap(byteCount: 64 << 20, &reader) == map)
        #expect(reader.remaining == 0)
    }

    @Test func `a map with cells that its volume has not is refused`() {
        for hostile: [UInt8] in [
            [1, 0, 0, 0, 21, 0, 0, 0, 1, 0, 0, 0],
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [2, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0],
            [255, 255, 255, 255, 0, 0, 0x20],
            [9, 0, 0, 0, 1, 0, 0, 0],
        ] {
            var reader = ByteReader(hostile)
            #expect(CellMap(byteCount: volume, &reader) == nil, "\(hostile)")
        }
    }

    @Test(arguments: 1...10)
    func `a ring names at least what changed, and not much more however long ago that was`(
        seed: UInt64
    ) throws {
        var random = SeededRandom(seed: seed)
        let byteCount: UInt64 = 4_096 * (64 << 10)
        var ring = ChangeRing(knownAbove: LogIndex(100))
        var written: [UInt64] = []
        for step in 0..<2_000 {
            // A cell of its own for each, so that too much shows.
            let at = UInt64(step) * 2
            written.append(at)
            ring.note(
                at * (64 << 10)..<at * (64 << 10) + 1, of: byteCount,
                at: LogIndex(UInt64(101 + step)))
            if random.chance(1, in: 10) { ring.close() }
        }
        #expect(ring.spans.count <= ChangeRing.rangesMax)
        #expect(ring.changed(since: LogIndex(99), of: byteCount) == nil)
        for away in [1, 30, 200, 900, 1_900] {
            let since = LogIndex(UInt64(2_100 - away))
            let changed = try #require(ring.changed(since: since, of: byteCount))
            for at in written.suffix(away) {
                #expect(changed.run(at: at * (64 << 10), in: 0..<byteCount).isSet)
            }
            let told = Int(changed.heldByteCount / changed.cellByteCount)
            #expect(told <= away * 4 + 200, "\(told) cells for \(away) entries")
        }
        var bytes: [UInt8] = []
        ring.close()
        ring.encode(.fine, into: &bytes)
        var reader = ByteReader(bytes)
        #expect(ChangeRing(byteCount: byteCount, .fine, &reader) == ring)
    }

    @Test
    func `a ring tells 16 KiB of what changed, and 64 KiB to releases that know no smaller cells`()
        throws
    {
        var ring = ChangeRing(knownAbove: .zero)
        ring.note((65 << 10)..<(66 << 10), of: volume, at: LogIndex(1))
        let changed = try #require(ring.changed(since: .zero, of: volume))
        #expect(changed.ranges == [(64 << 10)..<(80 << 10)])
        #expect(changed.regrained(.usual).ranges == [cell(1)])
        var bytes: [UInt8] = []
        ring.close()
        ring.encode(.usual, into: &bytes)
        var reader = ByteReader(bytes)
        let read = try #require(ChangeRing(byteCount: volume, .usual, &reader))
        #expect(read.changed(since: .zero, of: volume)?.ranges == [cell(1)])
    }

    /// 64 KiB lie in four fine cells of a small volume, and in two of one beyond 32 GiB.
    @Test(arguments: [volume, (16 << 30) + 512, (40 << 30) - 4_096, 200 << 30] as [UInt64])
    func `by larger cells it is the same bytes and what lies beside them`(byteCount: UInt64) {
        var random = SeededRandom(seed: byteCount)
        var fine = CellMap(byteCount: byteCount, .fine)
        var usual = CellMap(byteCount: byteCount)
        for count in 0..<200 {
            let start = count == 0 ? byteCount - 1 : random.next() % byteCount
            let range = start..<min(start + 1 + random.next() % (300 << 10), byteCount)
            fine.insert(range)
            usual.insert(range)
        }
        #expect(fine.regrained(.usual) == usual)
        #expect(usual.regrained(.fine).ranges == usual.ranges)
    }

    @Test func `fine maps are bounded as well`() {
        for shift in 14...44 {
            let byteCount: UInt64 = 1 << shift
            #expect(CellMap.mapByteCount(of: byteCount, .fine) <= 256 << 10)
            #expect(CellMap.mapByteCount(of: byteCount) <= 128 << 10)
            #expect(
                CellMap.cellByteCount(of: byteCount, .fine) <= CellMap.cellByteCount(of: byteCount))
        }
    }
}
