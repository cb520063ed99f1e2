import Disk
import JournalCore
import Mesh
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

/// What a log means, computed from LogChange's own words and by nothing of the journal's.
struct Model: Hashable {
    var base = Base.empty
    var entries: [Entry] = []
    var hardState = HardState()
    /// Which of the entries say who the members are.
    var configurations: [LogIndex] = []

    var last: Position { entries.last?.position ?? base.position }

    mutating func apply(_ change: LogChange) {
        if let new = change.base, new.position.index > base.position.index {
            let agrees = entries.contains { $0.position == new.position }
            entries = agrees ? entries.filter { $0.index > new.position.index } : []
            base = new
        }
        if let first = change.entries.first {
            entries.removeAll { $0.index >= first.index }
            entries += change.entries
        }
        if let hardState = change.hardState { self.hardState = hardState }
        configurations = entries.filter { $0.kind == .membership }.map(\.index)
    }
}

/// Everything that `journal` gives back, read through its checks.
func model(_ journal: inout SimulatedJournal, _ recovered: Recovered) throws -> Model {
    var entries: [Entry] = []
    while (entries.last?.index ?? recovered.base.position.index) < recovered.last.index {
        let next = (entries.last?.index ?? recovered.base.position.index).next
        entries += try journal.entries(from: next, through: recovered.last.index, bytesMax: 9_000)
    }
    return Model(
        base: recovered.base, entries: entries, hardState: recovered.hardState,
        configurations: try journal.configurations(recovered).map(\.index))
}

/// A run of batches that appends, overwrites, votes, compacts and starts over.
func script(batches: Int, seed: UInt64) -> [[LogChange]] {
    var random = SeededRandom(seed: seed)
    var state = Model()
    var term: UInt64 = 1
    return (0..<batches).map { _ in
        (0..<Int.random(in: 1...3, using: &random)).map { _ in
            let change = step(&state, &term, &random)
            state.apply(change)
            return change
        }
    }
}

private func step(_ state: inout Model, _ term: inout UInt64, _ random: inout SeededRandom)
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
