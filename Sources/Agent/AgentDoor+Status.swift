import Admin
import Alarms
import Control
import Decisions
import Driver
import Glibc
import Gossip
import Journal
import Launch
import Mesh
import Node
import Raft
import Settings
import Transport
import VolumeCore
import Volumes
import Voting

extension AgentDoor {
    func status() async throws(AdminRefused) -> StatusReport {
        let view = view
        let links = parts.transport.links
        let open = exports.status
        let standing = parts.volumes.status
        let infos = Dictionary(uniqueKeysWithValues: standing.volumes.map { ($0.id, $0) })
        let members = settings.cluster.members.map { member($0, view, links) }
        return StatusReport(
            node: settings.member.id.rawValue, region: settings.member.region.text, role: .data,
            cluster: settings.cluster.cluster.description, version: Invocation.release,
            pid: getpid(), startedAt: startedAt, leader: view.raft.leader?.rawValue,
            raft: self.standing(view), primary: primary(view), quorum: quorum(view),
            preferredRegion: (view.preferred ?? settings.cluster.primaryRegion).text,
            members: members,
            volumes: view.volumes.sorted { $0.name < $1.name }.map { volume in
                report(volume, open.first { $0.name == volume.name }, infos[volume.id])
            },
            scrub: ScrubReport(standing),
            alarms: alarms(view), takeovers: view.takeovers.map(report),
            counters: counters(links), wish: wish(view),
            level: LevelReport(mesh: UInt64(view.level.rawValue), members: members))
    }

    func raft() async throws(AdminRefused) -> RaftReport {
        let view = view
        return RaftReport(
            node: settings.member.id.rawValue, leader: view.raft.leader?.rawValue,
            standing: standing(view), voters: view.membership.voters.all.map(\.rawValue),
            learners: view.membership.learners.map(\.rawValue),
            followers: view.peers.compactMap { peer in
                peer.progress.map { follower($0, view) }
            })
    }

    private func standing(_ view: NodeView) -> RaftStanding {
        let role: Admin.RaftRole =
            switch view.raft.role {
            case .follower: .follower
            case .preCandidate: .precandidate
            case .candidate: .candidate
            case .leader: .leader
            }
        return RaftStanding(
            role: role, term: view.raft.term.rawValue, commit: view.raft.commit.rawValue,
            applied: view.raft.applied.rawValue, last: PositionReport(view.raft.last),
            durable: view.raft.durable.rawValue, base: PositionReport(view.raft.base),
            logBytes: parts.keeper.held?.byteCount ?? 0,
            preferred: view.membership.preferred.map(\.rawValue))
    }

    private func follower(_ progress: Progress, _ view: NodeView) -> FollowerReport {
        let feeding: FollowerReport.Feeding =
            switch progress.state {
            case .probe: .probe
            case .replicate: .replicate
            case .snapshot: .snapshot
            }
        return FollowerReport(
            node: progress.node.rawValue, feeding: feeding,
            matchIndex: progress.knownMatch?.rawValue,
            nextIndex: progress.next.rawValue, inFlightBytes: UInt64(progress.inFlightBytes),
            lagEntries: progress.knownMatch.map { view.raft.last.index.distance(above: $0) },
            heardMilliseconds: progress.hasAnswered
                ? view.now.since(progress.heardAt).nanoseconds / 1_000_000 : nil,
            writes: view.lags.replicas.first { $0.node == progress.node }
                .flatMap { WriteLagReport($0.histogram) })
    }

    private func primary(_ view: NodeView) -> PrimaryReport? {
        guard case .held(let primary, _) = view.tenure else { return nil }
        let isNamed = primary.node == settings.member.id
        let isOwn = isNamed && view.isActing
        return PrimaryReport(
            node: primary.node.rawValue, region: primary.region.text,
            epoch: primary.epoch.rawValue, acting: isOwn,
            leaseLeftMilliseconds: view.actsUntil.map {
                $0.since(view.now).nanoseconds / 1_000_000
            }, leaseSeen: isNamed ? isOwn : view.seesLease,
            renewedMilliseconds: isNamed
                ? nil : view.renewalAge.map { $0.nanoseconds / 1_000_000 })
    }

    func quorum(_ view: NodeView) -> QuorumReport {
        let voters = view.membership.voters
        let reachable = view.reachable(from: settings.member.id)
        return QuorumReport(
            voters: voters.count, needed: voters.quorum, reachable: reachable,
            ok: reachable >= voters.quorum && view.raft.leader != nil)
    }

