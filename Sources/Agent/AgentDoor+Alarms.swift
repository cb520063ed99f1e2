import Admin
import Gossip
import Mesh
import Node
import Raft
import Settings
import Transport
import VolumeCore

/// What a person has to know now, worst first.
extension AgentDoor {
    /// A member further behind than this is not one that a region's loss can be survived with.
    private static var lagEntriesMax: UInt64 { 10_000 }

    func alarms(_ view: NodeView) -> [Alarm] {
        var alarms: [Alarm] = []
        let voters = view.membership.voters
        let reachable = view.reachable(from: settings.member.id)
        if reachable < voters.quorum {
            alarms.append(
                Alarm(
                    code: "no-quorum", severity: .critical,
                    text: "\(reachable) of \(voters.count) voters are reachable, "
                        + "\(voters.quorum) are needed: nothing can be written",
                    remedy: "bring another member up, or its link; see the members below"))
        }
        if let found = view.contradiction {
            alarms.append(
                Alarm(
                    code: "contradiction", severity: .critical,
                    text: "leader \(found.leader) contradicts what is committed here: entry "
                        + "\(found.committed) is \(found.claimed) there, so voters have lost what "
                        + "they had promised",
                    remedy: "stop the clients, keep the disks of all members as they are, and see "
                        + "whose was emptied or rolled back"))
        }
        if !view.hasRoom {
            alarms.append(
                Alarm(
                    code: "disk-full", severity: .critical,
                    text: "the file system of \(settings.node.data) is nearly full: "
                        + "writes are stalled, nothing that was answered is lost",
                    remedy: "free space there; writing goes on by itself"))
        }
        if let resync = view.resync { alarms.append(alarm(ofOwn: resync, view)) }
        for peer in view.peers where peer.node != settings.member.id {
            guard let member = settings.cluster.members.first(where: { $0.id == peer.node })
            else { continue }
            if let loss = peer.progress?.loss { alarms.append(alarm(of: loss, member)) }
            alarms += alarm(of: peer, member, view)
        }
        for refusal in parts.transport.refusals.lastByPeer.values.sorted(by: {
            ($0.peer ?? NodeID(0)) < ($1.peer ?? NodeID(0))
        }) where !isUp(refusal.peer) {
            alarms.append(
                Alarm(
                    code: "peer-refused", severity: .warning,
                    text: "node \(refusal.peer.map { "\($0)" } ?? "?") was refused: "
                        + "\(refusal.reason)",
                    remedy: "see that its certificate and its cluster file are this mesh's"))
        }
        return alarms
    }

    private func isUp(_ node: NodeID?) -> Bool {
        parts.transport.links.contains {
            $0.node == node && $0.lane == .consensus && $0.isUp
        }
    }

    private func alarm(of loss: Progress.Loss, _ member: Member) -> Alarm {
        guard !loss.isMadeGood else {
            return Alarm(
                code: "replica-lost", severity: .info,
                text: "node \(member.id) in \(member.region) had lost writes that it had "
                    + "acknowledged, and holds them again",
                remedy: "find out what happened to its disk; this ends with the leader's term")
        }
        return Alarm(
            code: "replica-lost", severity: .critical,
            text: "node \(member.id) in \(member.region) lost writes that it had acknowledged, up "
                + "to entry \(loss.acknowledged): its disk was emptied or rolled back. It counts "
                + "for nothing until it holds them again and every voter was heard",
            remedy: "keep all other members up until then, and find out what happened to its disk; "
                + "see \"An emptied data directory\" in docs/operations.md")
    }

    private func alarm(ofOwn resync: ResyncStanding, _ view: NodeView) -> Alarm {
        let others = settings.cluster.dataMembers.filter { $0.id != settings.member.id }
        let whole = others.filter { member in
            view.peers.contains {
                $0.node == member.id && $0.liveness == .alive && $0.report?.resync == nil
            }
        }
        guard whole.isEmpty else {
            return Alarm(
                code: "resync", severity: .warning,
                text:
                    "this node was away for longer than the log reaches, and copies what it lacks: "
                    + "\(Self.words(resync)). Until then it can't take over",
                remedy:
                    "keep the primary up until it is done; see \"A member that was away for long\" "
                    + "in docs/operations.md")
        }
        let names = others.map { "node \($0.id) in \($0.region)" }.joined(separator: " or ")
        return Alarm(
            code: "no-whole-replica", severity: .critical,
            text:
                "the volumes here lack what the log no longer holds (\(Self.words(resync))), and no "
                + "member that has it is heard: nothing is served",
            remedy: "bring \(names.isEmpty ? "another data member" : names) up again with its disk")
    }

    static func words(_ resync: ResyncStanding) -> String {
        guard resync.isCopying else { return "what it lacks is not known yet" }
        return "\(percent(of: resync)) % done, \(resync.missingByteCount >> 20) MiB left"
    }

    /// Rounded down: 100 is said only of what is complete.
    static func percent(of resync: ResyncStanding) -> UInt64 {
        let whole = max(resync.wholeByteCount, resync.missingByteCount, 1)
        return (whole - resync.missingByteCount) * 100 / whole
    }

    private func alarm(of peer: NodeView.Peer, _ member: Member, _ view: NodeView) -> [Alarm] {
        let name = "node \(peer.node) in \(member.region)"
        switch peer.liveness {
        case .dead, nil:
            let remedy =
                peer.progress?.isLeftBehind == true
                ? "; the log is no longer kept for it: once it is back it copies what it lacks"
                : "; until it is back the log is kept for it"
            return [
                Alarm(
                    code: "member-dead", severity: .warning, text: "\(name) is not heard",
                    remedy: "see whether its process runs and its address \(member.address) "
                        + "can be reached" + remedy)
            ]
        case .alive, .suspect, .left: break
        }
        if peer.report?.hasRoom == false {
            return [
                Alarm(
                    code: "disk-full", severity: .warning, text: "\(name) has a full disk",
                    remedy: "free space on it: it can't follow much longer")
            ]
        }
        if let resync = peer.report?.resync, member.role == .data {
            return [
                Alarm(
                    code: "resync", severity: .warning,
                    text: "\(name) was away for longer than the log reaches, and copies what it "
                        + "lacks: \(Self.words(resync)). Until then it can't take over",
                    remedy:
                        "keep the primary up until it is done; see \"A member that was away for "
                        + "long\" in docs/operations.md")
            ]
        }
        guard member.role == .data, let last = peer.progress?.knownMatch,
            view.raft.last.index.distance(above: last) > Self.lagEntriesMax
        else { return [] }
        return [
            Alarm(
                code: "member-lags", severity: .warning,
                text: "\(name) is \(view.raft.last.index.distance(above: last)) entries behind",
                remedy: "it catches up by itself; should it not, see its disk and its link")
        ]
    }
}
