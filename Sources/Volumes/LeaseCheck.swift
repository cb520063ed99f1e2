internal import Mesh
internal import NIOConcurrencyHelpers
internal import VolumeCore

/// Looked at when a reply leaves: was the tenure in which it was computed the present one, and does
/// its lease still run?
package struct LeaseCheck: Sendable {
    private struct Leased: Sendable {
        let lease: NIOLockedValueBox<PostedLease>
        let tenure: UInt64
        let clock: @Sendable () -> Instant
    }

    private let leased: Leased?

    init(
        lease: NIOLockedValueBox<PostedLease>, tenure: UInt64,
        clock: @escaping @Sendable () -> Instant
    ) { leased = Leased(lease: lease, tenure: tenure, clock: clock) }

    /// Of what nobody else can change: no lease is needed, and every reply leaves.
    package init() { leased = nil }

    package var holds: Bool {
        guard let leased else { return true }
        let now = leased.clock()
        return leased.lease.withLockedValue { $0.holds(leased.tenure, at: now) }
    }
    /// The tenure is the present one, whether or not its lease runs at this moment.
    package var isOfPresentTenure: Bool {
        guard let leased else { return true }
        return leased.lease.withLockedValue { $0.isPresent(leased.tenure) }
    }
}
