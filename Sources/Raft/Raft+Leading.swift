internal import Mesh
internal import Planted
internal import Record

extension Raft {
    mutating func lead() {
        (role, leader, consents, ownVoteWrite) = (.leader, seat, [], nil)
        termStart = log.lastIndex.next
        progress = []
        if isCaretaker ? isPlanted(.caretakerAppends) : !isPlanted(.skipsBlank) { appendBlank() }
        meetMembers()
        handOverAt = now + usualTimeout * settings.handOverPause
        startRound()
    }

    private mutating func appendBlank() {
        // Raft §5.4.2 and §8: only an entry of its own term shows a leader what is committed. It
        // shows no epoch: a foreign leader's blank must not pass for a renewal of the lease.
        let blank = Draft(.blank, epoch: .zero)
        let position = Position(index: termStart, term: term)
        appendOwn([blank.sealed(at: position, group: group, time: log.time)])
    }

    mutating func appendOwn(_ entries: [Entry]) {
        for at in progress.indices { progress[at].owes(after: log.lastIndex, at: now) }
        log.append(entries)
        change.entries += entries
    }

    mutating func propose(_ drafts: [Draft], time: WallTime) {
        guard !drafts.isEmpty else { return }
        guard role == .leader else { return refuse(drafts, .notLeader(leader: leader)) }
        guard transfer == nil, !isCaretaker else { return refuse(drafts, .transferring) }
        guard pendingChange == nil else { return refuse(drafts, .changingMembership) }
        guard !drafts.contains(where: { $0.kind == .membership }) else {
            return refuse(drafts, .membership)
        }
        let asked = drafts.reduce(0) { $0 + $1.byteCount }
        guard log.byteCount(above: commitIndex) + asked <= settings.uncommittedBytesMax else {
            return refuse(drafts, .uncommittedBytes)
        }
        // Renewals and commands use the witness's reserve: only writes stall when it is full.
        let isControl = drafts.allSatisfy { $0.kind == .blank || $0.kind == .command }
        guard witnessHasRoom(for: asked, isControl: isControl) else {
            return refuse(drafts, .witnessFull)
        }
        let stamp = max(time, log.time)
        let first = Position(index: log.lastIndex.next, term: term)
        var entries: [Entry] = []
        entries.reserveCapacity(drafts.count)
        for (offset, draft) in drafts.enumerated() {
            let position = Position(index: first.index.advanced(by: offset), term: term)
            entries.append(draft.sealed(at: position, group: group, time: stamp))
        }
        appendOwn(entries)
        out.append(.accepted(first: first, count: drafts.count))
    }

    private mutating func refuse(_ drafts: [Draft], _ why: ProposalRefusal) {
        out.append(.proposalsRefused(count: drafts.count, why))
    }

    /// Every heartbeat interval: is there still a quorum, a transfer to end, a better leader?
    mutating func tick() {
        let heard = membership.quorumFloor { node in
            node == seat ? now.nanoseconds : heardAt(node).nanoseconds
        }
        guard now < Instant(nanoseconds: heard) + electionTimeout || isPlanted(.leadsWithoutQuorum)
        else {
            // Check-quorum (Raft thesis §6.2): clients must not wait for one who can't commit.
            let silence = now.since(Instant(nanoseconds: heard))
            out.append(.steppedDown(pause ?? .quorumSilent(since: silence)))
            return becomeFollower(term: term, leader: nil)
        }
        if let transfer {
            if now < transfer.deadline {
                nudge(transfer)
            } else if hasBeenRemoved {
                return stepDownRemoved()
            } else {
                self.transfer = nil
            }
        }
        dismissLeavers()
        if isCaretaker { handOverCare() } else { handOverToPreferred() }
        startRound()
        tendWitnesses()
    }

    private func heardAt(_ node: NodeID) -> Instant {
        progressIndex(of: node).map { progress[$0].heardAt } ?? .zero
    }

