package import Mesh
internal import Planted
internal import Record

// What is asked with every letter is inlined: to call it would copy the whole core.
extension Raft {
    /// The shorter end of an election timeout: several of what was measured, within named limits,
    /// and longer after each election that failed, in case nothing could be measured.
    @inline(__always) package var electionTimeout: Interval {
        let patient = usualTimeout + usualTimeout / 2 * min(failedElections, 8)
        return min(patient, max(settings.electionCeiling, settings.electionFloor))
    }

    /// However many elections failed.
    @inline(__always) var usualTimeout: Interval {
        let wanted = max(settings.electionFloor, measured * settings.roundTripsPerElection)
        return min(wanted, max(settings.electionCeiling, settings.electionFloor))
    }

    /// What a round trip and a save take here or, as the leader says, elsewhere.
    @inline(__always) var measured: Interval { max(roundTrip + disk.saveTime, announcedByLeader) }

    /// A leader whose disk completes nothing for longer than any election takes leads no more. Not
    /// sooner: until then its followers commit without it, and stepping down ends every client's
    /// connection (ADR 3).
    @inline(__always) var stallLimit: Interval { max(electionTimeout, settings.diskStallLimit) }

    /// Raft §5.2: chance keeps rivals from splitting every vote. Where an order of preference is
    /// known each rank has a span of its own, so that the best one left usually stands alone.
    /// A caretaker lets all of them try first, and then one timeout more.
    mutating func rearmElection() {
        let quarter = electionTimeout / 4
        if isCaretaker {
            let last = electionTimeout + quarter * ranksToTry
            electionAt = now + last + electionTimeout + random.interval(in: .zero...quarter)
            return
        }
        let ranked = !membership.preferred.isEmpty
        let rank = UInt64(min(rankToStand, settings.ranksMax))
        let wait = electionTimeout + quarter * (ranked ? rank : 0)
        electionAt = now + wait + random.interval(in: .zero...(ranked ? quarter : quarter * 2))
    }

    /// Quarters of a timeout in which those stand who do so before a caretaker: the last rank's, with
    /// chance, or where nobody has a rank, two for chance alone.
    private var ranksToTry: UInt64 {
        let last = min(membership.preferred.count, membership.voters.data.count - 1)
        return UInt64(max(min(last, settings.ranksMax) + 1, 2))
    }

    /// Who lacks what this caretaker holds asked for its consent, and misses a leader. It may be the
    /// only one left to ask: so others whose logs reach have the time of their spans to try, and no
    /// more, once none leads here either. Should one be heard until then, all is as it was.
    private mutating func hurryToStand() {
        guard isCaretaker, canStand else { return }
        let ledUntil = leaderHeardAt.map { $0 + electionTimeout } ?? now
        electionAt = min(electionAt, max(now, ledUntil) + electionTimeout / 4 * ranksToTry)
    }

    /// Who is best when the present leader is gone goes first, not one place behind it.
    @inline(__always) private var rankToStand: Int {
        let own = membership.rank(seat)
        guard let leader, leader != seat, membership.rank(leader) < own else { return own }
        return own - 1
    }

    /// A voter that its newest configuration omits still stands until that is known committed:
    /// nobody else may be able to commit it. A caretaker that holds no entry has nothing to give.
    var canStand: Bool {
        guard !disk.isStalled(at: now, limit: electionTimeout) else { return false }
        let possible = log.memberships(from: commitIndex)
        guard !isCaretaker || log.lastIndex > log.base.index else { return false }
        return possible.contains { isWitness ? $0.votes(seat) : $0.isData(seat) }
    }

