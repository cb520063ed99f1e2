import Alarms
import Decisions
import Driver
import Gossip
import Mesh
import Node
import Raft
import VolumeCore
import Voting

/// What the core holds at one moment, as far as an operator cares.
struct NodeView: Sendable {
    struct Peer: Sendable {
        let node: NodeID
        let liveness: Gossip.Liveness?
        let report: Report?
        let progress: Progress?
    }

    let now: Instant
    let raft: Raft.Standing
    let membership: Membership
    let peers: [Peer]
    let tenure: Tenure
    let preferred: RegionName?
    let volumes: [Volume]
    /// Until when this node acts as primary; nil when it does not.
    let actsUntil: Instant?
    let isHandingOver: Bool
    let takeovers: [Takeover]
    let hasRoom: Bool
    /// What the volumes here lack.
    let resync: ResyncStanding?
    /// Whether the primary's lease was lately seen renewed, and how long ago the last time was.
    let seesLease: Bool
    let renewalAge: Interval?
    let contradiction: Contradiction?
    let witness: NodeID?
    let wish: Wish?
    /// Only of a leader.
    let waitsFor: WishWait?
    let stoodFor: Interval?
    /// What this node is to the mesh.
    let standing: MemberStanding
    /// What the mesh has agreed on.
    let level: FeatureLevel
    let backups: BackupDuty
    /// Who can be primary.
    let seats: [NodeID]
    /// Of the last entry that this process applied, by its leader's clock.
    let appliedTime: WallTime?
    let lags: ReplicaLags

    init(_ node: borrowing Node, now: Instant) {
        let raft = node.voter.raft
        let gossip = node.voter.gossip
        self.now = now
        self.raft = raft.standing
        membership = raft.membership
        peers = node.settings.members.map { member in
            Peer(
                node: member.node, liveness: gossip.liveness(of: member.node),
                report: gossip.healthMap[member.node].flatMap {
                    Report(parsing: $0.bytes)
                },
                progress: raft.progress.first { $0.node == member.node })
        }
        tenure = node.decisions.tenure
        preferred = node.decisions.preferred
        volumes = node.decisions.volumes
        takeovers = node.takeovers
        hasRoom = node.hasRoom
        resync = node.resync
        seesLease = node.seesLease(at: now)
        renewalAge = node.renewalAge(at: now)
        contradiction = raft.contradiction
        witness = node.decisions.witness?.node
        wish = node.decisions.wish
        standing = node.standingAsMember
        level = node.meshLevel
        backups = node.decisions.backups
        seats = node.decisions.seats.map(\.node)
        appliedTime = node.appliedTime
        lags = node.lags
        let leads = wish != nil && raft.role == .leader
        waitsFor = leads ? node.members.waitsFor : nil
        stoodFor = leads ? now.since(node.members.movedAt) : nil
        switch node.office {
        case .acting(let acting):
            actsUntil = acting.isOpen ? acting.lease.until : nil
            isHandingOver = acting.handOver != nil
        case .yielding: (actsUntil, isHandingOver) = (nil, true)
        case .idle, .clearing, .claiming: (actsUntil, isHandingOver) = (nil, false)
        }
    }

    var isActing: Bool { actsUntil.map { now < $0 } ?? false }

    /// How far behind a member is, as far as `seat` knows now. Of others only the leader does; of
    /// itself, every node that hears one, though what it hears of others' logs is seconds old.
    func lagEntries(of node: NodeID, on seat: NodeID) -> UInt64? {
        guard raft.leader != nil else { return nil }
        let own = max(raft.last.index, raft.commit)
        guard node == seat else {
            let match = peers.first { $0.node == node }?.progress?.knownMatch
            return match.map { own.distance(above: $0) }
        }
        let heard = peers.filter { $0.node != seat && $0.liveness == .alive }
        return Lags.own(
            durable: raft.durable, committed: own, heard: heard.compactMap(\.report?.last))
    }

    /// One that is only suspected may live.
    func hears(_ node: NodeID) -> Bool {
        peers.contains { $0.node == node && ($0.liveness == .alive || $0.liveness == .suspect) }
    }

    /// Voters that this node hears from, itself included.
    func reachable(from seat: NodeID) -> Int {
        membership.voters.all.count { voter in
            voter == seat || peers.contains { $0.node == voter && $0.liveness == .alive }
        }
    }
}

extension Node.Event {
    /// What the wall clock says.
    static var wallClock: Node.Event {
        let (wall, at) = BootClock.reading
        return .wallClock(wall, readAt: at)
    }
}
