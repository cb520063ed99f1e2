import Disk
import JournalCore
import Mesh
import PowerCut
import Record
import SimulatedDisk

typealias SimulatedJournal = JournalCore<SimulatedDisk>

let group = GroupID(3)
let settings = SimulatedJournal.Settings(
    cluster: ClusterID(high: 1, low: 2), group: group, segmentByteCount: 32 << 10)

func entry(_ index: UInt64, term: UInt64, byteCount: Int = 40) -> Entry {
    let payload = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(index + term)) }
    // Some say who the members are: what they say is no matter to a journal.
    let kind: Entry.Kind = (index + term) % 4 == 0 ? .membership : .write
    return Draft(kind, epoch: Epoch(1), sequence: index, payload: payload)
        .sealed(
            at: Position(index: LogIndex(index), term: Term(term)), group: group,
            time: WallTime(index))
}

func hard(_ term: UInt64, vote: UInt64? = nil, commit: UInt64 = 0) -> HardState {
    HardState(term: Term(term), vote: vote.map { NodeID($0) }, commit: LogIndex(commit))
}

func open(_ disk: inout SimulatedDisk, seed: UInt64 = 1) throws(JournalError)
    -> (journal: SimulatedJournal, recovered: Recovered)
{
    try SimulatedJournal.open(&disk, settings: settings, random: SeededRandom(seed: seed))
}

/// A run of batches that appends, overwrites, votes, compacts and starts over.
func script(batches: Int, seed: UInt64) -> [[LogChange]] {
    var random = SeededRandom(seed: seed)
    var state = LogModel()
    var term: UInt64 = 1
    return (0..<batches).map { _ in
        (0..<Int.random(in: 1...3, using: &random)).map { _ in
            let change = step(&state, &term, &random)
            state.apply(change)
            return change
        }
    }
}

private func step(_ state: inout LogModel, _ term: inout UInt64, _ random: inout SeededRandom)
    -> LogChange
{
    var change = LogChange()
    let count = UInt64.random(in: 1...4, using: &random)
    var first = state.last.index.rawValue + 1
    switch random.next() % 16 {
    case 0:
        term += 1
        change.hardState = hard(term, vote: random.next() % 5, commit: first - 1)
        return change
    case 1 where !state.entries.isEmpty:
        term += 1
        first = state.entries[Int(random.next() % UInt64(state.entries.count))].index.rawValue
        change.hardState = hard(term)
    case 2 where !state.entries.isEmpty:
        let at = state.entries[Int(random.next() % UInt64(state.entries.count))].position
        change.base = Base(position: at, contents: [UInt8](repeating: 5, count: 700))
    case 3 where random.chance(1, in: 2):
        term += 1
        let index = LogIndex(first + 5)
        change.base = Base(
            position: Position(index: index, term: Term(term)),
            contents: [UInt8](repeating: 9, count: 1_300))
        first = index.rawValue + 1
    default: break
    }
    change.entries = (first..<first + count).map {
        entry($0, term: term, byteCount: Int.random(in: 0...900, using: &random))
    }
    return change
}
