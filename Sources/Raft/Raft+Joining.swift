internal import Mesh
internal import Planted
internal import Record

/// A node that joins a mesh (ADR 6). What was so before the first entry is the founders' alone, so a
/// newcomer's log begins with a base, however short the mesh's log is.
extension Raft {
    /// Nothing was brought here yet: this node has no state that entries could be applied to.
    package var awaitsBase: Bool {
        !isFounded && !isWitness && log.base == .zero && !joinerFounds
    }

    private var joinerFounds: Bool { isPlanted(.joinerFounds) }

    /// Somebody is to learn, and this leader's log still begins at the beginning.
    package var wantsLentBase: Bool {
        role == .leader && !isCaretaker && log.base.index == .zero && lentBase == nil
            && !membership.learners.isEmpty
    }

    /// A learner that has nothing waits until there is a base for it. It may take itself for a founder,
    /// by its file: entries from the first on would make of it what no other member is.
    func mustWaitForBase(_ at: Int, isLearner: Bool) -> Bool {
        settings.lendsBases && isLearner && progress[at].next == LogIndex(1) && wantsLentBase
            && !joinerFounds
    }

    /// Committed, and with members that are not about to change.
    mutating func lend(_ state: Base) {
        guard role == .leader, !isCaretaker, state.position.index <= commitIndex,
            log.term(at: state.position.index) == state.position.term,
            log.isSettled(at: state.position.index)
        else { return }
        lentBase = SealedBase(
            Base(
                position: state.position, membership: log.membership(at: state.position.index),
                state: state.contents))
    }

    /// What the follower has to take before it can take entries; nil where entries will do.
    mutating func baseNeeded(_ at: Int, isLearner: Bool) -> SealedBase? {
        if progress[at].next <= log.base.index { return sealed() }
        let isNew = isLearner && progress[at].next == LogIndex(1) && !joinerFounds
        return isNew ? lentBase : nil
    }

    /// How the committed log counts this node.
    package var standingAsMember: MemberStanding {
        let settled = announcedMembership.membership
        if settled.votes(seat) { return .voter }
        if settled.isLearner(seat) { return .learner }
        return isFounded || log.base.index > .zero ? .none : .awaited
    }
}

/// What a node is to its mesh, as far as its own log tells.
package enum MemberStanding: Hashable, Sendable {
    case voter
    case learner
    /// It never was a member, and waits to become one.
    case awaited
    /// It was one, or stands by as the witness.
    case none
}
