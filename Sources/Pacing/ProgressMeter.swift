package import Mesh

/// How far work has come, how fast it goes, and how much longer it takes, as far as that can be told.
package struct ProgressMeter: Sendable {
    /// The rate is that of so long: what came before says little of what comes.
    package static let window = Interval.seconds(10)
    /// Before, nobody can tell.
    package static let shortest = Interval.seconds(2)
    /// How far samples are apart; so there are forty of them.
    private static let spacing = Interval.milliseconds(250)

    package struct Reading: Hashable, Sendable {
        package let phase: String
        package let unit: Work.Unit
        package let done: UInt64
        /// nil while it is not known.
        package let total: UInt64?
        /// A second; nil while it is not known, and 0 where nothing came for the whole window.
        package let rate: UInt64?
        /// For how long nothing has come.
        package let idle: Interval

        package init(
            phase: String, unit: Work.Unit = .bytes, done: UInt64, total: UInt64?, rate: UInt64?,
            idle: Interval = .zero
        ) {
            (self.phase, self.unit, self.done, self.total) = (phase, unit, done, total)
            (self.rate, self.idle) = (rate, idle)
        }

        /// Whole, and 100 only where nothing is left.
        package var percent: UInt64? {
            guard let total, total > 0 else { return nil }
            return done >= total ? 100 : UInt64(Double(done) / Double(total) * 100)
        }

        /// nil where nobody can tell, as of work that stands still.
        package var left: Interval? {
            guard let total else { return nil }
            guard done < total else { return .zero }
            guard let rate, rate > 0 else { return nil }
            return .seconds((total - done - 1) / rate + 1)
        }

        package var isStalled: Bool {
            idle >= ProgressMeter.window && total.map { done < $0 } ?? true
        }
    }

    private struct Sample: Sendable {
        let at: Instant
        let done: UInt64
    }

    package private(set) var phase: String
    package private(set) var unit: Work.Unit
    package private(set) var done: UInt64 = 0
    package private(set) var total: UInt64?
    /// The oldest first: the first one is of the window's beginning, or of the phase's.
    private var samples: [Sample]
    /// When more was found done for the last time.
    private var grew: Sample

    package init(
        _ phase: String, in unit: Work.Unit = .bytes, total: UInt64? = nil, at now: Instant
    ) {
        (self.phase, self.unit, self.total) = (phase, unit, total)
        grew = Sample(at: now, done: 0)
        samples = [grew]
    }

    package mutating func take(_ work: Work, at now: Instant) {
        switch work {
        case .began(let phase, let unit, let total):
            self = ProgressMeter(phase, in: unit, total: total, at: now)
        case .advanced(let count), .kept(let count): reach(done &+ count)
        }
    }

    package mutating func expect(_ total: UInt64?) { self.total = total }

    package mutating func reach(_ done: UInt64) { self.done = done }

    package mutating func reading(at now: Instant) -> Reading {
        if done != grew.done { grew = Sample(at: now, done: done) }
        let rate = rate(at: now)
        if let last = samples.last, now.since(last.at) >= Self.spacing {
            samples.append(Sample(at: now, done: done))
        }
        return Reading(
            phase: phase, unit: unit, done: done, total: total, rate: rate,
            idle: now.since(grew.at))
    }

    private mutating func rate(at now: Instant) -> UInt64? {
        // One that is older than the window is kept, so that all of the window is seen.
        while samples.count > 1, now.since(samples[1].at) >= Self.window { samples.removeFirst() }
        let first = samples[0]
        let span = now.since(first.at)
        guard span >= Self.shortest else { return nil }
        // What was done again, as behind an agent's new start, is no rate.
        guard done >= first.done else { return 0 }
        return UInt64(Double(done - first.done) / span.seconds)
    }
}
