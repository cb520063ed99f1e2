package import Admin
package import Mesh

/// All that a node knows from which its alarms follow, at one moment.
package struct Sight: Hashable, Sendable {
    /// Entries under way are no lag: a follower may be this far behind while a client writes.
    package static let lagTolerated = MemberReport.lagTolerated

    package enum Standing: Hashable, Sendable {
        case alive, suspect
        /// It said farewell.
        case left
        /// Dead, or never heard of.
        case silent
    }

    package struct Lag: Hashable, Sendable {
        package let entries: UInt64
        /// Unix seconds; nil while it is tolerated.
        package let since: UInt64?
        package init(entries: UInt64, since: UInt64?) {
            self.entries = entries
            self.since = since
        }
    }

    /// What the leader knows of a member that lost what it had acknowledged.
    package struct Loss: Hashable, Sendable {
        package let acknowledged: LogIndex
        package let isMadeGood: Bool
        package init(acknowledged: LogIndex, isMadeGood: Bool) {
            self.acknowledged = acknowledged
            self.isMadeGood = isMadeGood
        }
    }

    package struct Peer: Hashable, Sendable {
        package let node: NodeID
        package let region: String
        package let address: String
        package var standing: Standing
        package var hasRoom = true
        package var isData = true
        /// It votes, listens or stands by; or is wished for.
        package var isMember = true
        /// Its log is damaged, and it has no vote until that is mended.
        package var isMending = false
        /// What its volumes lack; nil where they are a whole replica.
        package var resync: ResyncStanding?
        /// The log is no longer kept for it.
        /// Whether the log is kept for it no longer; nil where this node does not lead.
        package var isLeftBehind: Bool?
        package var lag: Lag?
        package var loss: Loss?
        /// Why its connections are refused, or ours by it.
        package var refusal: String?
        /// nil where it tells nothing of its cluster file.
        package var clusterFile: ClusterPrint?

        var isHeard: Bool { standing == .alive || standing == .suspect }

        package init(node: NodeID, region: String, address: String, standing: Standing) {
            self.node = node
            self.region = region
            self.address = address
            self.standing = standing
        }
    }

    /// Bytes of a volume that another replica has otherwise.
    package struct Difference: Hashable, Sendable {
        package let volume: String
        package let range: Range<UInt64>
        package let node: NodeID
        package init(volume: String, range: Range<UInt64>, node: NodeID) {
            (self.volume, self.range, self.node) = (volume, range, node)
        }
    }

    package struct Damage: Hashable, Sendable {
        package let volume: String
        package let blocks: Int
        /// Of bytes; the first few.
        package let ranges: [Range<UInt64>]
        package init(volume: String, blocks: Int, ranges: [Range<UInt64>]) {
            self.volume = volume
            self.blocks = blocks
            self.ranges = ranges
        }
    }

    package struct Certificate: Hashable, Sendable {
        package let path: String
        package let isAuthority: Bool
        /// Unix seconds.
        package let endsAt: UInt64
        package init(path: String, isAuthority: Bool, endsAt: UInt64) {
            self.path = path
            self.isAuthority = isAuthority
            self.endsAt = endsAt
        }
    }

    package let own: NodeID
    package let region: String
    /// Where this node's data lies.
    package let data: String
    /// Unix seconds.
    package let now: UInt64
    package let quorum: QuorumReport
    package let clusterFile: ClusterPrint
    package var membership = Membership.member
    /// What is wished of the members.
    package var wish: WishReport?
    package var hasRoom = true
    /// What the volumes here lack; nil where they are a whole replica.
    package var resync: ResyncStanding?
    /// Volumes whose images here hold what was never written.
    package var imageDamage: [Damage] = []
    package var differences: [Difference] = []
    package var lag: Lag?
    /// What the log here lacks, in words; nil where it is whole.
    package var damage: String?
    /// Every member but this one, by id.
    package var peers: [Peer] = []
    package var certificates: [Certificate] = []
    package var incidents = Incidents()
    /// Volumes that are served and have no socket, and why.
    package var socketFaults: [String: String] = [:]
    /// nil where the cluster file has no schedule for them.
    package var backups: Backups?
    /// nil while this node does not ship the log.
    package var shipping: Shipping?
    /// nil where the key of this node's backups is as young as it has to be, or is not known to be older.
    package var rotation: Rotation?
    /// nil where locks of objects were extended the last time that it was due.
    package var locks: Locks?
    /// nil where this node does not read over the repository.
    package var scrub: Scrub?
    /// Snapshots of this node that ended, and that nobody has taken off the list.
    package var snapshots: [Snapshot] = []

    package init(
        own: NodeID, region: String, data: String, now: UInt64, quorum: QuorumReport,
        clusterFile: ClusterPrint
    ) {
        self.own = own
        self.region = region
        self.data = data
        self.now = now
        self.quorum = quorum
        self.clusterFile = clusterFile
    }
}
