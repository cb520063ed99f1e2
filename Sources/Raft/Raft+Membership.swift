internal import Mesh
internal import Planted
internal import Record

/// Changing the members (Raft §6, joint consensus). Who only listens or is preferred changes with
/// one entry. Where voters change, two follow each other: a joint one, under which both the old and
/// the new voters decide everything, and once that is committed one with the new voters alone.
///
/// Before the joint entry the leader takes no proposals until all before it is committed, and
/// durable on a majority of the new data voters (protocol rule 1): so the entry before it, which no
/// base passes until the change is done, is held by both halves, and no majority of either needs
/// what a witness has forgotten.
extension Raft {
    struct PendingChange: Hashable, Sendable {
        let target: MembershipChange
        let deadline: Instant
    }

    mutating func changeMembership(to target: MembershipChange) {
        if let why = refusal(of: target) { return out.append(.membershipRefused(why)) }
        guard target.voters != membership.voters else { return appendMembership(target.final) }
        pendingChange = PendingChange(target: target, deadline: now + electionTimeout)
    }

    private func refusal(of target: MembershipChange) -> MembershipRefusal? {
        guard role == .leader else { return .notLeader(leader: leader) }
        guard transfer == nil, !isCaretaker else { return .transferring }
        guard commitIndex >= termStart else { return .termNotShown }
        guard pendingChange == nil, log.membershipIndex <= commitIndex,
            membership.outgoing == nil
        else { return .changing }
        if let fault = target.fault { return .malformed(fault) }
        guard target.final != membership else { return .unchanged }
        if let why = unfitness(of: target) { return why }
        let byteCount = Entry.headerByteCount + target.joint(with: membership.voters).encoded.count
        return witnessHasRoom(for: byteCount, isControl: true) ? nil : .witnessFull
    }

    /// Nobody may have to wait for a voter that is new, and less so for ever: a joint configuration
    /// whose new half can't commit could not be taken back either.
    private func unfitness(of target: MembershipChange) -> MembershipRefusal? {
        let known = membership
        let data = target.voters.data + target.learners
        if let node = data.first(where: { known.isWitness($0) }) { return .otherKind(node) }
        if let witness = target.voters.witness, known.isData(witness) || known.isLearner(witness) {
            return .otherKind(witness)
        }
        guard target.voters != known.voters else { return nil }
        for node in target.voters.data where !known.isData(node) {
            guard known.isLearner(node), let follower = progress.first(where: { $0.node == node })
            else { return .notLearner(node) }
            guard isHeard(follower) else { return .silent(node) }
            let lag = lag(of: follower)
            // What it said of its volumes before it held the base tells nothing of what it holds now.
            guard follower.match >= max(log.base.index, LogIndex(1)),
                lag <= settings.promotionLagBytesMax
            else { return .behind(node, byteCount: lag) }
            guard !follower.isPartial || isPlanted(.promotesPartial) else { return .partial(node) }
        }
        let able = target.voters.all.filter { isAble($0) }
        let needed = target.voters.quorum
        return able.count >= needed ? nil : .noQuorum(able: able, needed: needed)
    }

    private func isHeard(_ follower: Progress) -> Bool {
        follower.hasAnswered && !follower.isForgetful && now < follower.heardAt + electionTimeout
    }

    /// Of what is committed.
    private func lag(of follower: Progress) -> Int {
        max(0, log.byteCount(above: follower.match) - log.byteCount(above: commitIndex))
    }

    /// Whether commits can soon count it. A witness holds no more than it has to, and a new one was
    /// never heard.
    private func isAble(_ node: NodeID) -> Bool {
        if node == seat { return true }
        guard let follower = progress.first(where: { $0.node == node }), isHeard(follower) else {
            return false
        }
        return follower.isWitness || lag(of: follower) <= settings.promotionLagBytesMax
    }

    /// What an event may have made possible: the joint entry, the final one, or the end of a leader
    /// that is no voter any more.
    mutating func advanceChange() {
        if let pending = pendingChange {
            if isSettled(for: pending.target) {
                pendingChange = nil
                appendMembership(pending.target.joint(with: membership.voters))
            } else if now >= pending.deadline {
                pendingChange = nil
                out.append(.membershipRefused(.unsettled))
            }
        }
        guard !isCaretaker, log.membershipIndex <= commitIndex, commitIndex >= termStart
        else { return }
        if membership.isJoint {
            appendMembership(MembershipChange(membership).final)
        } else if hasBeenRemoved, transfer == nil {
            retire()
        }
    }

