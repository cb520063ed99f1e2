import Admin
import Alarms
import Decisions
import Driver
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

/// What a person has to know now.
extension AgentDoor {
    func alarms(_ view: NodeView) -> [Alarm] { sight(view).alarms }

    private func sight(_ view: NodeView) -> Sight {
        var sight = Sight(
            settings, quorum: quorum(view), keeper: keeper, transport: parts.transport,
            now: BootClock.unixSeconds)
        sight.hasRoom = view.hasRoom
        sight.membership = view.ownStanding
        sight.wish = wish(view)
        sight.resync = view.resync
        sight.backups = backupSight(view)
        sight.shipping = shipper?.sight
        sight.rotation = backups?.rotation
        sight.locks = backups?.locksFailure
        sight.scrub = scrub?.sight
        sight.snapshots = parts.snapshots.sight
        sight.lag = lag(of: settings.member.id, view)
        sight.peers = settings.others.map { member in
            let known = view.peers.first { $0.node == member.id }
            var peer = Sight.Peer(
                member, liveness: known?.liveness, report: known?.report, transport: parts.transport
            )
            peer.isData = member.role == .data
            // One that is no member itself does not know who is.
            peer.isMember = view.ownStanding != .member || view.counts(member.id)
            peer.resync = known?.report?.resync
            peer.isLeftBehind = known?.progress?.isLeftBehind
            peer.lag = member.role == .data ? lag(of: member.id, view) : nil
            peer.loss = known?.progress?.loss.map {
                Sight.Loss(acknowledged: $0.acknowledged, isMadeGood: $0.isMadeGood)
            }
            return peer
        }
        sight.imageDamage = parts.volumes.status.volumes.filter { $0.damagedBlocks > 0 }.map {
            Sight.Damage(volume: $0.name, blocks: $0.damagedBlocks, ranges: $0.damagedRanges)
        }
        sight.differences = differences(view)
        let faults = exports.status.compactMap { export in
            export.socketFault.map { (export.name, $0) }
        }
        sight.socketFaults = Dictionary(faults) { first, _ in first }
        return sight
    }

    private func differences(_ view: NodeView) -> [Sight.Difference] {
        // Whoever is no member any more differs from nobody.
        parts.volumes.status.differences.filter { view.counts($0.node) }.compactMap { each in
            view.volumes.first { $0.id == each.volume }.map {
                Sight.Difference(volume: $0.name, range: each.range, node: each.node)
            }
        }
    }

    private func lag(of node: NodeID, _ view: NodeView) -> Sight.Lag? {
        view.lagEntries(of: node, on: settings.member.id).map {
            Sight.Lag(entries: $0, since: keeper.lagBegan(node))
        }
    }

    /// Once in a while: takes in what other nodes tell, and tells them what this one knows.
    func look() {
        let view = view
        let lags = settings.cluster.dataMembers.compactMap { member in
            view.lagEntries(of: member.id, on: settings.member.id).map { (member.id, $0) }
        }
        keeper.look(
            bulletins: view.peers.compactMap { peer in
                peer.report.flatMap { Bulletin(parsing: $0.bulletin) }
            },
            madeGood: view.peers.filter { $0.progress?.loss?.isMadeGood == true }.map(\.node),
            lags: Dictionary(lags) { first, _ in first }, at: BootClock.unixSeconds)
        parts.driver.post(.announce(keeper.bulletin))
    }
}
