internal import Decisions
package import Mesh
internal import Raft
internal import Record

/// What this node saw of another's lease, for operators: no decision rests on it.
///
/// `ObservedLease` takes what it cannot know for fresh, so that nobody claims too early. A screen
/// must do the opposite, and say only what was seen.
extension Node {
    /// A renewal may be on its way, or come with the next one because its packet was lost, without
    /// the lease having lapsed for its holder.
    package static let renewalTolerance = Interval.milliseconds(250)

    /// How long ago this process saw the present primary's lease renewed; nil when it never did.
    package func renewalAge(at now: Instant) -> Interval? {
        renewalSeenAt.map { now.since($0) }
    }

    /// Whether the present primary's lease was seen renewed within its length and the tolerance.
    package func seesLease(at now: Instant) -> Bool {
        renewalAge(at: now).map { $0 <= settings.lease.length + Self.renewalTolerance } ?? false
    }

    mutating func sawRenewal(in entries: [Entry]) {
        guard case .held(let primary, _) = decisions.tenure,
            entries.contains(where: { $0.epoch == primary.epoch })
        else { return }
        renewalSeenAt = now
    }
}
