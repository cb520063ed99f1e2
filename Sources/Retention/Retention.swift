package import Mesh

/// Which backups are kept, and why: grandfathers, fathers and sons. Nothing here reads a clock: all that is asked of the clock
/// of who asks is which times can't be right.
package enum Retention {
    package enum Reason: Hashable, Sendable {
        /// The newest, or one of the last few.
        case newest
        case held
        case slot(RetentionSlot)
    }

    /// Why nothing keeps it.
    package enum Loss: Hashable, Sendable {
        case notWhole
        /// Another one stands for all that it could stand for.
        case represented(by: UInt64, RetentionSlot)
        case tooOld
    }

    package enum Fate: Hashable, Sendable {
        /// Never for no reason.
        case kept([Reason])
        case goes(Loss)

        package var isKept: Bool { if case .kept = self { true } else { false } }
    }

    /// What becomes of each; `backups` stand in the order of their numbers, none twice.
    ///
    /// The last one is never let go of. One that is not whole stands for no slot; it goes unless it is held, or the last.
    package static func fates(
        _ backups: [Dated], by policy: RetentionPolicy, now: WallTime
    ) -> [Fate] {
        invariant(
            zip(backups, backups.dropFirst()).allSatisfy { $0.number < $1.number },
            "backups in the order of their numbers")
        let runs = Runs(backups, now: now)
        let keepers = keepers(backups, runs, policy)
        let newest = Set(backups.indices.filter { backups[$0].isWhole }.suffix(policy.newest))
        return backups.indices.map { at in
            var reasons: [Reason] = []
            if at == backups.count - 1 || newest.contains(at) { reasons.append(.newest) }
            if backups[at].isHeld { reasons.append(.held) }
            for slot in slots(of: backups[at], in: runs.runs[at])
            where keepers[slot] == at { reasons.append(.slot(slot.slot)) }
            guard reasons.isEmpty else { return .kept(reasons) }
            return .goes(loss(backups, at, runs, keepers, policy))
        }
    }

    /// How long before the newest one each was made, at most as long as it really was.
    package static func ages(_ backups: [Dated], now: WallTime) -> [Interval] {
        Runs(backups, now: now).ages
    }

    private struct OwnSlot: Hashable {
        let run: Int
        let slot: RetentionSlot
    }

    private static func slots(of backup: Dated, in run: Int) -> [OwnSlot] {
        RetentionSlot.Kind.allCases.map {
            OwnSlot(run: run, slot: RetentionSlot($0, of: backup.time))
        }
    }

    /// Of each slot that a rule reaches the last backup in it that is whole.
    private static func keepers(
        _ backups: [Dated], _ runs: Runs, _ policy: RetentionPolicy
    ) -> [OwnSlot: Int] {
        var keepers: [OwnSlot: Int] = [:]
        for at in backups.indices where backups[at].isWhole {
            for slot in slots(of: backups[at], in: runs.runs[at])
            where policy.reaches(runs.ages[at], slot.slot.kind) { keepers[slot] = at }
        }
        return keepers
    }

    private static func loss(
        _ backups: [Dated], _ at: Int, _ runs: Runs, _ keepers: [OwnSlot: Int],
        _ policy: RetentionPolicy
    ) -> Loss {
        guard backups[at].isWhole else { return .notWhole }
        for slot in slots(of: backups[at], in: runs.runs[at]) {
            guard policy.reaches(runs.ages[at], slot.slot.kind), let other = keepers[slot] else {
                continue
            }
            return .represented(by: backups[other].number, slot.slot)
        }
        return .tooOld
    }
}

extension Retention.Reason: CustomStringConvertible {
    package var description: String {
        switch self {
        case .newest: "newest"
        case .held: "held"
        case .slot(let slot): "\(slot)"
        }
    }
}

extension Retention.Loss: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notWhole: "it is given up as lost"
        case .represented(let other, let slot): "backup \(other) stands for \(slot.name)"
        case .tooOld: "older than any rule reaches"
        }
    }
}
