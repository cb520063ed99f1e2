import Admin
import Alarms
import Control
import Driver
import Glibc
import Gossip
import JournalCore
import Launch
import Mending
import Mesh
import Node
import Raft
import Record
import Settings
import Transport
import Voting

/// What an operator can ask of a node whose log is damaged: what it lacks.
struct MendDoor: AdminDoor {
    /// The core at one moment.
    private struct View: Sendable {
        let mending: Mending
        let liveness: [NodeID: Gossip.Liveness]
        let reports: [NodeID: Report]
    }

    let settings: AgentSettings
    let damage: LogDamage
    let parts: MendBoard.Parts
    let keeper: AlarmKeeper
    let startedAt: UInt64

    private var view: View {
        let members = settings.cluster.members.map(\.id)
        return parts.driver.inspect { member in
            let gossip = member.gossip
            var liveness: [NodeID: Gossip.Liveness] = [:]
            var reports: [NodeID: Report] = [:]
            for node in members {
                liveness[node] = gossip.liveness(of: node)
                reports[node] = gossip.healthMap[node].flatMap { Report(parsing: $0.bytes) }
            }
            return View(mending: member.mending, liveness: liveness, reports: reports)
        }
    }

    func status() async throws(AdminRefused) -> StatusReport {
        let view = view
        return StatusReport(
            node: settings.member.id.rawValue, region: settings.member.region.text, role: .data,
            cluster: settings.cluster.cluster.description, version: Invocation.release,
            pid: getpid(), startedAt: startedAt, leader: nil, raft: standing,
            primary: nil, quorum: quorum(view),
            preferredRegion: settings.cluster.primaryRegion.text,
            members: settings.cluster.members.map { member($0, view) },
            alarms: sight(view).alarms, mending: report(view.mending))
    }

    func raft() async throws(AdminRefused) -> RaftReport {
        RaftReport(
            node: settings.member.id.rawValue, leader: nil, standing: standing,
            voters: settings.cluster.membership.voters.all.map(\.rawValue))
    }

    func createVolume(_ request: VolumeRequest) async throws(AdminRefused) -> Admin.VolumeReport {
        throw .node(.mending)
    }
    func growVolume(
        named name: String, _ growth: VolumeGrowth
    ) async throws(AdminRefused) -> Admin.VolumeReport { throw .node(.mending) }
    func distrustVolume(
        named name: String, _ distrust: VolumeDistrust
    ) async throws(AdminRefused) -> Admin.VolumeReport { throw .node(.mending) }
    func deleteVolume(named name: String) async throws(AdminRefused) { throw .node(.mending) }
    func switchover(to region: String) async throws(AdminRefused) -> SwitchoverReport {
        throw .node(.mending)
    }
    func changeMembers(_ request: MembersRequest) async throws(AdminRefused) -> MembersChangeReport
    {
        throw .node(.mending)
    }
    func cancelMembers() async throws(AdminRefused) -> MembersChangeReport {
        throw .node(.mending)
    }
    func log(_ query: LogQuery) async throws(AdminRefused) -> LogReport { throw .node(.mending) }
    func snapshots() throws(AdminRefused) -> any SnapshotDoor { throw .node(.mending) }
    func backup() async throws(AdminRefused) -> BackupJobReport { throw .node(.mending) }
    func beginBackup(_ request: BackupRequest) async throws(AdminRefused) -> BackupJobReport {
        throw .node(.mending)
    }

    func clearAlarm(named code: String) async throws(AdminRefused) -> AlarmClearing {
        defer { parts.driver.post(.announce(keeper.bulletin)) }
        return try await keeper.clear(named: code)
    }

    /// What the damaged log says; nothing of it counts until it is whole.
    private var standing: RaftStanding {
        RaftStanding(
            role: .follower, term: damage.last.term.rawValue, commit: damage.commit.rawValue,
            applied: damage.basePosition.index.rawValue, last: PositionReport(damage.last),
            durable: damage.basePosition.index.rawValue,
            base: PositionReport(damage.basePosition), logBytes: 0)
    }

    /// This node is no voter while it mends.
    private func quorum(_ view: View) -> QuorumReport {
        let voters = settings.cluster.membership.voters
        let reachable = voters.all.count {
            $0 != settings.member.id && view.liveness[$0] == .alive
                && view.reports[$0]?.isMending != true
        }
        return QuorumReport(
            voters: voters.count, needed: voters.quorum, reachable: reachable, ok: false)
    }

    private func member(_ member: Settings.Member, _ view: View) -> MemberReport {
        let isSelf = member.id == settings.member.id
        let link = parts.transport.links.first { $0.node == member.id && $0.lane == .bulk }
        let isUp = isSelf || link?.isUp == true
        return MemberReport(
            node: member.id.rawValue, region: member.region.text,
            role: member.role == .witness ? .witness : .data,
            address: member.address.description, isSelf: isSelf,
            liveness: isSelf ? .`self` : MemberReport.Liveness(view.liveness[member.id]),
            matchIndex: nil, lagEntries: nil,
            roundTripMicroseconds: link?.roundTrip.map { $0.nanoseconds / 1_000 },
            linkUp: isUp,
            lastRefusal: isUp ? nil : parts.transport.refusals.lastByPeer[member.id]?.reason,
            speaks: (isSelf ? FeatureLevel.spoken : view.reports[member.id]?.speaks).map {
                UInt64($0.rawValue)
            })
    }

    private func sight(_ view: View) -> Sight {
        var sight = Sight(
            settings, quorum: quorum(view), keeper: keeper, transport: parts.transport,
            now: BootClock.unixSeconds)
        sight.damage = words(view.mending)
        sight.peers = settings.others.map { member in
            var peer = Sight.Peer(
                member, liveness: view.liveness[member.id], report: view.reports[member.id],
                transport: parts.transport)
            peer.isData = member.role == .data
            peer.resync = view.reports[member.id]?.resync
            return peer
        }
        return sight
    }

    /// What lacks, and who was asked for it.
    private func words(_ mending: Mending) -> String {
        var parts: [String] = []
        if let first = mending.need.entries.first, let last = mending.need.entries.last {
            parts.append(
                first == last
                    ? "entry \(first.position) lacks"
                    : "\(mending.need.entries.count) entries from \(first.position) to "
                        + "\(last.position) lack")
        }
        if let base = mending.need.base { parts.append("base \(base.position) lacks") }
        let asked = mending.settings.peers.map { "\($0)" }.joined(separator: ", ")
        parts.append("node \(asked) asked, \(mending.rounds) times all of them")
        return parts.joined(separator: "; ")
    }

    private func report(_ mending: Mending) -> MendingReport {
        let need = mending.need
        return MendingReport(
            missing: need.entries.count,
            first: need.entries.first.map { PositionReport($0.position) },
            last: need.entries.last.map { PositionReport($0.position) },
            base: need.base.map { PositionReport($0.position) }, rounds: mending.rounds,
            asked: mending.settings.peers.map { peer in
                let said = mending.answers[peer, default: [:]].values
                return MendingReport.Asked(
                    node: peer.rawValue, lacks: said.count { $0 == .lacks },
                    compacted: said.count { $0 == .compacted })
            }, places: damage.places.map(\.description))
    }
}
