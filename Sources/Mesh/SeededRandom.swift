/// Chance that can be replayed: SplitMix64 (Steele, Lea, Flood 2014). Cores are handed one; they
/// never reach for the system's.
@usableFromInline package struct SeededRandom: RandomNumberGenerator, Hashable, Sendable {
    @usableFromInline var state: UInt64
    @inlinable package init(seed: UInt64) { state = seed }

    @inlinable package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Another stream, whose numbers tell nothing of this one's.
    @inlinable package mutating func fork() -> SeededRandom { SeededRandom(seed: next()) }

    /// True `numerator` times in `denominator`.
    @inlinable package mutating func chance(_ numerator: UInt64, in denominator: UInt64) -> Bool {
        next() % denominator < numerator
    }

    @inlinable package mutating func interval(in range: ClosedRange<Interval>) -> Interval {
        Interval(
            nanoseconds: UInt64.random(
                in: range.lowerBound.nanoseconds...range.upperBound.nanoseconds, using: &self))
    }
}
