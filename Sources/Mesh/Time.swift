/// A point on one node's CLOCK_BOOTTIME, in nanoseconds. Two nodes' instants never compare: only
/// intervals cross the wire.
@usableFromInline package struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
    @usableFromInline package let nanoseconds: UInt64
    @inlinable package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
    @inlinable package static var zero: Instant { Instant(nanoseconds: 0) }
    @inlinable package static var distantFuture: Instant { Instant(nanoseconds: .max) }
    @inlinable package static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
    /// Saturates at `distantFuture`.
    @inlinable package static func + (a: Self, b: Interval) -> Instant {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.nanoseconds)
        return overflow ? .distantFuture : Instant(nanoseconds: sum)
    }
    /// Saturates at zero.
    @inlinable package static func - (a: Self, b: Interval) -> Instant {
        Instant(nanoseconds: a.nanoseconds > b.nanoseconds ? a.nanoseconds - b.nanoseconds : 0)
    }
    /// How long ago `earlier` was; zero when it is not earlier.
    @inlinable package func since(_ earlier: Instant) -> Interval {
        Interval(nanoseconds: self > earlier ? nanoseconds - earlier.nanoseconds : 0)
    }
    @usableFromInline package var description: String {
        Interval(nanoseconds: nanoseconds).description
    }
}

/// A length of time, never negative, in nanoseconds.
@usableFromInline package struct Interval: Hashable, Comparable, Sendable, CustomStringConvertible {
    @usableFromInline package let nanoseconds: UInt64
    @inlinable package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
    @inlinable package static var zero: Interval { Interval(nanoseconds: 0) }
    @inlinable package static func microseconds(_ n: UInt64) -> Interval {
        Interval(nanoseconds: n * 1_000)
    }
    @inlinable package static func milliseconds(_ n: UInt64) -> Interval {
        Interval(nanoseconds: n * 1_000_000)
    }
    @inlinable package static func seconds(_ n: UInt64) -> Interval {
        Interval(nanoseconds: n * 1_000_000_000)
    }
    @inlinable package static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable package static func + (a: Self, b: Self) -> Interval {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.nanoseconds)
        return Interval(nanoseconds: overflow ? .max : sum)
    }
    /// Saturates at zero.
    @inlinable package static func - (a: Self, b: Self) -> Interval {
        Interval(nanoseconds: a.nanoseconds > b.nanoseconds ? a.nanoseconds - b.nanoseconds : 0)
    }
    @inlinable package static func * (a: Self, b: UInt64) -> Interval {
        let (product, overflow) = a.nanoseconds.multipliedReportingOverflow(by: b)
        return Interval(nanoseconds: overflow ? .max : product)
    }
    @inlinable package static func / (a: Self, b: UInt64) -> Interval {
        Interval(nanoseconds: a.nanoseconds / b)
    }
    @inlinable package var seconds: Double { Double(nanoseconds) / 1e9 }
    @usableFromInline package var description: String {
        switch nanoseconds {
        case 0..<1_000: "\(nanoseconds)ns"
        case 1_000..<1_000_000: "\(nanoseconds / 1_000)us"
        case 1_000_000..<10_000_000_000: "\(nanoseconds / 1_000_000)ms"
        default: "\(nanoseconds / 1_000_000_000)s"
        }
    }
}

/// Wall time in nanoseconds since 1970-01-01 UTC: for people and for restores "to a time"; no
/// decision of the mesh depends on it.
@usableFromInline package struct WallTime: Name {
    @usableFromInline package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable package static var zero: WallTime { WallTime(0) }
}
