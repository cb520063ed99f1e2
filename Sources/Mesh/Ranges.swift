extension Array {
    /// Adds `next` behind all others; where it begins at the end of the last one, or in that one, the two become one.
    package mutating func append<Bound>(joining next: Range<Bound>) where Element == Range<Bound> {
        guard let last, last.upperBound >= next.lowerBound else { return append(next) }
        self[count - 1] = last.lowerBound..<Swift.max(last.upperBound, next.upperBound)
    }
}