    // By index: a closure would be given a copy of each.
    func progressIndex(of node: NodeID) -> Int? {
        for at in progress.indices where progress[at].node == node { return at }
        return nil
    }

    mutating func startRound() {
        round += 1
        rounds.append(SentRound(number: round, at: now, commit: commitIndex))
        if rounds.count > Self.roundsMax { rounds.removeFirst() }
        heartbeatAt = now + settings.heartbeat
        let measured = roundTrip + disk.saveTime
        knownFloor = compactionFloor
        for at in progress.indices {
            let previous = askedPosition(at)
            progress[at].asked(previous.index, in: round)
            let commit = min(commitIndex, progress[at].match)
            let heartbeat = Letter.Heartbeat(
                previous: previous, commit: commit, floor: knownFloor, round: round,
                measured: measured)
            send(.heartbeat(heartbeat), to: progress[at].node)
        }
    }

    private static var roundsMax: Int { 64 }

    mutating func followerAnswered(_ letter: Letter) {
        guard role == .leader,
            let at = progressIndex(of: letter.from)
        else { return }
        progress[at].heardAt = now
        switch letter.body {
        case .appended(let through):
            if progress[at].isFromAfterLoss(nil) { matched(through, at) }
        case .appendRefused(let previous, let hint): refused(previous, hint, at)
        case .heard(let round, let holds, let isWhole, let through, let base):
            progress[at].said(isWhole: isWhole, through: through, in: round)
            noticeLoss(round, holds: holds, base: base, at)
            let aboutNext = witnessHeard(round, holds: holds, base: base, at)
            measure(round, at)
            if progress[at].isFromAfterLoss(round) { matched(through, at) }
            if aboutNext { roundHeard(holds: holds, at) }
            endLosses()
        case .snapshotHeard(let position, let offset): chunkHeard(position, offset, at)
        default: break
        }
        if let transfer, transfer.target == letter.from { nudge(transfer) }
        if isCaretaker { handOverCare() }
    }

    /// Until then a new leader is as patient as its election had to be: where a round trip is longer
    /// than the floor, its term would end before the first answer, and so would every next one's.
    private var hasAnsweringQuorum: Bool {
        let rounds = membership.quorumFloor { node in
            node == seat ? .max : progressIndex(of: node).map { progress[$0].round } ?? 0
        }
        return rounds > 0
    }

    private mutating func measure(_ number: UInt64, _ at: Int) {
        guard number <= round, number > progress[at].round else { return }
        progress[at].round = number
        if failedElections > 0, hasAnsweringQuorum { failedElections = 0 }
        guard let sent = rounds.first(where: { $0.number == number }) else { return }
        roundTrip = (roundTrip * 7 + now.since(sent.at)) / 8
    }

    private mutating func matched(_ through: LogIndex, _ at: Int) {
        guard through <= log.lastIndex else { return }
        progress[at].matched(through, at: now)
        if through >= log.base.index { progress[at].isLeftBehind = false }
        switch progress[at].state {
        case .probe where progress[at].match.next == progress[at].next:
            progress[at].state = .replicate
        case .snapshot(let sealed, _, _)
        where progress[at].match >= sealed.base.position.index:
            progress[at].tookBase(sealed.base.position.index)
            progress[at].probe(from: progress[at].match.next)
        default: break
        }
    }

    /// Whatever was lost, the next heartbeat's answer shows it: no letter needs a timer.
    private mutating func roundHeard(holds: Bool, _ at: Int) {
        switch progress[at].state {
        case .probe: progress[at].state = holds ? .replicate : .probe(waiting: false)
        case .replicate: if !holds { progress[at].probe(from: progress[at].match.next) }
        case .snapshot(let base, let acknowledged, _):
            progress[at].state = .snapshot(base, acknowledged: acknowledged, waiting: false)
        }
    }

