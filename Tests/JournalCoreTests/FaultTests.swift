import Disk
import JournalCore
import Mesh
import PowerCut
import Record
import SimulatedDisk
import Testing

@Suite struct FaultTests {
    private func started(_ count: UInt64 = 3) throws -> SimulatedJournal {
        var disk = SimulatedDisk()
        var (journal, _) = try open(&disk)
        for index in 1...count {
            try journal.append([LogChange(entries: [entry(index, term: 1)], hardState: hard(1))])
        }
        return journal
    }

    @Test func `after one failed sync every call fails, though the disk works again`() throws {
        var journal = try started()
        journal.damageNextSync()
        let first = #expect(throws: JournalError.self) {
            try journal.append([LogChange(entries: [entry(4, term: 1)])])
        }
        let steps = journal.disk.counts.steps
        let second = #expect(throws: JournalError.self) {
            try journal.append([LogChange(entries: [entry(4, term: 1)])])
        }
        #expect(first == second)
        #expect(throws: JournalError.self) {
            try journal.entries(from: LogIndex(1), through: LogIndex(1), bytesMax: 1)
        }
        #expect(journal.disk.counts.steps == steps)
    }

    /// The cache shows the lost batch until the power goes: an `open` that believes it, adds to it
    /// and never writes it again loses what it acknowledged then.
    @Test func `what only the cache holds after a failed sync is made safe by open`() throws {
        var journal = try started()
        journal.damageNextSync()
        _ = try? journal.append([LogChange(entries: [entry(4, term: 1)])])
        var disk = journal.disk
        disk.failingSync = nil
        var (next, recovered) = try open(&disk, seed: 9)
        #expect(recovered.last.index == LogIndex(4))
        try next.append([LogChange(entries: [entry(5, term: 1)])])
        disk = next.disk
        var random = SeededRandom(seed: 5)
        disk.crash(using: &random)
        #expect(try open(&disk).recovered.last.index == LogIndex(5))
    }

    /// Append, rotation, and base each need room at another moment.
    @Test func `a full disk at any byte stops the journal and loses nothing`() throws {
        let history = History(batches: 16, seed: 11)
        var whole = SimulatedDisk()
        var (probe, _) = try open(&whole)
        _ = history.run(&probe, from: 0)
        var stops: Set<Int> = []
        for limit in stride(from: 0, to: 400_000, by: 13_337) {
            var disk = SimulatedDisk()
            disk.byteCountMax = limit
            var (journal, _) = try open(&disk)
            let done = history.run(&journal, from: 0)
            if done < history.batches.count {
                stops.insert(done)
                guard case .disk(let error) = journal.failure else {
                    Issue.record("\(String(describing: journal.failure))")
                    continue
                }
                #expect(error.cause == .full)
            }
            disk = journal.disk
            disk.byteCountMax = .max
            var (next, recovered) = try open(&disk, seed: 77)
            let found = try LogModel(reading: &next, recovered)
            #expect(history.states[done...min(done + 1, history.batches.count)].contains(found))
        }
        #expect(stops.count > 2)
    }

    @Test func `a write that fails halfway leaves a torn tail that the next batch does not touch`()
        throws
    {
        var journal = try started()
        let big = LogChange(entries: [entry(4, term: 1, byteCount: 9_000)])
        journal.damageNextWrite()
        #expect(throws: JournalError.self) { try journal.append([big]) }
        var disk = journal.disk
        disk.failingWrite = nil
        var (next, recovered) = try open(&disk, seed: 4)
        #expect(recovered.last.index == LogIndex(3))
        #expect(recovered.tornTail?.file == "segment-0000000000000001")
        #expect(recovered.tornTail?.offset == 4 * 4096)
        let before = disk.contents(of: "segment-0000000000000001")
        try next.append([big])
        #expect(next.disk.contents(of: "segment-0000000000000001") == before)
        disk = next.disk
        let last = try open(&disk, seed: 5).recovered
        #expect(last.last.index == LogIndex(4) && last.tornTail == nil)
    }
}

extension SimulatedJournal {
    /// A copy of this journal whose disk fails the next sync, once.
    mutating func damageNextSync() { alterDisk { $0.failingSync = $0.counts.syncs + 1 } }
    mutating func damageNextWrite() { alterDisk { $0.failingWrite = $0.counts.writes + 1 } }
}
