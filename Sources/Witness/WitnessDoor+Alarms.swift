import Admin
import Alarms
import Driver
import Gossip
import Launch
import Mesh
import Raft
import Settings
import Transport
import Voting

/// What a person has to know now. All is well for a witness when it hears a leader and every member,
/// has room for what a member misses, and nothing of the kind below is so. How far the data members
/// are is not its to know: it votes on entries and does not hold them.
extension WitnessDoor {
    func alarms(_ view: View) -> [Alarm] {
        var sight = Sight(
            settings, quorum: quorum(view), keeper: keeper, transport: parts.transport,
            now: BootClock.unixSeconds)
        sight.hasRoom = room.hasRoom
        sight.membership = view.ownStanding
        sight.peers = settings.others.map { member in
            var peer = Sight.Peer(
                member, liveness: view.liveness[member.id], report: view.reports[member.id],
                transport: parts.transport)
            peer.loss = view.raft.role == .leader ? view.losses[member.id] : nil
            return peer
        }
        return sight.alarms
    }

    /// Once in a while: takes in what other nodes tell, and tells them what this one knows.
    func look() {
        let view = view
        heed(view.level)
        keeper.look(
            bulletins: view.reports.values.compactMap { Bulletin(parsing: $0.bulletin) },
            madeGood: view.losses.filter(\.value.isMadeGood).keys.sorted(), lags: [:],
            at: BootClock.unixSeconds)
        announce(view)
    }

    /// It votes on entries and does not read them: what the mesh speaks it learns from the others.
    private func heed(_ level: FeatureLevel) {
        guard level <= .spoken else {
            let ahead = LevelAhead(mesh: level, spoken: .spoken, place: "another member")
            stop(ExitCode.config, "holdfast-witness: \(ahead)")
        }
        parts.transport.require(level)
    }

    func announce(_ view: View) {
        let report = Report(
            applied: view.raft.applied, last: view.raft.last.index, hasRoom: room.hasRoom,
            bulletin: keeper.bulletin, speaks: .spoken, mesh: view.level)
        parts.driver.post(.gossip(.publish(report.encoded)))
    }

    func clearAlarm(named code: String) async throws(AdminRefused) -> AlarmClearing {
        let done = try await keeper.clear(named: code)
        announce(view)
        return done
    }
}

extension WitnessDoor.View {
    /// A witness that has no vote stands by, unless the voters have another one, or are so many that
    /// it would vote were it still theirs.
    fileprivate var ownStanding: Sight.Membership {
        switch standing {
        case .voter, .learner: .member
        case .awaited: .awaited
        case .none:
            membership.voters.witness != nil || membership.voters.data.count % 2 == 0
                ? .removed : .member
        }
    }
}
