internal import Mesh
internal import Record

extension Raft {
    /// ReadIndex (Raft thesis §6.4): what is committed now may be read once a quorum confirms,
    /// by a round that began after now, that nobody led later.
    mutating func read(_ id: UInt64) {
        guard role == .leader, !isCaretaker, reads.count < settings.readsMax else {
            return out.append(.readRefused(id))
        }
        let index = commitIndex >= termStart ? commitIndex : nil
        let waiting = reads.contains { $0.round == round }
        reads.append(PendingRead(id: id, index: index, round: round + 1))
        // While a round is out for earlier reads this one joins the next, with all who come.
        if !waiting { startRound() }
    }

    mutating func answerReads() {
        guard !reads.isEmpty, commitIndex >= termStart else { return }
        let confirmed = membership.quorumFloor { node in
            guard node != seat else { return .max }
            guard let at = progressIndex(of: node), !progress[at].isForgetful else { return 0 }
            return progress[at].round
        }
        for at in reads.indices where reads[at].index == nil { reads[at].index = commitIndex }
        for read in reads where read.round <= confirmed {
            out.append(.readReady(read.id, read.index ?? commitIndex))
        }
        reads.removeAll { $0.round <= confirmed }
        if !reads.isEmpty, reads.allSatisfy({ $0.round > round }) { startRound() }
    }
}
