package import Admin
internal import Mesh

/// What a person has to know now, worst first.
extension Sight {
    /// A member further behind than this is not one that a region's loss can be survived with.
    static let lagMax: UInt64 = 10_000
    /// A smaller lag becomes an alarm once it has lasted so long.
    static let lagSecondsMax: UInt64 = 10

    package var alarms: [Alarm] {
        let all =
            memberAlarms + quorumAlarms + damageAlarms + incidentAlarms + roomAlarms + resyncAlarms
            + imageAlarms + differenceAlarms
            + certificateAlarms
            + peers.flatMap(alarms(of:)) + lagAlarms("this node", lag) + socketAlarms
            + backupAlarms + shippingAlarms + rotationAlarms + lockAlarms + scrubAlarms
            + snapshotAlarms
        // A sort by severity alone that keeps the order of the rest.
        return [.critical, .warning, .info].flatMap { severity in
            all.filter { $0.severity == severity }
        }
    }

    func alarm(
        _ code: AlarmCode, _ severity: Alarm.Severity, since: UInt64? = nil, _ text: String,
        do remedy: String
    ) -> Alarm {
        Alarm(
            code: code.rawValue, severity: severity, text: text, remedy: remedy, since: since)
    }

    private var quorumAlarms: [Alarm] {
        guard !quorum.isReached else { return [] }
        return [
            alarm(
                .noQuorum, .critical,
                "\(quorum.reachable) of \(counted(quorum.voters, "voter is", "voters are")) "
                    + "reachable, \(counted(quorum.needed, "is", "are")) needed: nothing can be "
                    + "written",
                do: "bring another member up, or its link; see the members below")
        ]
    }

    private var roomAlarms: [Alarm] {
        guard !hasRoom else { return [] }
        return [
            alarm(
                .diskFull, .critical,
                "the file system of \(data) is nearly full: writes are stalled, nothing that was "
                    + "answered is lost", do: "free space there; writing goes on by itself")
        ]
    }

    private var socketAlarms: [Alarm] {
        socketFaults.sorted { $0.key < $1.key }.map { name, why in
            alarm(
                .volumeWithoutSocket, .warning, "volume \(name) is served without a socket: \(why)",
                do: "see who may write to `run` and how long its path is; NBD over TLS still works")
        }
    }

    private func alarms(of peer: Peer) -> [Alarm] {
        let name = "node \(peer.node) in \(peer.region)"
        guard peer.isMember else { return strangerAlarms(peer, name) }
        return standingAlarms(peer, name) + fileAlarms(peer) + refusalAlarms(peer, name)
            + (peer.isHeard ? lagAlarms(name, peer.lag) : [])
    }

    private func standingAlarms(_ peer: Peer, _ name: String) -> [Alarm] {
        switch peer.standing {
        case .silent:
            [
                alarm(
                    .memberDead, .warning, "\(name) is not heard",
                    do: "see whether its process runs and its address \(peer.address) can be "
                        + "reached; " + kept(for: peer))
            ]
        case .left:
            [
                alarm(
                    .memberLeft, .warning, "\(name) has left: it was stopped",
                    do: "start it when its work is done; until then one more failure may stop the "
                        + "writes; " + kept(for: peer))
            ]
        case .alive, .suspect:
            damageAlarms(peer, name) + fullAlarms(peer, name) + resyncAlarms(peer, name)
        }
    }

    private func kept(for peer: Peer) -> String {
        switch peer.isLeftBehind {
        case true?: "the log is no longer kept for it: once it is back it copies what it lacks"
        case false?: "until it is back the log is kept for it, up to `logKept`"
        case nil: "whether the log is kept for it says the leader"
        }
    }

    private func fullAlarms(_ peer: Peer, _ name: String) -> [Alarm] {
        guard !peer.hasRoom else { return [] }
        return [
            alarm(
                .diskFull, .warning, "\(name) has a full disk",
                do: "free space on it: it can't follow much longer")
        ]
    }

    private func refusalAlarms(_ peer: Peer, _ name: String) -> [Alarm] {
        guard let refusal = peer.refusal else { return [] }
        return [
            alarm(
                .peerRefused, .warning, "\(name) was refused: \(refusal)",
                do: "see that its certificate and its cluster file are this mesh's")
        ]
    }

    private func lagAlarms(_ name: String, _ lag: Lag?) -> [Alarm] {
        guard let lag, let since = lag.since,
            lag.entries > Self.lagMax || now >= since + Self.lagSecondsMax
        else { return [] }
        return [
            alarm(
                .memberLags, .warning, since: since,
                "\(name) is \(counted(lag.entries, "entry", "entries")) behind, and has been "
                    + "behind since \(utc(since))",
                do: "it catches up by itself; should it not, see its disk and its link")
        ]
    }

    /// Who counts another majority, or waits a shorter time for a lease's end, can make a second
    /// primary.
    private func fileAlarms(_ peer: Peer) -> [Alarm] {
        guard let other = peer.clusterFile, other != clusterFile,
            peer.isHeard
        else { return [] }
        let nodes = "node \(min(own, peer.node)) and node \(max(own, peer.node))"
        guard other.lease == clusterFile.lease else {
            return [
                alarm(
                    .clusterFileDiffers, .critical,
                    "\(nodes) have different cluster files: the lease is \(clusterFile.lease) on "
                        + "node \(own) and \(other.lease) on node \(peer.node), so two primaries "
                        + "could act at once",
                    do: "stop both, make the files the same, and start them; see \"Changing the "
                        + "cluster file\" in docs/operations.md")
            ]
        }
        return [
            alarm(
                .clusterFileDiffers, .warning,
                "\(nodes) have different cluster files: members, addresses or regions are not the "
                    + "same",
                do: "make the files the same and restart whichever was changed")
        ]
    }
}
