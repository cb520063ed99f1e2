package import Mesh
internal import Planted

/// How long a lease lasts, and how far two clocks may run apart meanwhile.
package struct LeaseTerms: Hashable, Sendable {
    package static let lengthMin = Interval.milliseconds(50)
    package static let lengthMax = Interval.seconds(60)
    /// The fastest and the slowest clock of the mesh differ by less than this.
    package static let driftPerMilleDefault: UInt64 = 5

    package let length: Interval
    package let driftPerMille: UInt64

    /// nil when the length lies outside `lengthMin ... lengthMax`, or the drift is not a fraction.
    package init?(length: Interval, driftPerMille: UInt64 = Self.driftPerMilleDefault) {
        guard (Self.lengthMin...Self.lengthMax).contains(length), driftPerMille < 500 else {
            return nil
        }
        self.length = length
        self.driftPerMille = driftPerMille
    }

    private var margin: Interval { length * driftPerMille / 1_000 }
    /// On the holder's clock, from the moment at which it proposed the renewal.
    package var holderStops: Interval { length - margin }
    /// On a successor's clock, from the moment at which it received the renewal.
    package var successorStarts: Interval {
        isPlanted(.waitsForHalfALease) ? length / 2 : length + margin
    }
    /// An idle primary renews so often that one lost renewal ends nothing.
    package var renewEvery: Interval { length / 3 }
}

/// The primary's own view of its lease: what it proposed, and until when it may act.
///
/// Time counts from the proposal, never from the commit: others may have received it at once.
package struct HeldLease: Hashable, Sendable {
    /// Proposed renewals awaiting their commit; beyond this many the oldest are merged away, which
    /// only ends the lease sooner.
    package static let outstandingMax = 1_024

    private let terms: LeaseTerms
    private let epoch: Epoch
    private var outstanding: [(index: LogIndex, proposed: Instant)] = []
    /// Acts strictly before this; nil until a renewal of its own has committed in its epoch.
    package private(set) var until: Instant?
    private var lastProposal: Instant?

    package init(_ terms: LeaseTerms, epoch: Epoch) {
        self.terms = terms
        self.epoch = epoch
    }

    package mutating func proposed(_ index: LogIndex, epoch: Epoch, at now: Instant) {
        guard epoch == self.epoch else { return }
        if outstanding.count == Self.outstandingMax { outstanding.removeFirst() }
        outstanding.append((index, now))
        lastProposal = now
    }

    /// An entry in this epoch at `index` was committed and accepted.
    package mutating func renewed(through index: LogIndex) {
        guard let last = outstanding.lastIndex(where: { $0.index <= index }) else { return }
        let end = outstanding[last].proposed + terms.holderStops
        until = max(until ?? .zero, end)
        outstanding.removeSubrange(...last)
    }

    /// Proposals in flight were lost with the term in which they were made.
    package mutating func proposalsLost() { outstanding.removeAll() }

    package func isHeld(at now: Instant) -> Bool { until.map { now < $0 } ?? false }

    /// When the next renewal is due unless a write renews before.
    package func nextRenewal(at now: Instant) -> Instant {
        lastProposal.map { $0 + terms.renewEvery } ?? now
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.terms == b.terms && a.epoch == b.epoch && a.until == b.until
            && a.lastProposal == b.lastProposal
            && a.outstanding.elementsEqual(b.outstanding) { $0 == $1 }
    }
    package func hash(into hasher: inout Hasher) {
        hasher.combine(epoch)
        hasher.combine(until)
    }
}

/// Another node's view of the lease: how old the newest renewal in its own log can be.
///
/// Age counts from receipt, from the installation of a snapshot, or from the process's start,
/// whichever is latest: what the node cannot know it takes for fresh. An entry counts when it is
/// received, committed or not, and goes on counting when the log later drops it.
package struct ObservedLease: Hashable, Sendable {
    private let terms: LeaseTerms
    private var receivedAt: Instant

    package init(_ terms: LeaseTerms, processStart: Instant) {
        self.terms = terms
        receivedAt = processStart
    }

    /// An entry that would renew, or a snapshot that may hold one, came into this node's log.
    package mutating func received(at now: Instant) {
        if !isPlanted(.ignoresRenewals) { receivedAt = max(receivedAt, now) }
    }

    /// From when on every renewal in this node's log has surely ended for its holder.
    package var ends: Instant { receivedAt + terms.successorStarts }

    /// The warrant that this observation gives at `now`, if it gives one.
    ///
    /// Asked by a leader that has applied an entry of its own term, so that its log holds every
    /// renewal that ever committed. Should one more stand in its log unapplied, the promotion lands
    /// behind it and is refused there, because it names an older renewal.
    package func warrant(for tenure: Tenure, at now: Instant) -> Warrant? {
        switch tenure {
        case .vacant: .firstPrimary
        case .relinquished(_, let index): .relinquished(at: index)
        case .held(_, let renewal): now >= ends ? .leaseEnded(renewal: renewal) : nil
        }
    }
}
