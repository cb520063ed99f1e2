internal import Mesh
internal import Raft
internal import Record
internal import VolumeCore
internal import Voting

/// The way of a write into the log.
extension Node {
    mutating func queue(_ writes: [Draft], _ round: ProposalRound, answeredAt time: Instant) {
        guard case .acting(let acting) = office else { return }
        let areOwn = writes.allSatisfy { $0.epoch == acting.epoch }
        drafts.append(
            areOwn ? writes : writes.filter { $0.epoch == acting.epoch }, round,
            answeredAt: min(time, now))
    }

    /// A full disk stalls the writes here, before the log fails on it.
    mutating func pumpDrafts() {
        guard !drafts.isEmpty, case .acting(let acting) = office, hasRoom,
            acting.handOver?.relinquished == nil
        else { return }
        // While the disk is late, what comes meanwhile goes down together instead of one by one.
        while !drafts.isEmpty, voter.raft.writesUnderWay < settings.writesUnderWayMax {
            let front = Array(drafts.front(bytesMax: settings.proposalBytesMax))
            guard propose(front) == nil, let accepted else { return }
            noteRenewal()
            lags.placed(
                at: accepted.first.index, answeredAt: drafts.times(ofFirst: front.count), by: now)
            drafts.removeFirst(front.count)
            out.append(.placed(first: accepted.first.index, count: accepted.count, drafts.round))
        }
    }
}
