internal import Mesh

/// A follower that has lost what it acknowledged: its disk was emptied or rolled back. Raft takes
/// for granted that no disk forgets; a leader can at least notice, and count on that one no more.
///
/// **The sign.** A heartbeat asks for an entry that, when it was sent, the follower had already
/// acknowledged to this leader, and the answer is that it isn't there. No lawful follower ever
/// answers so. What is acknowledged is durable, together with this term; so from that moment on,
/// after a restart as well, the follower's log agrees with this leader's up to there, for within a
/// term it is changed only by letters of this leader, whose log only grows, and only where it
/// differs. A base, its own or an arriving one, covers what it replaces: what lies at or below it
/// is committed, and held. A letter of an earlier term changes nothing, and one of a later term
/// silences the follower in this one. Nor do late, doubled or overtaken letters matter: an answer
/// names its round, and a round that was sent after the acknowledgement can't be answered before.
/// `appendRefused` names no round, and so is no sign: it may have been sent before the follower
/// acknowledged, and arrive after.
///
/// A witness that gets no entries is asked for what is committed alone (ADR 2, rule 2), be it
/// acknowledged or not. So it tells where its log begins as well, once that is durable: a base never
/// moves back (rule 4), and one that did, in an answer to a round from after it was told, is lost.
///
/// **What a forgetful member counts for**, in this leader's term: for no commit, no read, no copy
/// that lets the witness forget; and it is no heir. It is fed, to have its copy back. It does count
/// for check-quorum: a leader that steps down for want of it sets it free to vote for somebody who
/// lacks what it forgot, while one that stays keeps its vote bound.
///
/// **When it counts again.** It holds the whole log as it was when the loss was noticed, and says
/// so in answers to rounds from after that: whatever it said before its loss, however late it
/// arrives, can't be about more. That alone is not enough, for it may have forgotten a vote in a
/// later term: then its acknowledgement to this leader stands for nothing, since the candidate
/// whom it voted for may yet lead. So, besides, every other voter has to have answered a round from
/// after the loss. Terms only grow, and who stood before the loss is in a later term for ever: so
/// none of them stood, and there is no such vote. From then on its acknowledgements are worth what
/// anybody's are. While another voter is away it counts for nothing, which is what a mesh that
/// stands one failure promises for two.
///
/// What this can't see: a loss that falls into a change of leaders, for the next one knows nothing of
/// what was acknowledged to the last.
extension Raft {
    mutating func noticeLoss(_ answered: UInt64, holds: Bool, base: LogIndex, _ at: Int) {
        let lacksEntry = !holds && progress[at].hadAcknowledged(whatWasAskedIn: answered)
        // What it told before its loss, however late it arrives, is no news of its base.
        let lacksBase =
            answered > progress[at].loss?.newestRound ?? 0
            && progress[at].witness?.lostBase(base, in: answered, newest: round) ?? false
        guard lacksEntry || lacksBase else { return }
        let node = progress[at].node
        out.append(.replicaLost(node, acknowledged: progress[at].match))
        progress[at].lost(logEnd: log.lastIndex, newestRound: round)
        if transfer?.target == node { transfer = nil }
    }

    /// After each answer: who has made good for its loss?
    mutating func endLosses() {
        for at in progress.indices {
            guard let loss = progress[at].loss, !loss.isMadeGood,
                progress[at].match >= loss.logEnd
            else { continue }
            let node = progress[at].node
            let isBinding = progress.allSatisfy {
                $0.node == node || !membership.votes($0.node) || $0.round > loss.newestRound
            }
            if isBinding { progress[at].loss?.isMadeGood = true }
        }
    }
}
