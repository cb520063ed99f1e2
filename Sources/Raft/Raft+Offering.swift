internal import Mesh
internal import Planted
internal import Record

/// A constrained election (Ng et al. 2023, Omni-Paxos, §2): the only node that reaches a majority lacks
/// what some of its peers hold, and they reach nobody else. Raft stands still until the cut ends. Here
/// who stood in vain offers the end of its log to whoever asks for its vote and lacks it; that one
/// takes it, and is elected.
///
/// **Why that is safe** (the log as a leader's `append` leaves it, so the Log Matching Property holds).
/// An offer is taken only if the whole log that it comes from is more up to date than the own one
/// (Raft §5.4.1). Of what is committed by an entry j of term T, and stands here up to j, nothing goes:
/// the offered log ends in T, and then contains j, or in a later term, whose leader held j before it
/// appended anything (Leader Completeness, §5.4.3). So only what no quorum ever counts on is replaced.
/// What is taken is acknowledged to nobody (Zhou and Mu 2021, on logs that are pulled, found that to be
/// what matters): a leader of a past term never learns that it stands here. Nor does one of this term
/// miss what it knows to stand here: where something goes, this node goes on in a later term, in the
/// same write.
///
/// Not with a witness: it forgets what data voters acknowledged, be it committed here or not (ADR 2).
extension Raft {
    private var mayShareLogs: Bool {
        !isWitness && !awaitsBase && restoring == nil
            && log.memberships(from: commitIndex).allSatisfy { !$0.hasWitness }
    }

    /// A vote was asked for by who lacks something of this log, and nobody leads.
    mutating func offer(to node: NodeID, after asked: Position) {
        guard role == .follower || role == .preCandidate, leader == nil, canStand, mayShareLogs,
            failedElections >= settings.electionsUntilOffer, !fetchingToOffer
        else { return }
        let previous = log.lastAgreeing(with: asked)
        // What lies below the base has to come from a leader, as a snapshot.
        guard log.term(at: previous.index) == previous.term else { return }
        let first = previous.index.next
        guard
            let entries = log.entries(
                from: first, through: log.lastIndex, bytesMax: settings.batchBytesMax)
        else {
            fetchingToOffer = true
            return out.append(
                .fetch(
                    Fetch(
                        purpose: .offer(node), first: first, last: log.lastIndex,
                        bytesMax: settings.batchBytesMax)))
        }
        sendOffer(entries, after: previous, to: node)
    }

    mutating func offerFetched(_ entries: [Entry], _ fetch: Fetch, for node: NodeID) {
        guard isOfLog(entries, fetch), let previous = log.position(at: fetch.first.previous)
        else { return }
        sendOffer(entries, after: previous, to: node)
    }

    private mutating func sendOffer(
        _ entries: [Entry], after previous: Position, to node: NodeID
    ) {
        let offer = Letter.Offer(
            previous: previous, last: log.last, commit: commitIndex, entries: entries)
        send(.offer(offer), to: node)
    }

    /// Whatever the terms: it says what was, and promises nothing.
    mutating func offered(_ offer: Letter.Offer, in theirs: Term, by node: NodeID) {
        guard role == .follower || role == .preCandidate, leader == nil, canStand, mayShareLogs,
            isWorthOffering(offer.last, to: log.last), offer.last >= taken?.end ?? .zero,
            isLawful(offer.entries, after: offer.previous, through: offer.last.term),
            offer.last.term <= theirs, agreesWithCommitted(offer)
        else { return }
        guard holds(offer.previous) else {
            return send(.offerWanted(after: placeToTry(offer.previous)), to: node)
        }
        // An offer that is doubled, or one of two, asks for nothing.
        let new = offer.entries.drop {
            $0.index <= commitIndex || log.term(at: $0.index) == $0.term
        }
        guard let first = new.first else { return }
        let replaces = first.index <= log.lastIndex
        guard !replaces || mayReplace(by: offer) else { return }
        let later = max(theirs, replaces ? term.next : term)
        if later > term { becomeFollower(term: later, leader: nil) }
        replaceEnd(with: Array(new))
        taken = TakenOffer(end: offer.last)
        learn(offer)
        if log.last < offer.last {
            // No faster than the disk.
            release(letter(to: node, .offerWanted(after: log.last)))
        } else {
            // Nobody leads, and now nothing is lacking: no need to wait.
            electionAt = now
        }
    }

    /// A log that was never committed to its end may part from what is committed here below that, and be
    /// more up to date all the same (Raft fig. 8).
    private func agreesWithCommitted(_ offer: Letter.Offer) -> Bool {
        ([offer.previous] + offer.entries.map(\.position)).allSatisfy { position in
            position.index > commitIndex
                || (log.term(at: position.index) ?? position.term) == position.term
        }
    }

    /// What a leader was told to stand here stays, unless a later one was elected without it. And who
    /// never stood in vain may yet be elected, or is led by now.
    private func mayReplace(by offer: Letter.Offer) -> Bool {
        takesAnyOffer
            || failedElections >= settings.electionsUntilOffer && offer.last.term >= followedTerm
    }

    private var takesAnyOffer: Bool { isPlanted(.takesAnyOffer) }

    /// One log end to who has the other (Raft §5.4.1).
    func isWorthOffering(_ last: Position, to other: Position) -> Bool {
        last > other || takesAnyOffer
    }

    private mutating func learn(_ offer: Letter.Offer) {
        commitIndex = max(commitIndex, min(offer.commit, log.lastIndex))
        matched = max(matched, commitIndex)
    }
}
