package import Mesh

/// Lets no more than so many bytes through in a second. What a pause left unused is lost, but for a burst: behind a store that
/// hung for a minute nobody reads a minute's worth at once.
package struct TokenBucket: Sendable {
    /// So long a pause is saved up.
    package static let burst = Interval.seconds(1)

    private let bytesPerSecond: UInt64
    /// When all that was taken has been paid for.
    private var paidUntil: Instant

    package init(_ bytesPerSecond: UInt64, at now: Instant) {
        (self.bytesPerSecond, paidUntil) = (max(bytesPerSecond, 1), now)
    }

    /// How long whoever took `count` bytes now has to wait.
    package mutating func take(_ count: UInt64, at now: Instant) -> Interval {
        paidUntil = max(paidUntil, now - Self.burst) + price(count)
        return paidUntil.since(now)
    }

    private func price(_ count: UInt64) -> Interval {
        let nanoseconds = count.multipliedFullWidth(by: 1_000_000_000)
        guard nanoseconds.high < bytesPerSecond else { return Interval(nanoseconds: .max) }
        return Interval(
            nanoseconds: bytesPerSecond.dividingFullWidth(nanoseconds).quotient)
    }
}