    private func member(_ member: Settings.Member, _ view: NodeView, _ links: [LinkStatus])
        -> MemberReport
    {
        let isSelf = member.id == settings.member.id
        let peer = view.peers.first { $0.node == member.id }
        let own = links.filter { $0.node == member.id }
        let consensus = own.first { $0.lane == .consensus }
        let match = isSelf ? view.raft.durable : peer?.progress?.knownMatch
        let refusal = parts.transport.refusals.lastByPeer[member.id]
        let isUp = isSelf || consensus?.isUp == true
        return MemberReport(
            node: member.id.rawValue, region: member.region.text,
            role: member.role == .witness ? .witness : .data,
            address: member.address.description, isSelf: isSelf,
            liveness: isSelf ? .`self` : MemberReport.Liveness(peer?.liveness),
            matchIndex: member.role == .witness ? nil : match?.rawValue,
            lagEntries: member.role == .witness
                ? nil : view.lagEntries(of: member.id, on: settings.member.id),
            roundTripMicroseconds: consensus?.roundTrip.map { $0.nanoseconds / 1_000 },
            linkUp: isUp, lastRefusal: isUp ? nil : refusal?.reason,
            lostIndex: peer?.progress.flatMap { $0.isForgetful ? $0.loss : nil }?
                .acknowledged.rawValue,
            resync: (isSelf ? view.resync : peer?.report?.resync).map {
                ResyncReport(
                    percent: $0.isCopying ? $0.percent : nil,
                    bytesLeft: $0.isCopying ? $0.missingByteCount : nil)
            }, vote: view.vote(of: member.id),
            speaks: (isSelf ? FeatureLevel.spoken : peer?.report?.speaks).map {
                UInt64($0.rawValue)
            })
    }

    func report(_ volume: Volume, _ open: NBDExportStatus?, _ info: VolumeInfo? = nil)
        -> Admin.VolumeReport
    {
        let hasSocket = open != nil && open?.socketFault == nil
        return Admin.VolumeReport(
            id: volume.id.rawValue, name: volume.name, byteCount: volume.byteCount,
            mode: volume.durability == .sync ? .sync : .async, isOpen: open != nil,
            generation: open?.generation.rawValue, clients: open?.connections ?? 0,
            socket: hasSocket ? exports.socketPath(of: volume.name) : nil,
            pendingBytes: UInt64(info?.pendingBytes ?? 0),
            damagedBlocks: UInt64(info?.damagedBlocks ?? 0))
    }

    private func report(_ takeover: Takeover) -> TakeoverReport {
        func region(_ node: NodeID) -> String {
            settings.cluster.members.first { $0.id == node }?.region.text ?? "\(node)"
        }
        let reason: TakeoverReport.Reason =
            switch takeover.reason {
            case .start: .start
            case .takeover: .takeover
            case .handOver: .switchover
            }
        return TakeoverReport(
            epoch: takeover.epoch.rawValue, from: takeover.from.map(region),
            to: region(takeover.to),
            reason: reason.following(itself: takeover.from == takeover.to),
            at: takeover.at.rawValue / 1_000_000,
            phases: takeover.phases.map {
                TakeoverReport.Phase(
                    name: $0.name, milliseconds: Double($0.took.nanoseconds / 1_000) / 1_000)
            })
    }

    private func counters(_ links: [LinkStatus]) -> [String: UInt64] {
        var all = board.counters.all
        all["events_dropped"] = parts.driver.dropped
        all["peers_refused"] = parts.transport.refusals.total
        all["bytes_sent"] = links.reduce(0) { $0 + $1.bytesOut }
        all["bytes_received"] = links.reduce(0) { $0 + $1.bytesIn }
        all["frames_dropped"] = links.reduce(0) { $0 + $1.dropped }
        return all
    }
}

extension ScrubReport {
    init(_ status: VolumeStatus) {
        let standing = status.scrub
        self.init(
            doneBytes: standing.doneByteCount, wholeBytes: standing.wholeByteCount,
            lastCompletedAt: standing.ended == .zero
                ? nil : standing.ended.rawValue / 1_000_000_000,
            comparedBytes: status.comparedByteCount)
    }
}

extension WriteLagReport {
    init?(_ histogram: LagHistogram) {
        guard let median = histogram.percentile(50), let p99 = histogram.percentile(99) else {
            return nil
        }
        self.init(
            count: histogram.count, p50Microseconds: median, p99Microseconds: p99,
            maxMicroseconds: histogram.longest.nanoseconds / 1_000)
    }
}

extension PositionReport {
    init(_ position: Position) {
        self.init(index: position.index.rawValue, term: position.term.rawValue)
    }
}

extension MemberReport.Liveness {
    /// A member that was never heard of is not said to live.
    init(_ liveness: Gossip.Liveness?) {
        switch liveness {
        case .alive: self = .alive
        case .suspect: self = .suspect
        case .left: self = .left
        case .dead, nil: self = .dead
        }
    }
}
