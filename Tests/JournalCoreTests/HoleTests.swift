import Disk
import Mesh
import PowerCut
import Record
import SimulatedDisk
import Testing

@testable import JournalCore

@Suite("What neither a segment nor its index tells")
struct HoleTests {
    private static let segment = "segment-0000000000000001"
    private static let block = 4_096

    /// In the first segment a batch a block: entries 1 and 2, 3, 4 and 5, the base, 6, and then 7 and
    /// 8, which are cut off.
    private static func log(base: UInt64 = 5) throws -> (disk: SimulatedDisk, model: LogModel) {
        var disk = SimulatedDisk()
        var (journal, _) = try open(&disk)
        var model = LogModel()
        let position = Position(index: LogIndex(base), term: Term(1))
        for change in [
            LogChange(entries: [entry(1, term: 1), entry(2, term: 1)], hardState: hard(1)),
            LogChange(entries: [entry(3, term: 1)]),
            LogChange(entries: [entry(4, term: 1), entry(5, term: 1)]),
            LogChange(base: Base(position: position, contents: [1, 2, 3])),
            LogChange(entries: [entry(6, term: 1)], hardState: hard(1, vote: 2, commit: 5)),
            LogChange(entries: [entry(7, term: 1), entry(8, term: 1)]),
            LogChange(entries: [entry(7, term: 2)], hardState: hard(2, vote: 1, commit: 6)),
        ] {
            try journal.append([change])
            model.apply(change)
        }
        return (journal.disk, model)
    }

    private static func lose(
        _ blocks: [Int], frames: Bool, index: Bool = true, of disk: inout SimulatedDisk
    ) throws {
        var bytes = try #require(disk.contents(of: segment))
        for block in blocks {
            let count = frames ? Self.block : Self.block - CommitFrame.byteCount
            let start = block * Self.block
            bytes.replaceSubrange(start..<start + count, with: [UInt8](repeating: 0, count: count))
        }
        disk.plant(bytes, as: segment)
        if index { disk.plant([], as: "index-0000000000000001") }
    }

    @Test(arguments: [[1], [2], [3], [1, 2], [2, 3], [1, 2, 3], [6], [2, 6]], [false, true])
    func `below the base and behind a cut it is missed by nobody`(
        blocks: [Int], frames: Bool
    ) throws {
        var (disk, model) = try Self.log()
        try Self.lose(blocks, frames: frames, of: &disk)
        // Another seed than the log was made with: ids of segments are drawn from it.
        var (journal, recovered) = try open(&disk, seed: 2)
        #expect(try LogModel(reading: &journal, recovered) == model)
        // It goes on from there, and is found so again.
        for index in 8...40 as ClosedRange<UInt64> {
            let change = LogChange(entries: [entry(index, term: 2)])
            try journal.append([change])
            model.apply(change)
        }
        disk = journal.disk
        (journal, recovered) = try open(&disk)
        #expect(try LogModel(reading: &journal, recovered) == model)
    }

    @Test func `it is so when the index is lost behind a start that forgave the first loss`() throws
    {
        let (whole, model) = try Self.log()
        var disk = whole
        try Self.lose([2], frames: true, index: false, of: &disk)
        var mend = try #require(
            try LogMend(&disk, settings: settings, random: SeededRandom(seed: 8)))
        #expect(mend.damage.needsNobody)
        try mend.mendHere()
        disk = mend.close()
        disk = try open(&disk).journal.disk
        try Self.lose([], frames: false, of: &disk)
        var (journal, recovered) = try open(&disk)
        #expect(try LogModel(reading: &journal, recovered) == model)
    }

    @Test(arguments: [false, true])
    func `what is live is missed, and so is a batch that the base cuts through`(frames: Bool) throws
    {
        for (base, block, indexes) in [(5, 5, 6...6), (4, 3, 4...5), (2, 2, 3...3)] {
            var (disk, _) = try Self.log(base: UInt64(base))
            try Self.lose([block], frames: frames, of: &disk)
            let error = #expect(throws: JournalError.self) { try open(&disk) }
            guard case .damaged(let places, _) = error else {
                Issue.record("base \(base), block \(block)")
                continue
            }
            let named = LogIndex(UInt64(indexes.lowerBound))...LogIndex(UInt64(indexes.upperBound))
            #expect(places.map(\.indexes) == [named])
        }
    }

    /// The index as a release wrote it that knew no frames' pieces and no checksums of batches.
    private static func makeIndexFormer(_ disk: inout SimulatedDisk) throws {
        let name = "index-0000000000000001"
        let header = try SegmentHeader(
            parsing: Array(try #require(disk.contents(of: segment)).prefix(block)))
        let index = try #require(disk.contents(of: name))
        var former = Array(index.prefix(IndexFile.headerByteCount))
        for var row in IndexFile.rows(index, segment: header.id) {
            row.batchChecksum = 0
            row.encode(seed: IndexFile.seed(header.id), into: &former)
        }
        disk.plant(former, as: name)
    }

    /// What the index says of a hole stays in it, and must not stand before what it says of the rest.
    @Test func `behind a hole under a former release's index damage can still be mended`() throws {
        var disk = SimulatedDisk()
        var (journal, _) = try open(&disk)
        var model = LogModel()
        let position = Position(index: LogIndex(2), term: Term(1))
        for change in [
            LogChange(entries: [entry(1, term: 1), entry(2, term: 1)], hardState: hard(1)),
            LogChange(base: Base(position: position, contents: [1, 2, 3])),
            LogChange(entries: [entry(3, term: 1)], hardState: hard(1, vote: 2, commit: 3)),
            LogChange(entries: [entry(4, term: 1)]),
        ] {
            try journal.append([change])
            model.apply(change)
        }
        disk = journal.disk
        try Self.makeIndexFormer(&disk)
        try Self.lose([1], frames: true, index: false, of: &disk)
        for _ in 0..<3 {
            var (journal, recovered) = try open(&disk)
            #expect(try LogModel(reading: &journal, recovered) == model)
            disk = journal.disk
        }
        try Self.lose([3], frames: true, index: false, of: &disk)
        var mend = try #require(
            try LogMend(&disk, settings: settings, random: SeededRandom(seed: 8)))
        #expect(mend.damage.missing.map(\.index) == [LogIndex(3)])
        try mend.mendHere()
        #expect(try mend.restore(entry(3, term: 1)))
        try mend.sync()
        disk = mend.close()
        let (last, recovered) = try open(&disk)
        journal = last
        #expect(try LogModel(reading: &journal, recovered) == model)
    }
}
