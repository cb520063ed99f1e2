internal import Mesh
internal import Record

extension Raft {
    /// A letter from the leader of this term. False if it can't be one.
    mutating func hear(_ node: NodeID) -> Bool {
        // No lawful peer leads the term that this node leads.
        guard role != .leader else { return false }
        if role != .follower { becomeFollower(term: term, leader: node) }
        guard leader == nil || leader == node else { return false }
        (leader, leaderHeardAt, failedElections) = (node, now, 0)
        rearmElection()
        return true
    }

    /// All that is committed equals every later leader's log (Raft §5.4.3).
    private func holds(_ position: Position) -> Bool {
        position.index <= commitIndex || log.term(at: position.index) == position.term
    }

    /// What is committed here is the same in every leader's log: a letter that says otherwise is none
    /// of a leader's.
    private func contradictsCommitted(_ position: Position) -> Bool {
        guard position.index <= commitIndex, let own = log.term(at: position.index) else {
            return false
        }
        return own != position.term
    }

    private func isLawful(_ entries: [Entry], after previous: Position) -> Bool {
        var before = previous
        for entry in entries {
            guard entry.index == before.index.next, entry.term >= before.term,
                entry.term <= term, entry.group == group
            else { return false }
            before = entry.position
        }
        return true
    }

    mutating func append(
        _ sent: [Entry], after previous: Position, commit: LogIndex, from node: NodeID
    ) {
        guard isLawful(sent, after: previous), !contradictsCommitted(previous) else { return }
        let entries = isWitness ? fitting(sent) : sent
        guard holds(previous) else {
            let hint = log.lastAgreeing(with: previous)
            let floor = Position(
                index: commitIndex, term: log.term(at: commitIndex) ?? log.base.term)
            return send(
                .appendRefused(
                    previous: previous.index, hint: hint.index < commitIndex ? floor : hint),
                to: node)
        }
        if let first = entries.firstIndex(where: {
            $0.index > commitIndex && log.term(at: $0.index) != $0.term
        }) {
            let new = Array(entries[first...])
            // Only entries of another term go: a late letter never shortens what it agrees with.
            log.truncate(from: new[0].index)
            log.append(new)
            change.entries = new
        }
        matched = max(matched, previous.index, entries.last?.index ?? .zero)
        learnCommit(commit)
        release(letter(to: node, .appended(through: min(matched, log.lastIndex))))
    }

    mutating func heartbeatArrived(_ heartbeat: Letter.Heartbeat, from node: NodeID) {
        announcedByLeader = min(heartbeat.measured, settings.electionCeiling)
        let holds = holds(heartbeat.previous)
        if holds { matched = max(matched, heartbeat.previous.index) }
        learnCommit(heartbeat.commit)
        knownFloor = max(knownFloor, min(heartbeat.floor, commitIndex))
        let through = min(matched, disk.durable, log.lastIndex)
        let answer = letter(
            to: node,
            .heard(
                round: heartbeat.round, holds: holds, through: through, base: log.base.index))
        // A crash that forgot this term could let an older leader replace what is acknowledged.
        if disk.term == term { out.append(.send(answer)) } else { release(answer) }
    }

    private mutating func learnCommit(_ commit: LogIndex) {
        commitIndex = max(commitIndex, min(commit, matched, log.lastIndex))
    }
}
