internal import Decisions
internal import Mesh
internal import Raft
internal import Record
internal import VolumeCore
internal import Voting
internal import Wire

/// A replica that the log no longer reaches, as its node sees it (ADR 5).
extension Node {
    /// A base from the leader stands for entries whose bytes the volumes here never saw.
    mutating func restore(_ base: Base) {
        guard let restored = try? Decisions(parsing: base.contents) else {
            return out.append(.halt(.unreadableBase(base.position.index)))
        }
        guard restored.level <= settings.speaks else {
            let place = "the base at \(base.position.index)"
            let ahead = LevelAhead(mesh: restored.level, spoken: settings.speaks, place: place)
            return out.append(.halt(.levelAhead(ahead)))
        }
        let former = meshLevel
        decisions = restored
        noteLevel(since: former)
        formerPrimary = restored.tenure.primary?.node
        // A lease may have been renewed with any of these entries.
        observed.received(at: now)
        checkpoints = Checkpoints()
        lastRuled = nil
        forgetOffered()
        if resync == nil { out.append(.happened(.resync(isWhole: false))) }
        resync = .unknown
        behind = base.position.index
        out.append(.behind(behind))
    }

    mutating func resynced(_ standing: ResyncStanding?, behind index: LogIndex) {
        // What the volumes said before they heard of the last base tells nothing of now.
        guard index >= behind, !voter.raft.awaitsBase else { return }
        if standing == nil, resync != nil { out.append(.happened(.resync(isWhole: true))) }
        resync = standing
        turn(.raft(.replica(isWhole: standing == nil)))
    }

    /// Whoever leads has everything, or is about to; a leader that has nothing to give does not answer.
    mutating func pull() {
        guard resync != nil || wantsBlocks, now >= pullAt else { return }
        pullAt = now + settings.pullEvery
        // Before a base came there is nothing that the volumes could lack.
        guard !voter.raft.awaitsBase else { return }
        guard resync != nil else { return out.append(.pull(from: mender)) }
        let leader = voter.raft.leader
        out.append(.pull(from: leader == seat ? nil : leader))
    }
}

extension ResyncStanding {
    static let unknown = ResyncStanding(isCopying: false, missingByteCount: 0, wholeByteCount: 0)
}
