package import Mesh
internal import Record

/// Where a term begins in the log.
package struct TermRun: Hashable, Sendable {
    package var first: LogIndex
    package var term: Term

    package init(first: LogIndex, term: Term) {
        self.first = first
        self.term = term
    }
}

/// What the core remembers of its log: every entry's term, and a bounded tail of entries. The rest
/// is on disk, and comes back by `fetch`.
struct LogWindow: Hashable, Sendable {
    private(set) var base: Position
    private(set) var runs: [TermRun]
    private(set) var lastIndex: LogIndex
    /// The newest entries, consecutive up to `lastIndex`.
    private(set) var tail: [Entry]
    private(set) var tailBytes = 0
    private var weights: LogWeights
    private var configurations: Configurations
    /// The clamp for the leader's clock.
    private(set) var time: WallTime

    init(_ restored: Restored) {
        base = restored.base.position
        runs = restored.runs
        lastIndex = restored.lastIndex
        tail = []
        weights = LogWeights(untailed: restored.untailedByteCount)
        configurations = Configurations(
            base: Configuration(index: base.index, membership: restored.baseMembership),
            restored.memberships)
        time = restored.time
        for entry in restored.tail { keep(entry) }
        invariant(
            tail.last.map { $0.index == lastIndex } ?? true, "the tail ends where the log ends")
        invariant(lastIndex == base.index || !runs.isEmpty, "every entry has a term")
    }

    static func == (a: Self, b: Self) -> Bool {
        a.base == b.base && a.runs == b.runs && a.lastIndex == b.lastIndex
    }
    func hash(into hasher: inout Hasher) {
        hasher.combine(base)
        hasher.combine(runs)
        hasher.combine(lastIndex)
    }

    var last: Position {
        Position(index: lastIndex, term: runs.last?.term ?? base.term)
    }
    var tailFirst: LogIndex { LogIndex(lastIndex.rawValue + 1 - UInt64(tail.count)) }
    var membership: Membership { configurations.newest.membership }
    var membershipIndex: LogIndex { configurations.newest.index }
    /// The base's first.
    var memberships: [Configuration] { configurations.all }

    func settled(at index: LogIndex) -> Configuration? { configurations.settled(at: index) }
    func isSettled(at index: LogIndex) -> Bool { configurations.isSettled(at: index) }
    func memberships(from index: LogIndex) -> [Membership] { configurations.possible(from: index) }
    func forEachMembership(from index: LogIndex, _ body: (Membership) -> Void) {
        configurations.forEachPossible(from: index, body)
    }
    func membership(at index: LogIndex) -> Membership { configurations.inForce(at: index) }

    /// nil below the base and above the end.
    func term(at index: LogIndex) -> Term? {
        if index == base.index { return base.term }
        guard index > base.index, index <= lastIndex else { return nil }
        return runs.last { $0.first <= index }?.term
    }

    func position(at index: LogIndex) -> Position? {
        term(at: index).map { Position(index: index, term: $0) }
    }

    /// The last index not above `index` whose term is at most `term`: skips whole terms when two
    /// logs part (Raft §5.3, end).
    func lastAgreeing(with hint: Position) -> Position {
        var index = min(hint.index, lastIndex)
        for run in runs.reversed() where run.first <= index {
            if run.term <= hint.term { return Position(index: index, term: run.term) }
            index = run.first.previous
        }
        return index < base.index ? Position(index: index, term: .zero) : base
    }

    private mutating func keep(_ entry: Entry) {
        tail.append(entry)
        tailBytes += entry.bytes.count
        weights.append(entry.bytes.count)
        time = max(time, entry.time)
    }

    mutating func append(_ entries: [Entry]) {
        for entry in entries {
            invariant(entry.index == lastIndex.next, "entries are consecutive")
            invariant(entry.term >= last.term, "terms never fall along a log")
            if entry.term != last.term || runs.isEmpty {
                runs.append(TermRun(first: entry.index, term: entry.term))
            }
            lastIndex = entry.index
            keep(entry)
            if entry.kind == .membership,
                let membership = try? Membership(parsing: Array(entry.payload))
            {
                configurations.append(
                    Configuration(index: entry.index, membership: membership))
            }
        }
    }

    mutating func truncate(from index: LogIndex) {
        invariant(index > base.index, "nothing at or below the base is ever truncated")
        guard index <= lastIndex else { return }
        let gone = min(tail.count, Int(lastIndex.rawValue - index.rawValue) + 1)
        tailBytes -= tail.suffix(gone).reduce(0) { $0 + $1.bytes.count }
        tail.removeLast(gone)
        weights.removeLast(gone, leaving: index.previous)
        lastIndex = index.previous
        while let run = runs.last, run.first > lastIndex { runs.removeLast() }
        configurations.truncate(after: lastIndex)
    }

    /// The prefix up to a base goes; `false` if the base is not of this log, and all went
    /// (Raft fig. 13, steps 6 and 7).
    mutating func rebase(to position: Position, membership: Membership) -> Bool {
        let keeps = term(at: position.index) == position.term
        let configuration = Configuration(index: position.index, membership: membership)
        if keeps {
            evict(through: position.index, bytesMax: 0)
            weights.rebase(to: position.index, tailFirst: tailFirst)
            while runs.count > 1, runs[1].first <= position.index.next { runs.removeFirst() }
            if lastIndex == position.index {
                runs = []
            } else if runs[0].first <= position.index {
                runs[0].first = position.index.next
            }
            configurations.rebase(to: configuration)
        } else {
            (runs, tail, tailBytes) = ([], [], 0)
            lastIndex = position.index
            weights = LogWeights(untailed: 0)
            configurations = Configurations(base: configuration)
        }
        base = position
        return keeps
    }

    /// Forgets the oldest entries, none above `index`, until at most three quarters of `bytesMax`
    /// remain; in steps, because each moves the whole tail.
    mutating func evict(through index: LogIndex, bytesMax: Int) {
        guard tailBytes > bytesMax else { return }
        var count = 0
        while count < tail.count, tail[count].index <= index, tailBytes > bytesMax / 4 * 3 {
            tailBytes -= tail[count].bytes.count
            count += 1
        }
        tail.removeFirst(count)
        weights.evict(count, upTo: tailFirst.previous)
    }

    /// Entries from `first` through `last`, at least one and then up to `bytesMax`; nil when the
    /// first is no longer in memory.
    func entries(from first: LogIndex, through last: LogIndex, bytesMax: Int) -> [Entry]? {
        guard first <= min(last, lastIndex) else { return [] }
        guard first >= tailFirst else { return nil }
        var end = Int(first.rawValue - tailFirst.rawValue)
        let start = end
        var bytes = 0
        while end < tail.count, tail[end].index <= last,
            end == start || bytes + tail[end].bytes.count <= bytesMax
        {
            bytes += tail[end].bytes.count
            end += 1
        }
        return Array(tail[start..<end])
    }

    /// Exact within the tail; below it, never too little, and too much by at most
    /// `LogWeights.markBytes` and an entry.
    func byteCount(above index: LogIndex) -> Int {
        index < lastIndex ? weights.byteCount(above: index, tailFirst: tailFirst) : 0
    }
}
