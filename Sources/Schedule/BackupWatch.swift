package import Decisions
package import Mesh

/// What one member does about the schedule: when it claims a slot, and when it says that it goes on.
///
/// Members do not talk about it. Each waits for a while that grows with its place in one order, which all know alike, and then
/// claims; of two claims the log takes the first. All ages are measured by this member's own clock from when it saw something, so
/// that no clock that is wrong ends a claim too early.
package struct BackupWatch: Hashable, Sendable {
    /// Whoever comes before another has so long to claim.
    package static let headStart = Interval.seconds(3)
    package static let renewEvery = Interval.seconds(15)
    /// A claim of whose holder nothing came for so long is anybody's.
    package static let lapse = Interval.seconds(60)
    /// Behind a failure, by the time of the log: whoever is asked next may be well again by then.
    package static let retryAfter = Interval.seconds(300)

    /// What a member sees.
    package struct View: Hashable, Sendable {
        package let own: NodeID
        package let schedule: BackupSchedule
        package var duty: BackupDuty
        /// Of the last entry that was applied.
        package var time: WallTime
        /// Who stores the volumes.
        package let members: [NodeID]
        package let primary: NodeID?
        /// Who is not heard any more.
        package var gone: Set<NodeID> = []
        /// It has a repository, all volumes and nothing else under way that reads them.
        package var isAble = true
        /// The claim for which a backup runs here.
        package var running: LogIndex?

        package init(
            own: NodeID, schedule: BackupSchedule, duty: BackupDuty, time: WallTime,
            members: [NodeID], primary: NodeID?
        ) {
            (self.own, self.schedule, self.duty, self.time) = (own, schedule, duty, time)
            (self.members, self.primary) = (members, primary)
        }
    }

    /// What is open to a claim, as it was first seen.
    private struct Chance: Hashable {
        let due: BackupSchedule.Due
        let attempts: BackupDuty.Attempts?
        let over: LogIndex?
    }
    private var chance: Chance?
    private var chanceSince = Instant.zero
    private var renewal: LogIndex?
    private var renewedAt = Instant.zero
    private var saidAt: Instant?

    package init() {}

    /// What is to be said now, if anything.
    package mutating func look(_ view: View, at now: Instant) -> BackupNews? {
        watchClaim(view.duty.claim, at: now)
        if let running = view.running { return renew(running, view.duty, at: now) }
        saidAt = nil
        guard view.isAble, let chance = chance(view, at: now), let place = Self.place(view) else {
            self.chance = nil
            return nil
        }
        if chance != self.chance { (self.chance, chanceSince) = (chance, now) }
        guard now >= chanceSince + Self.headStart * UInt64(place) else { return nil }
        return .claimed(
            slot: chance.due.slot, isFull: chance.due.isFull, by: view.own, over: chance.over)
    }

    private mutating func watchClaim(_ claim: BackupDuty.Claim?, at now: Instant) {
        guard claim?.renewal != renewal else { return }
        (renewal, renewedAt) = (claim?.renewal, now)
    }

    private mutating func renew(
        _ running: LogIndex, _ duty: BackupDuty, at now: Instant
    ) -> BackupNews? {
        guard duty.claim?.since == running else { return nil }
        guard let said = saidAt, now < said + Self.renewEvery else {
            let isFirst = saidAt == nil
            saidAt = now
            // The claim itself was said just now.
            return isFirst ? nil : .renewed(claim: running)
        }
        return nil
    }

    private func chance(_ view: View, at now: Instant) -> Chance? {
        let duty = view.duty
        guard let due = view.schedule.due(at: view.time, duty), !duty.isGivenUp(due.slot) else {
            return nil
        }
        guard let claim = duty.claim else {
            guard !isResting(view, due.slot) else { return nil }
            return Chance(due: due, attempts: duty.attempts, over: nil)
        }
        // Its own, of a process that ended, is the same as that of one who is gone.
        let isGone = claim.node == view.own || view.gone.contains(claim.node)
        guard isGone || now >= renewedAt + Self.lapse else { return nil }
        return Chance(due: due, attempts: duty.attempts, over: claim.renewal)
    }

    private func isResting(_ view: View, _ slot: WallTime) -> Bool {
        guard let failure = view.duty.failure, failure.slot == slot else { return false }
        return view.time < failure.at
            || view.time.rawValue - failure.at.rawValue < Self.retryAfter.nanoseconds
    }

    /// Guests are on the primary, so it comes last; behind it only who failed last, for whatever reason it has.
    private static func place(_ view: View) -> Int? {
        let members = view.members.filter { $0 != view.primary }.sorted()
        let all = members + (view.primary.map { view.members.contains($0) ? [$0] : [] } ?? [])
        let failed = view.duty.failure?.node
        return (all.filter { $0 != failed } + all.filter { $0 == failed })
            .firstIndex(of: view.own)
    }
}
