/// How long another is waited for before what was asked of it counts as lost.
package struct Patience: Sendable {
    package private(set) var limit: Interval
    private let base: Interval
    private let most: Interval

    package init(_ base: Interval, most: Interval) {
        (limit, self.base, self.most) = (base, base, most)
    }

    /// Nothing came: perhaps it takes longer.
    package mutating func endedInVain() { limit = min(limit * 2, most) }

    /// Something came, `took` after it was asked for: the next may well take twice as long. What was
    /// asked for more than once counts from the first time, or a late answer would pass for a quick one.
    package mutating func wasAnswered(after took: Interval) {
        limit = min(max(base, took * 2), most)
    }
}
