internal import Mesh
internal import NIOConcurrencyHelpers
internal import VolumeCore

/// The posted lease, for whoever delivers answers on other threads.
final class SharedLease: Sendable {
    private let posted = NIOLockedValueBox(PostedLease())

    func note(_ event: ExportEvent) { posted.withLockedValue { $0.note(event) } }
    func end() { posted.withLockedValue { $0.end() } }

    func isPresent(_ tenure: UInt64) -> Bool { posted.withLockedValue { $0.isPresent(tenure) } }

    func holds(_ tenure: UInt64, at now: Instant) -> Bool {
        posted.withLockedValue { $0.holds(tenure, at: now) }
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
