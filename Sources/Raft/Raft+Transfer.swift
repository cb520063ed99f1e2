internal import Mesh
internal import Record

extension Raft {
    /// Raft thesis §3.10: no proposals from here on, the target brought up to date, then told to
    /// stand; given up after one election timeout.
    mutating func beginTransfer(to target: NodeID) {
        guard role == .leader, transfer == nil, target != seat, membership.isData(target)
        else { return }
        let begun = Transfer(target: target, deadline: now + electionTimeout)
        transfer = begun
        cancelChange(.transferring)
        nudge(begun)
    }

    mutating func nudge(_ transfer: Transfer) {
        guard let follower = progress.first(where: { $0.node == transfer.target }),
            follower.match == log.lastIndex, !follower.isForgetful
        else { return }
        send(.timeoutNow, to: transfer.target)
    }

    /// Leadership drifts to the preferred node once it lacks nothing.
    mutating func handOverToPreferred() {
        guard settings.followsPreference, transfer == nil, pendingChange == nil, now >= handOverAt,
            commitIndex >= termStart
        else { return }
        let rank = membership.rank(seat)
        let better = membership.preferred.prefix(rank).first { node in
            progress.contains {
                $0.node == node && $0.match == log.lastIndex && !$0.isForgetful
                    && now < $0.heardAt + settings.heartbeat * 2
            }
        }
        guard let better else { return }
        handOverAt = now + electionTimeout * settings.handOverPause
        beginTransfer(to: better)
    }
}
