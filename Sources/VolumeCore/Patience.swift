internal import Mesh

/// How long a source is waited for before what was asked of it counts as lost.
struct Patience: Sendable {
    private(set) var limit: Interval
    private let base: Interval
    private let most: Interval

    init(_ base: Interval, most: Interval) { (limit, self.base, self.most) = (base, base, most) }

    /// Nothing came: perhaps it takes longer.
    mutating func endedInVain() { limit = min(limit * 2, most) }

    /// Something came, `took` after it was asked for: the next may well take twice as long.
    mutating func wasAnswered(after took: Interval) { limit = min(max(base, took * 2), most) }

    /// A source that was away, or another one: how long the last one was silent tells nothing of it.
    mutating func meetsAnew() { limit = base }
}
