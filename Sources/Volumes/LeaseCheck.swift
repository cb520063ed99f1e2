internal import Mesh
internal import NIOConcurrencyHelpers
internal import VolumeCore

/// Looked at when a reply leaves: was the tenure in which it was computed the present one, and does
/// its lease still run?
package struct LeaseCheck: Sendable {
    let lease: NIOLockedValueBox<PostedLease>
    let tenure: UInt64
    let clock: @Sendable () -> Instant

    package var holds: Bool {
        let now = clock()
        return lease.withLockedValue { $0.holds(tenure, at: now) }
    }
    /// The tenure is the present one, whether or not its lease runs at this moment.
    package var isOfPresentTenure: Bool { lease.withLockedValue { $0.isPresent(tenure) } }
}
