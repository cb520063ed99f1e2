package import Mesh
internal import Planted
internal import Record

/// How long the log is kept for whom, and what a member is that it was not kept for (ADR 5).
extension Raft {
    /// The base may move up to here, and no further: a base has no volume's bytes, so whoever lacks
    /// more of the log has to take whole cells. Every data voter and learner is known to hold the log
    /// durably up to here, but for those that were left behind; and whatever majority of disks may be
    /// left, one of them is whole up to here. A caretaker moves nothing: it has no base to give. Never
    /// falls.
    package var compactionFloor: LogIndex {
        guard role == .leader, !isCaretaker else { return knownFloor }
        var held = min(disk.durable, wholeFloor)
        var leavesBehind = false
        for at in progress.indices
        where isKeptFor(progress[at].node) {
            if isTooFarBehind(at) {
                leavesBehind = true
            } else {
                held = min(held, progress[at].match)
            }
        }
        if forgetsAboveFloor { held = commitIndex }
        // With all of them, whatever a witness could be asked for is held twice.
        if leavesBehind {
            for at in progress.indices where progress[at].isWitness {
                held = min(held, witnessNeeds(at))
            }
        }
        return max(knownFloor, min(held, settledIndex))
    }

    /// Whether `compactionFloor` could reach `index`: that is asked with every event, and the floor takes
    /// a while to tell.
    package func mayForget(through index: LogIndex) -> Bool {
        guard role == .leader, !isCaretaker, index > knownFloor else { return index <= knownFloor }
        return disk.durable >= index
            && progress.indices.allSatisfy { at in
                progress[at].match >= index || !isKeptFor(progress[at].node) || isTooFarBehind(at)
                    || forgetsAboveFloor
            }
    }

    private var forgetsAboveFloor: Bool { isPlanted(.compactsAboveFloor) }

    private func isKeptFor(_ node: NodeID) -> Bool {
        membership.isData(node) || membership.isLearner(node)
    }

    /// Who copies what it lacks holds the log, and not what lies below its base. If all who are whole
    /// were lost while one that is whole lacks the log, nothing could bring that one up to date.
    private var wholeFloor: LogIndex {
        var lowest = UInt64.max
        let holdings = holdings
        log.forEachMembership(from: commitIndex) { membership in
            membership.forEachHalf { half in
                let floor = half.dataFloor(half.copiesToOutlast) { holdings.whole(by: $0) }
                lowest = min(lowest, floor)
            }
        }
        return LogIndex(lowest)
    }

    /// Disks are finite: one member that is away for days must not fill those of the others.
    private func isTooFarBehind(_ at: Int) -> Bool {
        let match = progress[at].match
        let missing = log.byteCount(above: max(match, log.base.index))
        let isAway = now >= progress[at].heardAt + settings.awayAfter
        // It takes a base in any case, and what follows that.
        if isAway, progress[at].isLeftBehind { return true }
        // Of one that was not heard since this leader was elected what it has is not known.
        guard isAway || progress[at].knownMatch != nil else { return false }
        return missing > settings.logKeptBytesMax * (isAway ? 1 : 2)
    }

    /// What a witness holds or may skip: it can only be fed what follows.
    private func witnessNeeds(_ at: Int) -> LogIndex {
        max(
            progress[at].match, max(progress[at].witness?.base ?? .zero, forgettable(by: at)))
    }

    /// After the base moved: for whom is the log no longer kept?
    mutating func noteLeftBehind() {
        guard role == .leader else { return }
        for at in progress.indices where !progress[at].isWitness {
            guard let match = progress[at].knownMatch else { continue }
            let isBehind = match < log.base.index
            if isBehind, !progress[at].isLeftBehind {
                out.append(.leftBehind(progress[at].node, through: log.base.index))
            }
            progress[at].isLeftBehind = isBehind
        }
    }

    /// A leader with a whole log and nothing to serve: a witness, or a data member whose volumes lack
    /// something. It brings the best of the others up to date, and hands over (protocol rule 6).
    var isCaretaker: Bool { isWitness || !isWhole }

    /// What a leader may do depends on it, so it leads no further where it changes.
    mutating func replicaChanged(isWhole: Bool) {
        guard isWhole != self.isWhole else { return }
        self.isWhole = isWhole
        guard role != .follower else { return rearmElection() }
        if role == .leader { out.append(.steppedDown(.replicaChanged)) }
        becomeFollower(term: term, leader: nil)
    }
}
