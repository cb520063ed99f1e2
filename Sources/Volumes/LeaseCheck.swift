internal import Mesh
internal import NIOConcurrencyHelpers

/// What was said last of this node's lease: written by whoever posts to the volumes, so that it is
/// newer than what their queue has come to.
final class SharedLease: Sendable {
    private struct State: Sendable {
        var tenure: UInt64 = 0
        var until = Instant.zero
    }
    private let state = NIOLockedValueBox(State())

    func begin(until: Instant) {
        state.withLockedValue { $0 = State(tenure: $0.tenure + 1, until: until) }
    }
    func renew(until: Instant) { state.withLockedValue { $0.until = max($0.until, until) } }
    func end() { state.withLockedValue { $0 = State(tenure: $0.tenure + 1) } }

    func isPresent(_ tenure: UInt64) -> Bool { state.withLockedValue { $0.tenure == tenure } }

    func holds(_ tenure: UInt64, at now: Instant) -> Bool {
        state.withLockedValue { $0.tenure == tenure && now < $0.until }
    }
}

/// Looked at when a reply leaves: was the tenure in which it was computed the present one, and does
/// its lease still run?
package struct LeaseCheck: Sendable {
    let lease: SharedLease
    let tenure: UInt64
    let clock: @Sendable () -> Instant

    package var holds: Bool { lease.holds(tenure, at: clock()) }
    /// The tenure is the present one, whether or not its lease runs at this moment.
    package var isOfPresentTenure: Bool { lease.isPresent(tenure) }
}
