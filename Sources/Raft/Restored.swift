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
    package var memberships: [Configuration]
    /// The newest entries, as many as should stay in memory.
    package var tail: [Entry]
    package var time: WallTime = .zero
    /// What the entries above the base and below the tail weigh, where that is known: it counts
    /// towards a witness's room.
    package var untailedByteCount = 0

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
                memberships.append(Configuration(index: entry.index, membership: membership))
            }
            lastIndex = entry.index
        }
    }

    /// Takes a journal's word for where the terms lie, so that a start need not read the entries:
    /// `positions` of all above the base, `time` of the newest, and of the entries themselves only
    /// the newest, as many as should stay in memory (none will do). `configurations` are all entries
    /// of kind membership above the base: without one of them this node would count quorums by a
    /// configuration that is past.
    package init(
        hardState: HardState, base: Base, positions: [Position], configurations: [Entry],
        time: WallTime, tail: [Entry]
    ) throws(LetterRefused) {
        let end = positions.last ?? base.position
        invariant(
            tail.isEmpty || tail.last?.position == end && tail.count <= positions.count,
            "the tail ends where the log ends, at \(end)")
        try self.init(hardState: hardState, base: base, entries: tail)
        (runs, lastIndex) = ([], base.position.index)
        for position in positions {
            invariant(position.index == lastIndex.next, "the journal's positions have no gap")
            if runs.last?.term != position.term {
                runs.append(TermRun(first: position.index, term: position.term))
            }
            lastIndex = position.index
        }
        self.time = time
        memberships = []
        for entry in configurations {
            let offset = entry.index.distance(above: base.position.index)
            invariant(
                entry.kind == .membership && offset > 0 && offset <= UInt64(positions.count)
                    && positions[Int(offset) - 1] == entry.position
                    && entry.index > memberships.last?.index ?? .zero,
                "the configuration at \(entry.position) is of this log")
            let membership = try Membership(parsing: Array(entry.payload))
            memberships.append(Configuration(index: entry.index, membership: membership))
        }
        let missing = tail.first { entry in
            entry.kind == .membership && !memberships.contains { $0.index == entry.index }
        }
        invariant(missing == nil, "no configuration of the log is left out")
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
