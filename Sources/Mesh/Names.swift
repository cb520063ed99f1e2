/// A name of one kind: two names of different kinds never compare, and no bare integer crosses a
/// function.
///
/// Names and times are compared in every line of every core. Each is `@inlinable` down to its number:
/// across modules a comparison would else be a call through a witness table.
@usableFromInline
package protocol Name: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible
where RawValue == UInt64 {
    init(rawValue: UInt64)
}

extension Name {
    @inlinable package init(_ rawValue: UInt64) { self.init(rawValue: rawValue) }
    @inlinable package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    @usableFromInline package var description: String { String(rawValue) }
    /// Nothing that counts up from 0 comes so far. What claims more is damage or an enemy's, and is
    /// refused where it is read, so that whatever goes on counting from it can't overflow.
    package static var countMax: Self { Self(1 << 62) }
}

/// A member of the mesh: an agent or a witness. Never reused; a wiped node returns under a new one.
@usableFromInline package struct NodeID: Name {
    @usableFromInline package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// One Raft group. Every message and record names its group from the first day.
@usableFromInline package struct GroupID: Name {
    @usableFromInline package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A Raft term (Raft §5.1): at most one leader in each.
@usableFromInline package struct Term: Name {
    @usableFromInline package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable package static var zero: Term { Term(0) }
    @inlinable package var next: Term { Term(rawValue + 1) }
}

/// The place of an entry in the log; the first entry has index 1, and 0 means "before the log".
@usableFromInline package struct LogIndex: Name {
    @usableFromInline package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable package static var zero: LogIndex { LogIndex(0) }
    @inlinable package var next: LogIndex { LogIndex(rawValue + 1) }
    /// The index before this one; before the first there is none, and asking is a bug.
    @inlinable package var previous: LogIndex {
        invariant(rawValue > 0, "no index precedes 0")
        return LogIndex(rawValue - 1)
    }
    @inlinable package func advanced(by count: Int) -> LogIndex {
        LogIndex(rawValue + UInt64(count))
    }
    /// How many entries lie in `base + 1 ... self`; 0 when `base` is not below.
    @inlinable package func distance(above base: LogIndex) -> UInt64 {
        self > base ? rawValue - base.rawValue : 0
    }
}

/// An entry's identity: no two different entries share both (Raft §5.3, log matching).
@usableFromInline package struct Position: Hashable, Comparable, Sendable, CustomStringConvertible {
    @usableFromInline package var index: LogIndex
    @usableFromInline package var term: Term
    @inlinable package init(index: LogIndex, term: Term) {
        self.index = index
        self.term = term
    }
    @inlinable package static var zero: Position { Position(index: .zero, term: .zero) }
    /// Raft §5.4.1: the log with the later term is more up to date; with equal terms, the longer.
    @inlinable package static func < (a: Self, b: Self) -> Bool {
        (a.term, a.index) < (b.term, b.index)
    }
    @usableFromInline package var description: String { "\(index)@\(term)" }
}

/// The fencing token: counts primaries, only grows, and is shown by whoever acts.
@usableFromInline package struct Epoch: Name {
    @usableFromInline package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable package static var zero: Epoch { Epoch(0) }
    @inlinable package var next: Epoch { Epoch(rawValue + 1) }
}

/// SWIM §4.2: who speaks later of the same member, counted by that member alone.
@usableFromInline package struct Incarnation: Name {
    @usableFromInline package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable package static var zero: Incarnation { Incarnation(0) }
    @inlinable package var next: Incarnation { Incarnation(rawValue + 1) }
}

/// One start of one process: a node that restarts has another.
@usableFromInline package struct BootID: Name {
    @usableFromInline package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A client whose retried proposals apply exactly once (Raft thesis §6.3); 0 means "no session".
@usableFromInline package struct SessionID: Name {
    @usableFromInline package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable package static var none: SessionID { SessionID(0) }
}

/// A protected disk.
@usableFromInline package struct VolumeID: Name {
    @usableFromInline package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// The mesh as a whole: 128 bits drawn once, so that no two meshes can take each other's messages.
package struct ClusterID: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    /// Reads 32 hexadecimal digits; nil for anything else.
    package init?(_ text: String) {
        guard let words = Hexadecimal.words(text) else { return nil }
        self.init(high: words.high, low: words.low)
    }
    package var description: String { Hexadecimal.text(high) + Hexadecimal.text(low) }
}

/// A region's name as operators write it: 1 to 63 of `a-z 0-9 -`, beginning with a letter.
package struct RegionName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package static let charactersMax = 63
    package let text: String
    /// nil when `text` is not such a name.
    package init?(_ text: String) {
        let lawful = text.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
        guard lawful, (1...Self.charactersMax).contains(text.utf8.count),
            let first = text.utf8.first, first >= UInt8(ascii: "a")
        else { return nil }
        self.text = text
    }
    package static func < (a: Self, b: Self) -> Bool { a.text < b.text }
    package var description: String { text }
}
