internal import Mesh
internal import Planted
internal import Record

extension Raft {
    /// One write for everything that an event changed, so that one save covers it.
    mutating func flush() {
        // As by most events.
        if change.isEmpty, releases.isEmpty {
            changedFirst = nil
            return
        }
        let vote = isPlanted(.forgetsVotes) ? nil : vote
        let hardState = HardState(term: term, vote: vote, commit: commitIndex)
        // The commit index is a hint: it rides along, and never costs a write of its own.
        if change.hardState != nil || !change.entries.isEmpty || change.base != nil {
            change.hardState = hardState
        }
        if change.isEmpty, disk.outstanding.isEmpty {
            for letter in releases { out.append(.send(letter)) }
        } else if !change.isEmpty || !releases.isEmpty {
            let last = change.entries.last?.index ?? (changedFirst == nil ? nil : log.lastIndex)
            let number = disk.issue(
                first: changedFirst ?? change.entries.first?.index, last: last,
                term: change.hardState?.term, base: change.base?.position.index, at: now)
            if role == .candidate, ownVoteWrite == nil { ownVoteWrite = number }
            if let base = restoring?.base, restoring?.number == 0 { restoring = (number, base) }
            out.append(.save(Write(number: number, change: change, releases: releases)))
        }
        (change, changedFirst) = (LogChange(), nil)
        releases.removeAll(keepingCapacity: true)
    }

    mutating func rememberHardState() {
        change.hardState = HardState(term: term, vote: vote, commit: commitIndex)
    }

    mutating func saved(through number: UInt64) {
        invariant(number <= disk.lastNumber, "write \(number) was never issued")
        disk.saved(through: number, at: now)
        invariant(disk.durable <= log.lastIndex, "what is durable is in the log")
        if let restored = restoring, restored.number <= number {
            restoring = nil
            (handedIndex, appliedIndex) = (
                restored.base.position.index, restored.base.position.index
            )
            out.append(.restore(restored.base))
        }
        if role == .candidate, let own = ownVoteWrite, own <= number { voteGranted(by: seat) }
    }

    /// Which writes the disk kept is not known: this node leads nobody until one completes.
    mutating func storageFailed() {
        disk.failed = true
        if role == .leader { out.append(.steppedDown(.disk(since: .zero))) }
        if role != .follower { becomeFollower(term: term, leader: nil) }
    }

    /// Committed and durable entries, one batch at a time. Durable, so that no state machine is
    /// ever ahead of its own log after a crash.
    mutating func handOut() {
        let limit = isPlanted(.appliesUnsaved) ? commitIndex : min(commitIndex, disk.durable)
        guard restoring == nil, !fetchingToApply, handedIndex == appliedIndex, handedIndex < limit,
            !isWitness
        else { return }
        let first = handedIndex.next
        guard
            let entries = log.entries(
                from: first, through: limit, bytesMax: settings.applyBytesMax)
        else {
            fetchingToApply = true
            return out.append(
                .fetch(
                    Fetch(
                        purpose: .apply, first: first, last: limit,
                        bytesMax: settings.applyBytesMax)))
        }
        guard let last = entries.last else { return }
        handedIndex = last.index
        out.append(.apply(entries))
    }

    mutating func applied(_ index: LogIndex) {
        invariant(index <= handedIndex, "\(index) was applied before it was handed out")
        appliedIndex = max(appliedIndex, index)
    }

    mutating func checkpointed(_ state: Base) {
        let position = state.position
        // A snapshot installed meanwhile, or a later checkpoint, already covers it.
        guard position.index > log.base.index else { return }
        // Rule 1: whoever forgets into a change of the voters can't say any more who they were.
        guard position.index <= settledIndex else { return }
        invariant(position.index <= appliedIndex, "only what is applied is checkpointed")
        invariant(log.term(at: position.index) == position.term, "a checkpoint of this log")
        let membership = log.membership(at: position.index)
        base = Base(position: position, membership: membership, state: state.contents)
        invariant(log.rebase(to: position, membership: membership), "the base is of this log")
        change.base = base
        noteLeftBehind()
    }

    mutating func fetched(_ fetch: Fetch, _ entries: [Entry]) {
        switch fetch.purpose {
        case .apply:
            fetchingToApply = false
            guard fetch.first == handedIndex.next, restoring == nil, isOfLog(entries, fetch),
                let last = entries.last, last.index <= min(commitIndex, disk.durable)
            else { return }
            handedIndex = last.index
            out.append(.apply(entries))
        case .follower(let node):
            guard let at = progress.firstIndex(where: { $0.node == node }) else { return }
            progress[at].fetching = false
            guard isOfLog(entries, fetch), progress[at].next == fetch.first else { return }
            sendAppend(entries, toFollowerAt: at)
        case .offer(let node):
            fetchingToOffer = false
            offerFetched(entries, fetch, for: node)
        }
    }

    /// The log may have changed while the disk was read.
    func isOfLog(_ entries: [Entry], _ fetch: Fetch) -> Bool {
        guard !entries.isEmpty, fetch.first > log.base.index else { return false }
        var index = fetch.first
        for entry in entries {
            guard entry.index == index, entry.term == log.term(at: index) else { return false }
            index = index.next
        }
        return true
    }
}
