import Disk
import JournalCore
import Mesh
import PowerCut
import Record
import SimulatedDisk
import Testing

/// A script's states: before it, and after each of its batches.
struct History {
    let batches: [[LogChange]]
    let states: [LogModel]

    init(batches count: Int, seed: UInt64) {
        batches = script(batches: count, seed: seed)
        var state = LogModel()
        var states = [state]
        for batch in batches {
            batch.forEach { state.apply($0) }
            states.append(state)
        }
        self.states = states
    }

    /// Runs from batch `first` until the end or an error; returns how many batches are acknowledged.
    func run(_ journal: inout SimulatedJournal, from first: Int) -> Int {
        var done = first
        while done < batches.count {
            guard (try? journal.append(batches[done])) != nil else { break }
            done += 1
            // Every second batch: rotations find the next file whole, begun, or not there.
            guard done % 2 == 0 || (try? journal.prepareNext()) != nil else { break }
        }
        return done
    }
}

@Suite struct PowerCutTests {
    /// A recovery that dropped an acknowledged batch, kept half of one, or called a torn end
    /// damaged would fail here.
    @Test(arguments: 0..<2 as Range<UInt64>)
    func `a power cut in any step loses nothing acknowledged`(seed: UInt64) throws {
        let history = History(batches: 10, seed: seed)
        var whole = SimulatedDisk()
        var (probe, _) = try open(&whole)
        #expect(history.run(&probe, from: 0) == history.batches.count)
        let steps = probe.disk.counts.steps
        #expect(steps > 30)
        for cut in 1...steps {
            var disk = SimulatedDisk()
            disk.powerCutAtStep = cut
            var (journal, _) = try open(&disk)
            let done = history.run(&journal, from: 0)
            for subset in 0..<2 as Range<UInt64> {
                var random = SeededRandom(seed: seed << 32 | UInt64(cut) << 8 | subset)
                var after = journal.disk
                after.crash(using: &random)
                try check(history, done: done, &after, &random, cut: cut)
            }
        }
    }

    /// Recovers, perhaps with a power cut in the middle of it, and finishes the script.
    private func check(
        _ history: History, done: Int, _ disk: inout SimulatedDisk, _ random: inout SeededRandom,
        cut: Int
    ) throws {
        var disk = disk
        for _ in 0..<Int(random.next() % 3) {
            disk.powerCutAtStep = disk.counts.steps + 1 + Int(random.next() % 6)
            do {
                _ = try open(&disk, seed: random.next())
            } catch {
                guard case .disk = error else { throw error }
            }
            disk.crash(using: &random)
        }
        var (journal, recovered) = try open(&disk, seed: random.next())
        let found = try LogModel(reading: &journal, recovered)
        // `done` batches are acknowledged; the one that was under way may stand too.
        let lawful = history.states[done...min(done + 1, history.batches.count)]
        #expect(lawful.contains(found), "cut \(cut): \(found.last) after \(done) batches")
        let at = try #require(lawful.lastIndex(of: found))
        #expect(history.run(&journal, from: at) == history.batches.count)
        disk = journal.disk
        disk.crash(using: &random)
        var (again, recoveredAgain) = try open(&disk, seed: random.next())
        #expect(try LogModel(reading: &again, recoveredAgain) == history.states.last)
    }
}