    private func isSettled(for target: MembershipChange) -> Bool {
        // Who was fit when the change was asked for may have fallen silent since.
        if isPlanted(.changesUnsettled) { return true }
        guard commitIndex == log.lastIndex, unfitness(of: target) == nil else { return false }
        guard target.voters.data.allSatisfy({ hasToldOfVolumes($0) }) else { return false }
        let majority = target.voters.data.count / 2 + 1
        let holdings = holdings
        return target.voters.dataFloor(majority) { holdings.acknowledged(by: $0) }
            >= commitIndex.rawValue
    }

    /// It tells with the answers to heartbeats alone: until the first one it passes for whole.
    private func hasToldOfVolumes(_ node: NodeID) -> Bool {
        membership.isData(node) || progress.contains { $0.node == node && $0.round > 0 }
    }

    /// It takes effect at once, not with its commit (Raft §6). No epoch: it renews no lease.
    private mutating func appendMembership(_ next: Membership) {
        let draft = Draft(.membership, epoch: .zero, payload: next.encoded)
        let position = Position(index: log.lastIndex.next, term: term)
        appendOwn([draft.sealed(at: position, group: group, time: log.time)])
        meetMembers()
    }

    mutating func cancelChange(_ why: MembershipRefusal) {
        guard pendingChange != nil else { return }
        pendingChange = nil
        out.append(.membershipRefused(why))
    }

    /// Tells the shell who is a member now, once that can't be undone.
    mutating func announceMembership() {
        guard log.membershipIndex > announcedMembership.index,
            let settled = log.settled(at: commitIndex), settled.index > announcedMembership.index
        else { return }
        let former = announcedMembership.membership
        announcedMembership = settled
        guard settled.membership != former else { return }
        out.append(.membershipChanged(settled.membership, at: settled.index))
    }
}

/// Those who come and go.
extension Raft {
    /// Members come with the entry that names them, not with its commit (Raft §6). They go only once
    /// the entry that omits them is committed: until then an earlier configuration may decide.
    mutating func meetMembers() {
        let possible = log.memberships(from: commitIndex)
        let members = Set(possible.flatMap(\.members)).subtracting([seat])
        for node in members.sorted() where !progress.contains(where: { $0.node == node }) {
            var follower = Progress(node, next: max(termStart, log.base.index.next), at: now)
            if possible.last(where: { $0.isMember(node) })?.isWitness(node) == true {
                follower.witness = WitnessFeed()
            }
            progress.append(follower)
        }
        progress.sort { $0.node < $1.node }
        // One that was about to go may be back before it went.
        for at in progress.indices where members.contains(progress[at].node) {
            progress[at].leavesAt = nil
        }
    }

    /// With each heartbeat: who is no member any more goes once it knows that, or does not answer
    /// for an election timeout. Until then it is fed like a learner, and counts for nothing.
    mutating func dismissLeavers() {
        guard log.membershipIndex <= commitIndex else { return }
        for at in progress.indices
        where progress[at].leavesAt == nil && !membership.isMember(progress[at].node) {
            progress[at].leavesAt = now + electionTimeout
        }
        progress.removeAll { leaver in
            leaver.leavesAt.map { leaver.match >= log.membershipIndex || now >= $0 } ?? false
        }
    }

    /// The configuration that omits this voter is committed: nobody needs it to lead any more.
    var hasBeenRemoved: Bool {
        !isWitness && log.membershipIndex <= commitIndex && !membership.isData(seat)
    }

    /// The best of the new voters leads next. One that lacks something gets an election timeout to
    /// catch up, in which this leader takes no proposals; then it ends in any case (`tick`).
    private mutating func retire() {
        let heirs = progress.filter { membership.isData($0.node) && isHeard($0) && $0.isHeir }
        let complete = heirs.filter { $0.match == log.lastIndex }
        let heir = (complete.isEmpty ? heirs : complete).map(\.node).min {
            (membership.rank($0), $0) < (membership.rank($1), $1)
        }
        if let heir { beginTransfer(to: heir) } else { stepDownRemoved() }
    }

    mutating func stepDownRemoved() {
        out.append(.steppedDown(.removed))
        becomeFollower(term: term, leader: nil)
    }
}