    mutating func electionTimedOut() {
        guard canStand else {
            rearmElection()
            leader = nil
            role = .follower
            // With nothing under way only a write of its own can tell that the disk is back.
            if disk.failed, disk.outstanding.isEmpty { rememberHardState() }
            return
        }
        failedElections += 1
        if taken?.isFresh == true { taken?.isFresh = false } else { taken = nil }
        (role, leader, consents) = (.preCandidate, nil, [seat])
        rearmElection()
        if membership.isQuorum(consents) { return stand() }
        for node in voters {
            let ask = Letter.Body.preVote(last: log.last)
            out.append(
                .send(Letter(from: seat, to: node, group: group, term: term.next, body: ask)))
        }
    }

    private var voters: [NodeID] {
        membership.members.filter { $0 != seat && membership.votes($0) }
    }

    /// Raft thesis §9.6: while a leader is heard nobody needs another, so that a node that comes
    /// back, or can't hear, never disturbs. Real votes are never withheld for this.
    mutating func preVoteAsked(by node: NodeID, term asked: Term, _ last: Position) {
        let led = leaderHeardAt.map { now < $0 + electionTimeout } ?? false
        let granted =
            asked > term && mayLead(last) && role != .leader && !(leader != nil && led)
        // Also after it stood in vain: who asks may have heeded a leader then whose letters came late.
        // Or because it takes an election for shorter, while a leader's last word still counts here.
        if asked > term, !mayLead(last), role == .follower || role == .preCandidate {
            hurryToStand()
        }
        if isWorthOffering(log.last, to: last) { offer(to: node, after: last) }
        out.append(
            .send(
                Letter(
                    from: seat, to: node, group: group, term: granted ? asked : term,
                    body: .preVoteAnswer(granted: granted))))
    }

    mutating func preVoteGranted(by node: NodeID, term asked: Term) {
        guard role == .preCandidate, asked == term.next else { return }
        consent(node)
        if membership.isQuorum(consents) { stand() }
    }

    private mutating func consent(_ node: NodeID) {
        if !consents.contains(node) { consents.append(node) }
    }

    /// The requests ride behind the write of this node's own vote: who is elected can't have
    /// forgotten that it stood.
    mutating func stand() {
        becomeFollower(term: term.next, leader: nil)
        (role, vote, consents, ownVoteWrite) = (.candidate, seat, [], nil)
        rememberHardState()
        if isPlanted(.standsBeforeSaving) {
            for node in voters { send(.vote(last: log.last), to: node) }
        }
        for node in voters { release(letter(to: node, .vote(last: log.last))) }
    }

    /// Raft §5.4.1: only who holds all that this node holds.
    private func mayLead(_ last: Position) -> Bool {
        last >= log.last || isPlanted(.votesForShorterLogs)
    }

    mutating func voteAsked(by node: NodeID, _ last: Position) {
        let granted =
            (vote == nil && leader == nil || vote == node || isPlanted(.grantsSecondVotes))
            && mayLead(last)
        if granted {
            if vote == nil {
                vote = node
                rememberHardState()
            }
            rearmElection()
        }
        if isPlanted(.votesBeforeSaving) { return send(.voteAnswer(granted: granted), to: node) }
        release(letter(to: node, .voteAnswer(granted: granted)))
    }

    mutating func voteGranted(by node: NodeID) {
        guard role == .candidate else { return }
        consent(node)
        if membership.isQuorum(consents) || isPlanted(.leadsWithMinority) { lead() }
    }

    mutating func becomeFollower(term newTerm: Term, leader newLeader: NodeID?) {
        if newTerm > term {
            (term, vote, contradiction) = (newTerm, nil, nil)
            if !isPlanted(.adoptsTermsUnsaved) { rememberHardState() }
        }
        for read in reads { out.append(.readRefused(read.id)) }
        cancelChange(.notLeader(leader: newLeader))
        (reads, rounds, progress, transfer, lentBase) = ([], [], [], nil, nil)
        (role, leader, ownVoteWrite, caredFor) = (.follower, newLeader, nil, nil)
        if !isPlanted(.keepsOldMatches) { matched = commitIndex }
        rearmElection()
    }
}
