internal import Mesh
internal import Planted
internal import Record

extension Raft {
    /// A letter from the leader of this term. False if it can't be one.
    mutating func hear(_ node: NodeID) -> Bool {
        // No lawful peer leads the term that this node leads.
        guard role != .leader else { return false }
        if role != .follower { becomeFollower(term: term, leader: node) }
        guard leader == nil || leader == node else { return false }
        (leader, leaderHeardAt, failedElections) = (node, now, 0)
        (followedTerm, taken) = (term, nil)
        rearmElection()
        return true
    }

    /// All that is committed equals every later leader's log (Raft §5.4.3).
    @inline(__always) func holds(_ position: Position) -> Bool {
        position.index <= commitIndex || log.term(at: position.index) == position.term
    }

    /// What is committed here is the same in every lawful leader's log. One that says otherwise was
    /// elected by voters that forgot their promises: it gets no answer, so that nobody here helps it
    /// to commit, and a person is told.
    mutating func contradicts(_ positions: some Sequence<Position>, _ node: NodeID) -> Bool {
        for position in positions where position.index <= commitIndex {
            guard let own = log.term(at: position.index), own != position.term else { continue }
            if contradiction == nil {
                let found = Contradiction(
                    leader: node, term: term,
                    committed: Position(index: position.index, term: own), claimed: position)
                contradiction = found
                out.append(.contradicted(found))
            }
            return true
        }
        return false
    }

    /// Consecutive, and of no later term than `newest`.
    @inline(__always) func isLawful(
        _ entries: [Entry], after previous: Position, through newest: Term
    ) -> Bool {
        var before = previous
        for entry in entries {
            guard entry.index == before.index.next, entry.term >= before.term,
                entry.term <= newest, entry.group == group
            else { return false }
            before = entry.position
        }
        return true
    }

    /// Where this log may agree with one that has `position`, which is not here.
    func placeToTry(_ position: Position) -> Position {
        let hint = log.lastAgreeing(with: position)
        guard hint.index < commitIndex else { return hint }
        return Position(index: commitIndex, term: log.term(at: commitIndex) ?? log.base.term)
    }

    mutating func replaceEnd(with new: [Entry]) {
        log.truncate(from: new[0].index)
        log.append(new)
        change.entries = new
    }

    mutating func append(
        _ sent: [Entry], after previous: Position, commit: LogIndex, from node: NodeID
    ) {
        // The state before the first entry is the founders'.
        guard !awaitsBase || previous.index > .zero else { return }
        let settled = sent.prefix { $0.index <= commitIndex }.map(\.position)
        guard isLawful(sent, after: previous, through: term),
            !contradicts([previous] + settled, node)
        else { return }
        let entries = isWitness ? fitting(sent) : sent
        guard holds(previous) || isPlanted(.skipsLogMatching) else {
            return send(
                .appendRefused(previous: previous.index, hint: placeToTry(previous)), to: node)
        }
        if let first = entries.firstIndex(where: {
            $0.index > commitIndex
                && (log.term(at: $0.index) != $0.term || isPlanted(.truncatesWhatAgrees))
        }) {
            // Only entries of another term go: a late letter never shortens what it agrees with.
            replaceEnd(with: Array(entries[first...]))
        }
        matched = max(matched, previous.index, entries.last?.index ?? .zero)
        learnCommit(commit)
        if isPlanted(.acknowledgesUnsaved) {
            send(.appended(through: min(matched, log.lastIndex)), to: node)
        }
        release(letter(to: node, .appended(through: min(matched, log.lastIndex))))
    }

    mutating func heartbeatArrived(_ heartbeat: Letter.Heartbeat, from node: NodeID) {
        announcedByLeader = min(heartbeat.measured, settings.electionCeiling)
        guard !contradicts(CollectionOfOne(heartbeat.previous), node) else { return }
        let holds = holds(heartbeat.previous)
        if holds { matched = max(matched, heartbeat.previous.index) }
        learnCommit(heartbeat.commit)
        knownFloor = max(knownFloor, min(heartbeat.floor, commitIndex))
        let through = min(matched, disk.durable, log.lastIndex)
        let answer = letter(
            to: node,
            .heard(
                round: heartbeat.round, holds: holds, isWhole: isWhole, through: through,
                base: disk.base))
        // A crash that forgot this term could let an older leader replace what is acknowledged.
        if disk.term == term || isPlanted(.answersBeforeTermIsSaved) {
            out.append(.send(answer))
        } else {
            release(answer)
        }
    }

    private mutating func learnCommit(_ commit: LogIndex) {
        commitIndex = max(commitIndex, min(commit, matched, log.lastIndex))
    }
}
