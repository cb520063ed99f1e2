package import Mesh

/// Who may serve the volumes, and the fencing token that it shows with every deed.
package struct Primary: Hashable, Sendable {
    package let node: NodeID
    package let region: RegionName
    package let epoch: Epoch
    /// The promotion's place in the log.
    package let since: LogIndex

    package init(node: NodeID, region: RegionName, epoch: Epoch, since: LogIndex) {
        self.node = node
        self.region = region
        self.epoch = epoch
        self.since = since
    }
}

/// Whether the primary's lease still runs, as far as the log can tell.
///
/// The log is the lease (LeaseGuard 2025): every committed entry that the primary proposed in its
/// epoch renews it. Ages are measured by clocks outside; the log only fixes which renewal an age
/// was measured from.
package enum Tenure: Hashable, Sendable {
    /// Nobody has been primary yet.
    case vacant
    /// The newest entry that renewed the lease.
    case held(Primary, renewal: LogIndex)
    /// The primary gave its lease up before its time, at this index, and acts no more.
    case relinquished(Primary, at: LogIndex)

    package var primary: Primary? {
        switch self {
        case .vacant: nil
        case .held(let primary, _), .relinquished(let primary, _): primary
        }
    }

    package var epoch: Epoch { primary?.epoch ?? .zero }
}

/// Why a promotion is lawful. Each names what it rests on, so that the log can refuse it when
/// something came between.
package enum Warrant: Hashable, Sendable {
    /// There has been no primary.
    case firstPrimary
    /// The proposer measured, from the receipt of this renewal, that the lease and the drift margin
    /// have passed. A later renewal in the log proves the measurement stale.
    case leaseEnded(renewal: LogIndex)
    /// The primary relinquished at this index.
    case relinquished(at: LogIndex)
}
