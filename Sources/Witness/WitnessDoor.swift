import Admin
import Alarms
import Control
import Driver
import Glibc
import Gossip
import Journal
import Launch
import Mesh
import Raft
import Settings
import Transport
import Voting

/// What an operator can ask of a witness: how it stands, and nothing else.
struct WitnessDoor: AdminDoor {
    let current: CurrentSettings
    let parts: Switchboard.Parts
    let keeper: AlarmKeeper
    let room: RoomWatch
    let startedAt: UInt64

    var settings: AgentSettings { current.value }

    struct View: Sendable {
        let raft: Raft.Standing
        let membership: Membership
        let liveness: [NodeID: Gossip.Liveness]
        /// What the others say of themselves.
        let reports: [NodeID: Report]
        let losses: [NodeID: Sight.Loss]
        let standing: MemberStanding
        /// What the mesh has agreed on, as the others say.
        let level: FeatureLevel
    }

    var view: View {
        let peers = settings.cluster.members.map(\.id)
        return parts.driver.inspect { voter in
            View(
                raft: voter.raft.standing, membership: voter.raft.membership,
                liveness: Dictionary(
                    uniqueKeysWithValues: peers.compactMap { node in
                        voter.gossip.liveness(of: node).map { (node, $0) }
                    }),
                reports: Dictionary(
                    uniqueKeysWithValues: peers.compactMap { node in
                        voter.gossip.healthMap[node].flatMap { Report(parsing: $0.bytes) }
                            .map { (node, $0) }
                    }),
                losses: voter.raft.progress.reduce(into: [:]) { losses, progress in
                    losses[progress.node] = progress.loss.map {
                        Sight.Loss(acknowledged: $0.acknowledged, isMadeGood: $0.isMadeGood)
                    }
                }, standing: voter.raft.standingAsMember,
                level: voter.toldLevel)
        }
    }

    func quorum(_ view: View) -> QuorumReport {
        let voters = view.membership.voters
        let reachable = voters.all.count { voter in
            voter == settings.member.id || view.liveness[voter] == .alive
        }
        return QuorumReport(
            voters: voters.count, needed: voters.quorum, reachable: reachable,
            ok: reachable >= voters.quorum && view.raft.leader != nil)
    }

    func status() async throws(AdminRefused) -> StatusReport {
        let view = view
        let links = parts.transport.links
        let members = settings.cluster.members.map { member($0, view, links) }
        return StatusReport(
            node: settings.member.id.rawValue, region: settings.member.region.text, role: .witness,
            cluster: settings.cluster.cluster.description, version: Invocation.release,
            pid: getpid(), startedAt: startedAt, leader: view.raft.leader?.rawValue,
            raft: standing(view), primary: nil,
            quorum: quorum(view),
            preferredRegion: settings.cluster.primaryRegion.text,
            members: members,
            alarms: alarms(view),
            counters: [
                "bytes_sent": links.reduce(0) { $0 + $1.bytesOut },
                "bytes_received": links.reduce(0) { $0 + $1.bytesIn },
                "events_dropped": parts.driver.dropped,
                "peers_refused": parts.transport.refusals.total,
            ], level: LevelReport(mesh: UInt64(view.level.rawValue), members: members))
    }

    func raft() async throws(AdminRefused) -> RaftReport {
        let view = view
        return RaftReport(
            node: settings.member.id.rawValue, leader: view.raft.leader?.rawValue,
            standing: standing(view), voters: view.membership.voters.all.map(\.rawValue))
    }

    private func standing(_ view: View) -> RaftStanding {
        let role: Admin.RaftRole =
            switch view.raft.role {
            case .follower: .follower
            case .preCandidate: .precandidate
            case .candidate: .candidate
            case .leader: .caretaker
            }
        func place(_ position: Position) -> PositionReport {
            PositionReport(index: position.index.rawValue, term: position.term.rawValue)
        }
        return RaftStanding(
            role: role, term: view.raft.term.rawValue, commit: view.raft.commit.rawValue,
            applied: view.raft.applied.rawValue, last: place(view.raft.last),
            durable: view.raft.durable.rawValue, base: place(view.raft.base),
            logBytes: parts.keeper.held?.byteCount ?? 0)
    }

    private func member(_ member: Settings.Member, _ view: View, _ links: [LinkStatus])
        -> MemberReport
    {
        let isSelf = member.id == settings.member.id
        let consensus = links.first { $0.node == member.id && $0.lane == .consensus }
        let isUp = isSelf || consensus?.isUp == true
        let liveness: MemberReport.Liveness =
            switch view.liveness[member.id] {
            case _ where isSelf: .`self`
            case .alive: .alive
            case .suspect: .suspect
            case .left: .left
            case .dead, nil: .dead
            }
        return MemberReport(
            node: member.id.rawValue, region: member.region.text,
            role: member.role == .witness ? .witness : .data,
            address: member.address.description, isSelf: isSelf, liveness: liveness,
            roundTripMicroseconds: consensus?.roundTrip.map { $0.nanoseconds / 1_000 },
            linkUp: isUp,
            lastRefusal: isUp ? nil : parts.transport.refusals.lastByPeer[member.id]?.reason,
            vote: view.membership.votes(member.id) ? .votes : nil,
            speaks: (isSelf ? FeatureLevel.spoken : view.reports[member.id]?.speaks).map {
                UInt64($0.rawValue)
            })
    }

    func changeMembers(_ request: MembersRequest) async throws(AdminRefused)
        -> MembersChangeReport
    {
        throw .node(.witness(cannot: "changes no members"))
    }

    func cancelMembers() async throws(AdminRefused) -> MembersChangeReport {
        throw .node(.witness(cannot: "changes no members"))
    }

    func createVolume(_ request: VolumeRequest) async throws(AdminRefused) -> VolumeReport {
        throw .node(.witness(cannot: "keeps no volumes"))
    }

    func growVolume(
        named name: String, _ growth: VolumeGrowth
    ) async throws(AdminRefused) -> VolumeReport {
        throw .node(.witness(cannot: "keeps no volumes"))
    }

    func distrustVolume(
        named name: String, _ distrust: VolumeDistrust
    ) async throws(AdminRefused) -> VolumeReport {
        throw .node(.witness(cannot: "keeps no volumes"))
    }

    func deleteVolume(named name: String) async throws(AdminRefused) {
        throw .node(.witness(cannot: "keeps no volumes"))
    }

    func switchover(to region: String) async throws(AdminRefused) -> SwitchoverReport {
        throw .node(.witness(cannot: "hands nothing over"))
    }

    func backup() async throws(AdminRefused) -> BackupJobReport {
        throw .node(.witness(cannot: "makes no backups"))
    }

    func beginBackup(_ request: BackupRequest) async throws(AdminRefused) -> BackupJobReport {
        throw .node(.witness(cannot: "makes no backups"))
    }

    func snapshots() throws(AdminRefused) -> any SnapshotDoor {
        throw .node(.witness(cannot: "keeps no volumes"))
    }

    func log(_ query: LogQuery) async throws(AdminRefused) -> LogReport {
        throw .node(.witness(cannot: "shows no entries"))
    }
}
