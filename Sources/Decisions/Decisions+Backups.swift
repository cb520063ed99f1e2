internal import Mesh

/// Of two that make the backup of one slot only one's counts: each outcome names its claim, and there is one claim at a time.
extension Decisions {
    mutating func note(_ news: BackupNews, _ step: Step) throws(Refusal) -> Outcome {
        switch news {
        case .claimed(let slot, let isFull, let node, let over):
            try claim(slot, isFull, node, over, step)
        case .renewed(let claim):
            try check(claim)
            backups.claim?.renewal = step.index
        case .made(let made, let claim): try take(made, claim, step)
        case .failed(let claim, let words):
            noteFailure(of: try check(claim), words, step)
            backups.claim = nil
        }
        return .backups(backups)
    }

    private mutating func claim(
        _ slot: WallTime, _ isFull: Bool, _ node: NodeID, _ over: LogIndex?, _ step: Step
    ) throws(Refusal) {
        guard seats.contains(where: { $0.node == node }) else { throw .unknownNode(node) }
        guard slot <= step.time else { throw .backupAhead(slot) }
        let isOpen = slot > backups.settled || isFull && slot > backups.settledFull
        guard isOpen, slot >= backups.attempts?.slot ?? .zero else { throw .backupSettled(slot) }
        if let held = backups.claim {
            guard over == held.renewal else {
                throw .backupClaimed(by: held.node, renewal: held.renewal)
            }
        } else if let over {
            throw .backupClaimOver(over)
        }
        guard !backups.isGivenUp(slot) else { throw .backupGivenUp(limit: BackupDuty.attemptsMax) }
        if let held = backups.claim {
            noteFailure(of: held, "its agent ended, or was not heard any more", step)
        }
        let before = backups.attempts.flatMap { $0.slot == slot ? $0.count : nil } ?? 0
        backups.attempts = BackupDuty.Attempts(slot: slot, count: before + 1)
        backups.claim = BackupDuty.Claim(
            node: node, slot: slot, isFull: isFull, since: step.index, renewal: step.index)
    }

    /// What is as of a later moment than a slot is that slot's backup, whoever made it and why.
    private mutating func take(
        _ made: BackupDuty.Made, _ claim: LogIndex?, _ step: Step
    ) throws(Refusal) {
        guard seats.contains(where: { $0.node == made.node }) else {
            throw .unknownNode(made.node)
        }
        guard made.asOf <= step.time else { throw .backupAhead(made.asOf) }
        var through = made.asOf
        if let claim {
            through = max(through, try check(claim).slot)
            backups.claim = nil
        }
        backups.settled = max(backups.settled, through)
        if made.isFull { backups.settledFull = max(backups.settledFull, through) }
        if made.asOf >= backups.newest?.asOf ?? .zero { backups.newest = made }
        (backups.failure, backups.failures) = (nil, 0)
    }

    @discardableResult
    private func check(_ claim: LogIndex) throws(Refusal) -> BackupDuty.Claim {
        guard let held = backups.claim, held.since == claim else {
            throw .backupClaimOver(claim)
        }
        return held
    }

    private mutating func noteFailure(of claim: BackupDuty.Claim, _ words: String, _ step: Step) {
        backups.failure = BackupDuty.Failure(
            node: claim.node, slot: claim.slot, at: step.time, words: words)
        backups.failures = min(backups.failures + 1, LogIndex.countMax.rawValue)
    }
}
