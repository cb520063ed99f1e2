import Disk
import JournalCore
import Mesh
import PowerCut
import Record
import SimulatedDisk
import Testing

@Suite struct JournalCoreTests {
    @Test func `an empty directory is an empty log`() throws {
        var disk = SimulatedDisk()
        let (journal, recovered) = try open(&disk)
        #expect(recovered.last == .zero && recovered.hardState == HardState())
        #expect(journal.firstIndex == LogIndex(1))
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `a restart gives back exactly what was appended`(seed: UInt64) throws {
        var disk = SimulatedDisk()
        var expected = LogModel()
        for batch in script(batches: 40, seed: seed) {
            var (journal, recovered) = try open(&disk, seed: UInt64(disk.counts.steps))
            #expect(try LogModel(reading: &journal, recovered) == expected)
            try journal.append(batch)
            batch.forEach { expected.apply($0) }
            #expect(journal.last == expected.last)
            #expect(journal.hardState == expected.hardState)
            disk = journal.disk
        }
    }

    @Test func `configurations of a log that its base contradicts are gone with it`() throws {
        var disk = SimulatedDisk()
        var (journal, _) = try open(&disk)
        try journal.append([LogChange(entries: (1...8).map { entry($0, term: 1) })])
        disk = journal.disk
        #expect(try open(&disk).recovered.configurations == [LogIndex(3), LogIndex(7)])
        let other = Base(position: Position(index: LogIndex(5), term: Term(2)), contents: [1])
        try journal.append([LogChange(base: other, entries: [entry(6, term: 2)])])
        disk = journal.disk
        #expect(try open(&disk).recovered.configurations == [LogIndex(6)])
    }

    @Test func `a batch costs one sync`() throws {
        var disk = SimulatedDisk()
        var (journal, _) = try open(&disk)
        try journal.append([LogChange(entries: [entry(1, term: 1)])])
        let before = journal.disk.counts
        try journal.append([
            LogChange(entries: [entry(2, term: 1), entry(3, term: 1)]),
            LogChange(entries: [entry(4, term: 1)], hardState: hard(1, vote: 2)),
        ])
        #expect(journal.disk.counts.syncs == before.syncs + 1)
        #expect(journal.disk.counts.directorySyncs == before.directorySyncs)
    }
}
