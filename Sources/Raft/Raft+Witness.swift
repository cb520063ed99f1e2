internal import Mesh
internal import Planted
internal import Record

/// How a leader treats a witness (ADR 2). While enough data voters keep up the witness gets only
/// base moves, and so acknowledges nothing that is not committed; else it gets entries and counts
/// as any voter does.
extension Raft {
    /// With each heartbeat: entries no longer, if they are not needed, and at most one base move.
    mutating func tendWitnesses() {
        for at in progress.indices where progress[at].isWitness {
            if progress[at].takesEntries, !needsEntries(at) {
                progress[at].witness?.streams = false
                progress[at].probe(from: progress[at].match.next)
            }
            moveBase(at)
        }
    }

    /// At once, not with the next heartbeat: commits wait for it.
    mutating func beginStreams() {
        guard commitIndex < log.lastIndex else { return }
        for at in progress.indices
        where !progress[at].takesEntries && progress[at].witness?.base != nil && needsEntries(at) {
            // Moved first, the base saves sending what is safe without the witness.
            let base = moveBase(at) ?? .zero
            progress[at].witness?.streams = true
            progress[at].probe(from: base.next)
        }
    }

    /// The index that the base was told to move to in this round, if any.
    @discardableResult
    private mutating func moveBase(_ at: Int) -> LogIndex? {
        if let move = progress[at].witness?.move, move.round == round { return move.target }
        let target = forgettable(by: at)
        guard let told = progress[at].witness?.base, target > told,
            let position = log.position(at: target)
        else { return nil }
        let base = Base(position: position, membership: log.membership(at: target), state: [])
        let whole = SealedBase(base).chunk(from: 0, bytesMax: base.contents.count)
        progress[at].witness?.move = WitnessFeed.Move(round: round, target: target)
        send(.snapshot(whole), to: progress[at].node)
        return target
    }

    /// Rules 1 and 2: every majority with the witness has a data voter that holds all up to here.
    func forgettable(by at: Int) -> LogIndex {
        let node = progress[at].node
        let missing =
            settings.witnessCopiesMissing + (isPlanted(.forgetsOneCopyTooEarly) ? 1 : 0)
        var lowest: UInt64?
        let holdings = holdings
        log.forEachMembership(from: commitIndex) { membership in
            membership.forEachHalf { half in
                guard half.witness == node else { return }
                let floor = half.dataFloor(half.copiesToForget - missing) {
                    holdings.acknowledged(by: $0)
                }
                lowest = min(lowest ?? .max, floor)
            }
        }
        // It votes no more, and is to learn that.
        guard let lowest else { return settledIndex }
        let copied = LogIndex(lowest)
        return min(max(copied, progress[at].witness?.absent ?? .zero), settledIndex)
    }

    /// What is committed; but until a change of the members is committed, no base passes its first
    /// entry: the old halves' copies say nothing of the new ones'.
    var settledIndex: LogIndex {
        if log.isSettled(at: commitIndex) { return commitIndex }
        guard let settled = log.settled(at: commitIndex) else { return .zero }
        guard let next = log.memberships.first(where: { $0.index > settled.index }) else {
            return commitIndex
        }
        return min(commitIndex, next.index.previous)
    }

    /// Whether nothing more can be committed without this witness.
    private func needsEntries(_ at: Int) -> Bool {
        guard !isPlanted(.starvesWitness) else { return false }
        return lacksData(membership.voters, at)
            || membership.outgoing.map { lacksData($0, at) } ?? false
    }

    private func lacksData(_ half: Electorate, _ at: Int) -> Bool {
        half.witness == progress[at].node && half.data.count { keepsUp($0) } < half.quorum
    }

    /// A data voter keeps up while it is heard, lacks nothing that was committed its usual answer
    /// time ago, and owes no acknowledgement for longer than that. Progress excuses: a slow link
    /// that is full delays all and stops none.
    private func keepsUp(_ node: NodeID) -> Bool {
        if node == seat { return true }
        guard let at = progressIndex(of: node), !progress[at].isForgetful,
            now < progress[at].heardAt + electionTimeout
        else { return false }
        let dueAt = answerDueAt(at)
        let isPrompt = progress[at].match >= log.lastIndex || now < dueAt
        // Its log is not known before its first answer.
        if progress[at].round == 0 { return now < dueAt }
        return isPrompt && progress[at].match >= commit(before: patience(withFollowerAt: at))
    }

    private func commit(before patience: Interval) -> LogIndex {
        (rounds.last { $0.at + patience <= now } ?? rounds.first)?.commit ?? .zero
    }

    @inline(__always) private func patience(withFollowerAt at: Int) -> Interval {
        settings.heartbeat * settings.witnessPatience + max(progress[at].answerTime, measured)
    }

    @inline(__always) private func answerDueAt(_ at: Int) -> Instant {
        progress[at].movedAt + patience(withFollowerAt: at)
    }

    /// When a data voter next stops keeping up, so that commits wait no longer than they must.
    mutating func nextWitnessDue() -> Instant {
        guard commitIndex < log.lastIndex, isStarvingWitness else { return .distantFuture }
        var earliest = Instant.distantFuture
        for at in progress.indices
        where !progress[at].isWitness && progress[at].match < log.lastIndex {
            let dueAt = answerDueAt(at)
            // What is past has been judged, and asks for no second look.
            if dueAt > now { earliest = min(earliest, dueAt) }
        }
        return earliest
    }

    // By index: a closure would be given a copy of each follower.
    @inline(__always) private var isStarvingWitness: Bool {
        for at in progress.indices where !progress[at].takesEntries { return true }
        return false
    }

    /// What a heartbeat asks about: the entry before the follower's next, or of a witness that gets
    /// none, the newest that is known to be committed.
    mutating func askedPosition(_ at: Int) -> Position {
        let next = progress[at].next
        if progress[at].takesEntries, !progress[at].isWitness || next > log.base.index {
            return log.position(at: next.previous) ?? .zero
        }
        let index = progress[at].isForgetful ? .zero : commitIndex
        progress[at].witness?.asked(index, in: round)
        return log.position(at: commitIndex) ?? log.base
    }

    /// Whether the answer is about the entry before the follower's next.
    mutating func witnessHeard(_ round: UInt64, holds: Bool, base: LogIndex, _ at: Int) -> Bool {
        guard progress[at].isWitness else { return true }
        // A late answer tells of a base that has moved since.
        if round > progress[at].round { progress[at].witness?.base = base }
        return progress[at].witness?.answered(round, holds: holds) != true
    }

    /// While commits need the witness all of them must fit there, with what they bring about.
    /// Control entries may use their part of the reserve.
    func witnessHasRoom(for byteCount: Int, isControl: Bool) -> Bool {
        let part = isControl ? settings.witnessControlBytesMax : 0
        let reserve = settings.witnessReserveBytes - part
        return progress.allSatisfy { follower in
            guard let witness = follower.witness, witness.streams, let base = witness.base else {
                return true
            }
            return log.byteCount(above: base) + byteCount + reserve
                <= settings.witnessBytesMax
        }
    }
}