    /// Skips a whole term a letter instead of an entry (Raft §5.3, end).
    private mutating func refused(_ previous: LogIndex, _ hint: Position, _ at: Int) {
        guard previous > progress[at].match, hint.index <= previous else { return }
        if case .snapshot = progress[at].state { return }
        if case .probe = progress[at].state, previous.next != progress[at].next { return }
        // The hint may be the refused index itself, with an older term: each refusal has to move.
        progress[at].probe(from: min(previous, log.lastAgreeing(with: hint).index.next))
    }

    /// Raft §5.4.2: counting replicas commits only entries of the leader's own term, all before
    /// them with them (fig. 8). The leader counts itself like any other, by what is durable.
    mutating func advanceCommit() {
        guard commitIndex < log.lastIndex else { return }
        let holdings = holdings
        let floor = membership.quorumFloor { holdings.acknowledged(by: $0) }
        let index = isPlanted(.commitsWithMinority) ? disk.durable : LogIndex(floor)
        guard index > commitIndex, log.term(at: index) == term || isPlanted(.commitsEarlierTerms)
        else { return }
        commitIndex = index
    }

    var holdings: Holdings {
        let own = isPlanted(.countsOwnUnsaved) ? log.lastIndex : disk.durable
        return Holdings(seat: seat, own: own, progress: progress)
    }

    mutating func replicate() {
        beginStreams()
        for at in progress.indices { feed(at) }
    }

    private mutating func feed(_ at: Int) {
        guard progress[at].takesEntries else { return }
        let learner = !membership.votes(progress[at].node)
        // A learner that held more could be made a voter whose log nobody committed.
        let limit = learner ? commitIndex : log.lastIndex
        if case .snapshot = progress[at].state { return sendChunk(at) }
        if progress[at].next > limit { return probeEnd(at, limit) }
        guard !mustWaitForBase(at, isLearner: learner) else { return }
        while progress[at].next <= limit, !progress[at].fetching {
            let next = progress[at].next
            // First: what is on its way to one that is away is not waited for for ever, because no
            // heartbeat can ask for what is forgotten here.
            if let base = baseNeeded(at, isLearner: learner) {
                guard mayGetBase(at) else { return }
                progress[at].state = .snapshot(base, acknowledged: 0, waiting: false)
                return sendChunk(at)
            }
            switch progress[at].state {
            case .probe(waiting: true), .snapshot: return
            case .replicate where !hasRoom(at): return
            case .probe, .replicate: break
            }
            let bytesMax = settings.batchBytesMax
            guard let entries = log.entries(from: next, through: limit, bytesMax: bytesMax) else {
                progress[at].fetching = true
                return out.append(
                    .fetch(
                        Fetch(
                            purpose: .follower(progress[at].node), first: next, last: limit,
                            bytesMax: bytesMax)))
            }
            sendAppend(entries, toFollowerAt: at)
        }
    }

    /// A caretaker appends nothing that could find out where a follower's log parts from its own.
    private mutating func probeEnd(_ at: Int, _ limit: LogIndex) {
        guard case .probe(waiting: false) = progress[at].state, progress[at].match < limit,
            let previous = log.position(at: limit)
        else { return }
        progress[at].state = .probe(waiting: true)
        progress[at].next = limit.next
        send(
            .append(previous: previous, commit: commitIndex, entries: []),
            to: progress[at].node)
    }

    @inline(__always) private func hasRoom(_ at: Int) -> Bool {
        progress[at].inFlight.count < settings.inFlightLettersMax
            && progress[at].inFlightBytes < settings.inFlightBytesMax
    }

    mutating func sendAppend(_ entries: [Entry], toFollowerAt at: Int) {
        guard let first = entries.first, let previous = log.position(at: first.index.previous)
        else { return }
        guard progress[at].takesEntries else { return }
        if case .snapshot = progress[at].state { return }
        // The receiver takes of the commit index only what it shares with this letter's end.
        send(
            .append(previous: previous, commit: commitIndex, entries: entries),
            to: progress[at].node)
        if case .probe = progress[at].state {
            progress[at].state = .probe(waiting: true)
        } else {
            progress[at].sent(entries, at: now)
        }
    }
}
