package import Mesh

/// True time, which no machine can read: nanoseconds since the run began.
package struct Moment: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let nanoseconds: UInt64
    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
    package static let zero = Moment(nanoseconds: 0)
    package static let never = Moment(nanoseconds: .max)
    package static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
    /// Saturates at `never`.
    package static func + (a: Self, b: Interval) -> Moment {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.nanoseconds)
        return overflow ? .never : Moment(nanoseconds: sum)
    }
    package func since(_ earlier: Moment) -> Interval {
        Interval(nanoseconds: self > earlier ? nanoseconds - earlier.nanoseconds : 0)
    }
    /// Seconds with six decimals.
    package var description: String {
        let micros = nanoseconds / 1_000
        let fraction = String(micros % 1_000_000)
        return "\(micros / 1_000_000)."
            + String(repeating: "0", count: 6 - fraction.count) + fraction
    }
}

/// One machine's CLOCK_BOOTTIME as a function of true time: begun some time ago, and running a
/// little too fast or too slow.
struct VirtualClock: Sendable {
    private static let whole: UInt64 = 1_000_000
    /// Beyond this a local instant counts as never: it bounds the products below.
    private static let horizon: UInt64 = 1 << 43

    private var trueStart = Moment.zero
    private var localStart: Instant
    /// Local nanoseconds in a million true ones.
    private var rate: UInt64

    init(startingAt local: Instant, rate: UInt64) {
        (localStart, self.rate) = (local, rate)
    }

    func local(_ moment: Moment) -> Instant {
        let passed = moment.since(trueStart).nanoseconds
        return localStart + Interval(nanoseconds: passed * rate / Self.whole)
    }

    /// The first moment at which the clock shows `instant` or later.
    func moment(of instant: Instant) -> Moment {
        let wanted = instant.since(localStart).nanoseconds
        guard wanted < Self.horizon else { return .never }
        let passed = (wanted * Self.whole + rate - 1) / rate
        return trueStart + Interval(nanoseconds: passed)
    }

    mutating func run(at rate: UInt64, from moment: Moment) {
        localStart = local(moment)
        (trueStart, self.rate) = (moment, rate)
    }
}
