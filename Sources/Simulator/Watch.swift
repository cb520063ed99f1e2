internal import Decisions
internal import Mesh
internal import Raft
internal import Record
internal import VolumeCore
internal import Wire

/// What must always hold of consensus, seen from outside all members (Raft fig. 3), and of the
/// primary's seat. Each method gives what is broken, or nil.
struct Watch {
    private struct Applied {
        let checksum: UInt32
        let term: Term
        let ruling: Ruling
    }
    private struct Deed: Hashable {
        let session: SessionID
        let payload: ArraySlice<UInt8>
    }

    private var leaders: [Term: NodeID] = [:]
    /// Of each index that some member knew committed; `.zero` where none said so yet.
    private var committed: [Term] = []
    /// The lowest term in which anybody knew that: no leader of an earlier one need hold it.
    private var knownIn: [Term] = []
    /// As the first member to apply it did.
    private var applied: [Applied] = []
    private var lastSequences: [SessionID: UInt64] = [:]
    private var deeds: Set<Deed> = []
    private var votes: [NodeID: (term: Term, candidate: NodeID)] = [:]
    private var volumes: Set<VolumeID> = []
    private(set) var seat = SeatModel()
    private(set) var epoch = Epoch.zero
    private(set) var operations = 0

    var appliedCount: Int { applied.count }

    /// Election safety, and leader completeness: a new leader holds all that is committed.
    mutating func leads(_ node: NodeID, _ raft: Raft) -> String? {
        if let other = leaders[raft.term], other != node {
            return "election safety: nodes \(other) and \(node) both lead term \(raft.term)"
        }
        leaders[raft.term] = node
        let base = Int(raft.basePosition.index.rawValue)
        for at in min(base, committed.count)..<committed.count
        where committed[at] != .zero && knownIn[at] < raft.term {
            let index = LogIndex(UInt64(at) + 1)
            guard raft.lastPosition.index >= index else {
                return "leader completeness: node \(node) leads term \(raft.term) with "
                    + "\(raft.lastPosition) last, but \(index) is committed"
            }
            guard let term = raft.term(at: index), term != committed[at] else { continue }
            return "leader completeness: node \(node) leads term \(raft.term) with "
                + "\(index)@\(term), but \(index)@\(committed[at]) is committed"
        }
        return nil
    }

    /// State-machine safety, as far as the commit index tells.
    mutating func commits(
        _ node: NodeID, _ index: LogIndex, _ term: Term?, knownIn current: Term
    ) -> String? {
        guard let term, index > .zero else { return nil }
        let at = Int(index.rawValue) - 1
        while committed.count <= at {
            committed.append(.zero)
            knownIn.append(current)
        }
        knownIn[at] = committed[at] == .zero ? current : min(knownIn[at], current)
        guard committed[at] == .zero || committed[at] == term else {
            return "committed never lost: node \(node) takes \(index)@\(term) for committed, "
                + "but \(index)@\(committed[at]) was"
        }
        committed[at] = term
        return nil
    }

    /// State-machine safety: all apply the same entries, and rule on them alike.
    mutating func applies(_ node: NodeID, _ entries: [Ruled], in current: Term) -> String? {
        for ruled in entries {
            let entry = ruled.entry
            let at = Int(entry.index.rawValue) - 1
            if at < applied.count {
                let known = applied[at]
                guard known.checksum == entry.checksum, known.term == entry.term else {
                    return "state-machine safety: node \(node) applies \(entry.position), "
                        + "but \(entry.index)@\(known.term) was applied"
                }
                guard known.ruling == ruled.ruling else {
                    return "state-machine safety: node \(node) rules on \(entry.position) "
                        + "\(ruled.ruling), but \(known.ruling) was ruled"
                }
                continue
            }
            guard at == applied.count else {
                return "node \(node) applies \(entry.position) with \(applied.count) before it"
            }
            if let broken = commits(
                node, entry.index, entry.term, knownIn: current)
            {
                return broken
            }
            applied.append(
                Applied(checksum: entry.checksum, term: entry.term, ruling: ruled.ruling))
            if entry.kind == .write || entry.kind == .command { operations += 1 }
            if let broken = seat.follow(ruled) { return broken }
            if case .created(let volume, _, _, _) = ruled.ruling,
                !volumes.insert(volume).inserted
            {
                return "no id is used twice: \(entry.position) creates volume \(volume) again"
            }
            if let broken = exactlyOnce(ruled) { return broken }
        }
        return nil
    }

    /// Raft thesis §6.3: an operation takes effect once, however often it was offered. Only
    /// creations of spare volumes are looked at: each is asked once, and names another.
    private mutating func exactlyOnce(_ ruled: Ruled) -> String? {
        let entry = ruled.entry
        guard entry.kind == .command, entry.session != .none else { return nil }
        let last = lastSequences[entry.session] ?? 0
        guard entry.sequence == last + 1 else {
            guard ruled.ruling == .nothing else {
                return "exactly once: \(entry.position) is number \(entry.sequence) of session "
                    + "\(entry.session) after \(last), and was carried out"
            }
            return nil
        }
        lastSequences[entry.session] = entry.sequence
        guard case .createVolume(let name, _, _) = try? Command(parsing: entry.payload),
            name.hasPrefix(Operators.sparePrefix)
        else { return nil }
        let deed = Deed(session: entry.session, payload: entry.payload)
        guard deeds.insert(deed).inserted else {
            return "exactly once: \(entry.position) repeats a creation of session "
                + "\(entry.session) under a new number"
        }
        return nil
    }

    /// What is known committed at `index`; nil where nobody said so yet.
    func committedTerm(at index: LogIndex) -> Term? {
        let at = Int(index.rawValue) - 1
        return committed.indices.contains(at) && committed[at] != .zero ? committed[at] : nil
    }

    /// Raft §5.2: one vote a term, a candidate's own included. A vote of an earlier term that is told
    /// late says nothing new.
    mutating func votes(_ voter: NodeID, for candidate: NodeID, in term: Term) -> String? {
        if let last = votes[voter], last.term >= term {
            guard last.term == term, last.candidate != candidate else { return nil }
            return "one vote a term: node \(voter) votes for nodes \(last.candidate) and "
                + "\(candidate) in term \(term)"
        }
        votes[voter] = (term, candidate)
        return nil
    }

    func lastVote(of voter: NodeID) -> (term: Term, candidate: NodeID)? { votes[voter] }

    /// Epochs grow: no export opens under one that was used, or is below one that was.
    mutating func opens(_ node: NodeID, _ epoch: Epoch) -> String? {
        guard seat.isRenewed(epoch, by: node) else {
            return "a renewal before acting: node \(node) opens under epoch \(epoch) without one"
        }
        guard epoch > self.epoch else {
            return "epochs grow: node \(node) opens under \(epoch) after \(self.epoch)"
        }
        self.epoch = epoch
        return nil
    }

    /// Log matching: where two logs share an entry they share all before it.
    func matches(_ a: Raft, _ b: Raft) -> String? {
        let floor = max(a.basePosition.index, b.basePosition.index)
        var index = min(a.lastPosition.index, b.lastPosition.index)
        var agreed: LogIndex?
        var left = 200
        while index > floor, left > 0 {
            if a.term(at: index) == b.term(at: index) {
                agreed = agreed ?? index
            } else if let agreed {
                return "log matching: nodes \(a.seat) and \(b.seat) agree at \(agreed) "
                    + "and not at \(index)"
            }
            index = index.previous
            left -= 1
        }
        return nil
    }
}
