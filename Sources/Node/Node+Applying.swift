internal import Decisions
internal import Mesh
internal import Planted
internal import Raft
internal import Record
internal import VolumeCore
internal import Wire

/// What the committed log means: decisions first, then the volumes.
extension Node {
    mutating func apply(_ entries: [Entry]) {
        var ruled: [Ruled] = []
        ruled.reserveCapacity(entries.count)
        for entry in entries {
            guard let step = Decisions.Step(of: entry) else {
                return out.append(.halt(.unknownCommand(entry.index)))
            }
            if case .command(let command) = step.deed,
                let ahead = levelAhead(of: command, at: entry.index)
            {
                return out.append(.halt(.levelAhead(ahead)))
            }
            let outcome = decisions.apply(step)
            note(outcome, of: entry)
            ruled.append(Ruled(entry, Ruling(outcome, of: entry)))
        }
        out.append(.apply(ruled))
        lastRuled = entries.last.map { CutOrder.Place(position: $0.position, time: $0.time) }
        if let last = entries.last, checkpoints.isDue(entries, settings) {
            checkpoints.begin(last.position, decisions.encoded)
            out.append(.checkpoint)
        }
    }

    private mutating func note(_ outcome: Outcome, of entry: Entry) {
        switch outcome {
        case .renewed(let epoch): renewed(epoch, at: entry.index)
        case .promoted(let primary): promoted(primary, by: entry)
        case .relinquished: relinquished(at: entry.index)
        case .refused(let refusal): refused(refusal, entry)
        case .wished(let change): wishChanged(.wished(change))
        case .cancelled(let change): wishChanged(.wishCancelled(change))
        case .membersChanged(let change): wishChanged(.membersChanged(change))
        case .levelRaised(let level): noteLevel(since: level.previous)
        default: break
        }
        if entry.session == SessionID(seat.rawValue) { applied(outcome, of: entry) }
    }

    private mutating func wishChanged(_ happening: Happening) {
        out.append(.happened(happening))
        reviewWish()
    }

    private mutating func renewed(_ epoch: Epoch, at index: LogIndex) {
        let now = now
        office.change { acting in
            guard acting.epoch == epoch else { return }
            if isPlanted(.measuresLeaseFromCommit) {
                acting.lease.proposed(index, epoch: epoch, at: now)
            }
            acting.lease.renewed(through: index)
        }
    }

    private mutating func promoted(_ primary: Primary, by entry: Entry) {
        let reason: Takeover.Reason
        switch (try? Command(parsing: entry.payload)) {
        case .promote(_, _, .firstPrimary): reason = .start
        case .promote(_, _, .leaseEnded): reason = .takeover
        default: reason = .handOver
        }
        remember(
            Takeover(
                epoch: primary.epoch, from: formerPrimary, to: primary.node, reason: reason,
                at: entry.time, phases: []))
        formerPrimary = primary.node
        // A promotion begins a lease, whose renewals are still to come.
        renewalSeenAt = entry.position > historyEnd ? now : nil
        // A switchover may have ended: its answer need not wait for the next try.
        operations.nextTry = now
        guard case .claiming(let index) = office, index == entry.index else {
            // Somebody else's, or an earlier process's of this node, which the office clears.
            guard entry.position > historyEnd else { return }
            story.ruled(at: now)
            out.append(.happened(.takeover(takeovers[takeovers.count - 1])))
            return
        }
        story.promoted(at: now)
        office = .acting(
            Office.Acting(
                epoch: primary.epoch, lease: HeldLease(settings.lease, epoch: primary.epoch)))
    }

    private mutating func relinquished(at index: LogIndex) {
        switch office {
        case .clearing(index): office = .idle
        case .acting(let acting) where acting.handOver?.relinquished == index:
            guard let target = acting.handOver?.target else { return }
            pendingYield = target
        default: break
        }
    }

    private mutating func refused(_ refusal: Refusal, _ entry: Entry) {
        switch office {
        case .claiming(entry.index), .clearing(entry.index): office = .idle
        default: break
        }
        // A mark has to be, and nobody is to be told.
        if refusal == .backupClaimOver(.zero) { return }
        out.append(.happened(.refused(entry.index, refusal)))
    }
}
