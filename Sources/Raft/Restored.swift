package import Mesh
package import Record

/// What a core begins with: what its disk holds after a start.
package struct Restored: Hashable, Sendable {
    package var hardState: HardState
    /// With the contents that the core wrote: see `Base.init(position:membership:state:)`.
    package var base: Base
    package var baseMembership: Membership
    /// Terms of all entries above the base.
    package var runs: [TermRun]
    package var lastIndex: LogIndex
    package var memberships: [(index: LogIndex, membership: Membership)]
    /// The newest entries, as many as should stay in memory.
    package var tail: [Entry]
    package var time: WallTime = .zero
    package var epoch: Epoch = .zero

    /// Reads what a whole log says; a base whose contents aren't the core's is refused.
    package init(hardState: HardState, base: Base, entries: [Entry]) throws(LetterRefused) {
        self.hardState = hardState
        self.base = base
        baseMembership = try base.parsed().membership
        (runs, memberships) = ([], [])
        lastIndex = base.position.index
        tail = entries
        for entry in entries {
            if runs.last?.term != entry.term {
                runs.append(TermRun(first: entry.index, term: entry.term))
            }
            if entry.kind == .membership {
                let membership = try Membership(parsing: Array(entry.payload))
                memberships.append((entry.index, membership))
            }
            lastIndex = entry.index
        }
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.hardState == b.hardState && a.base == b.base && a.runs == b.runs
            && a.lastIndex == b.lastIndex
    }
    package func hash(into hasher: inout Hasher) {
        hasher.combine(hardState)
        hasher.combine(base.position)
        hasher.combine(lastIndex)
    }
}
