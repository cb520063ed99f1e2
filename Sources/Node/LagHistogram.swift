package import Mesh

/// How often which length was seen: of any number of them, in three kilobytes.
///
/// Each doubling is cut into sixteen, so what is told of a percentile is at most a sixteenth above the truth, and never below.
package struct LagHistogram: Hashable, Sendable {
    private static let partBits = 4
    private static let parts = 1 << partBits
    /// What takes longer is counted as this: 67 s, in microseconds.
    package static let microsecondsMax: UInt64 = (1 << 26) - 1

    private var counts = [UInt64](repeating: 0, count: Self.place(of: Self.microsecondsMax) + 1)
    package private(set) var count: UInt64 = 0
    package private(set) var longest = Interval.zero

    package init() {}

    package mutating func add(_ length: Interval, times: Int) {
        let microseconds = min(length.nanoseconds / 1_000, Self.microsecondsMax)
        counts[Self.place(of: microseconds)] += UInt64(times)
        count += UInt64(times)
        longest = max(longest, length)
    }

    /// The shortest length that so many hundredths of all were no longer than; nil of none.
    package func percentile(_ hundredths: UInt64) -> UInt64? {
        guard count > 0 else { return nil }
        let wanted = max(1, (count * hundredths + 99) / 100)
        var seen: UInt64 = 0
        for (place, some) in counts.enumerated() {
            seen += some
            if seen >= wanted { return Self.longest(at: place) }
        }
        return Self.microsecondsMax
    }

    private static func place(of microseconds: UInt64) -> Int {
        guard microseconds >= UInt64(parts) else { return Int(microseconds) }
        let doublings = UInt64.bitWidth - 1 - microseconds.leadingZeroBitCount - partBits
        return doublings * parts + Int(microseconds >> UInt64(doublings))
    }

    private static func longest(at place: Int) -> UInt64 {
        guard place >= 2 * parts else { return UInt64(place) }
        let doublings = place / parts - 1
        return UInt64(place - doublings * parts + 1) << UInt64(doublings) - 1
    }
}
