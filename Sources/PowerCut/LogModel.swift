package import JournalCore
package import Mesh
package import Record
package import SimulatedDisk

/// What a log means, computed from `LogChange`'s own words and by nothing of the journal's.
package struct LogModel: Hashable, Sendable {
    package private(set) var base = Base.empty
    package private(set) var entries: [Entry] = []
    package private(set) var hardState = HardState()
    /// Which of the entries say who the members are.
    package private(set) var configurations: [LogIndex] = []

    package init() {}

    /// Everything that `journal` gives back, read through its checks.
    package init(reading journal: inout JournalCore<SimulatedDisk>, _ recovered: Recovered)
        throws(JournalError)
    {
        (base, hardState) = (recovered.base, recovered.hardState)
        while last.index < recovered.last.index {
            entries += try journal.entries(
                from: last.index.next, through: recovered.last.index, bytesMax: 9_000)
        }
        configurations = try journal.configurations(recovered).map(\.index)
    }

    package var last: Position { entries.last?.position ?? base.position }

    package mutating func apply(_ change: LogChange) {
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
