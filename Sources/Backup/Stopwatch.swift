package import Mesh

/// Instants of this process, for what is paced and told.
package struct Stopwatch: Sendable {
    private let began = ContinuousClock.now

    package init() {}

    package var now: Instant {
        Instant(nanoseconds: UInt64(max((ContinuousClock.now - began) / .nanoseconds(1), 0)))
    }
}
