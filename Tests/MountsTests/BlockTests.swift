import Mesh
import Testing

@testable import Mounts

@Suite("States of a mounted volume's blocks") struct BlockTests {
    @Test(arguments: 0..<20 as Range<UInt64>)
    func `each block is what it was set to last`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let count = 3 * BlockStates.blocksPerPage + 77
        var (states, model) = (
            BlockStates(), [BlockStates.State](repeating: .below, count: Int(count))
        )
        for _ in 0..<60 {
            let first = random.next() % count
            let length = random.next() % 3 == 0 ? count : 1 + random.next() % 200
            let end = min(first + length, count)
            let state: BlockStates.State = random.next() % 2 == 0 ? .written : .zeros
            states.set(first..<end, state)
            for at in first..<end { model[Int(at)] = state }
        }
        for at in 0..<count { #expect(states[at] == model[Int(at)]) }
        let size = BlockStates.blockByteCount
        let range = 100..<count * size - 100
        var at = range.lowerBound
        for run in states.runs(in: range) {
            #expect(run.range.lowerBound == at)
            for block in BlockStates.blocks(run.range) { #expect(model[Int(block)] == run.state) }
            at = run.range.upperBound
        }
        #expect(at == range.upperBound)
    }

    @Test func `a terabyte that is zeroed at once is one run`() {
        var states = BlockStates()
        let all: UInt64 = 1 << 28
        states.set(0..<all, .zeros)
        let runs = states.runs(in: 0..<2 * all * BlockStates.blockByteCount)
        #expect(runs.map(\.state) == [.zeros, .below])
    }
}
