package import Mesh
package import Pacing
package import Repository
package import Retention
internal import Sealing

/// Lets backups go, and deletes what no other one leads to: in two steps, between which every writer has to have seen the
/// first one (docs/adr/0013-collection.md).
package struct Collector: Sendable {
    let vault: Vault
    private let policy: RetentionPolicy
    private let now: WallTime
    private let lost: Set<UInt64>
    private let tell: WorkTeller
    var collections: Collections { Collections(vault) }

    /// `now` says only which backups' times can't be right. `lost` are backups that somebody gives up as lost.
    package init(
        _ vault: Vault, _ policy: RetentionPolicy, now: WallTime, lost: Set<UInt64> = [],
        tell: @escaping WorkTeller = { _ in }
    ) {
        (self.vault, self.policy, self.now, self.lost) = (vault, policy, now, lost)
        self.tell = tell
    }

    package struct Fated: Sendable {
        package let manifest: Manifest
        package let fate: Retention.Fate
    }

    /// What there is, and what is to become of it.
    package struct Plan: Sendable {
        package let backups: [Fated]
        /// What nothing that stays leads to.
        package let dead: CollectionStatement.Names
        package let deadByteCount: Int
        /// Dead bytes in packs of which something is still needed: they stay.
        package let leftByteCount: Int
        /// Stretches of the log that only lead to moments before any that are still to be had, the oldest first.
        package let spent: [ObjectName]
        package let spentByteCount: Int
    }

    package struct Swept: Hashable, Sendable {
        package let collection: UInt64
        package let deleted: CollectionStatement.Names
        package let byteCount: Int
    }

    package struct Pruned: Sendable {
        /// What was begun now; nil where an earlier collection had to end first, and could not.
        package var plan: Plan?
        /// Collections that ended now, an earlier one first.
        package var swept: [Swept] = []
        /// Stretches of the log that were deleted now.
        package var spentCount = 0
        /// For whose end the deleting waits.
        package var waitsFor: [Sessions.Open] = []
    }

    /// Looks, and writes nothing.
    package func plan() throws(BackupFailure) -> Plan {
        let (survey, backups) = try look()
        let going = Set(backups.filter { !$0.fate.isKept }.map(\.manifest.sequence))
        let mark = try mark(survey, without: going)
        let dead = mark.dead(survey.inventory, going)
        let left = mark.live.reduce(0) { left, pack in
            left + max((survey.inventory.packs[pack.key] ?? 0) - pack.value, 0)
        }
        let spent = SpentLog(
            survey, backups, days: policy.logDays, now: now, lost: lost, vault.layout)
        return Plan(
            backups: backups, dead: dead, deadByteCount: survey.inventory.byteCount(of: dead),
            leftByteCount: left, spent: spent.names, spentByteCount: spent.byteCount)
    }

    /// Ends the collection that is under way, and begins another one if anything can go. Killed at any moment, the next
    /// one goes on. `agrees` is asked before anything is begun.
    package func prune(
        _ agrees: (Plan) -> Bool = { _ in true }
    ) throws(BackupFailure) -> Pruned {
        var pruned = Pruned()
        if let newest = try collections.newest(), newest.isOpen {
            guard try sweep(newest.number, &pruned) else { return pruned }
        }
        let plan = try plan()
        pruned.plan = plan
        guard !plan.dead.isEmpty || !plan.spent.isEmpty, agrees(plan) else { return pruned }
        tell(.began("deleting", in: .objects, total: UInt64(plan.spent.count)))
        // The oldest first: wherever this ends, what is left goes on to the newest without a gap.
        for name in plan.spent {
            try delete(name)
            pruned.spentCount += 1
        }
        guard !plan.dead.isEmpty else { return pruned }
        _ = try sweep(begin(plan.dead), &pruned)
        return pruned
    }

    private func look() throws(BackupFailure) -> (Survey, [Fated]) {
        let survey = try survey()
        let fates = Retention.fates(survey.dated(lost: lost), by: policy, now: now)
        let backups = zip(survey.manifests, fates).map {
            Fated(manifest: $0.manifest, fate: $1)
        }
        return (survey, backups)
    }

    private func survey() throws(BackupFailure) -> Survey {
        tell(.began("listing", in: .objects))
        return try Survey(vault, lost: lost)
    }

    private func mark(
        _ survey: Survey, without going: Set<UInt64>, spurning packs: [Digest] = []
    ) throws(BackupFailure) -> Mark {
        try Mark(
            vault, survey.inventory,
            survey.manifests.filter { !going.contains($0.manifest.sequence) },
            spurning: Set(packs), tell: tell)
    }

    /// The first step: tombstones. Their number.
    private func begin(_ dead: CollectionStatement.Names) throws(BackupFailure) -> UInt64 {
        let newest = try collections.newest()
        let number = (newest?.number ?? 0) + 1
        // Writers look for the tombstones of the newest one alone, so the one before it has to be over.
        guard newest?.isOpen != true, try collections.put(number, .begun(dead)),
            try isNewest(number)
        else { throw Self.another }
        return number
    }

    private func isNewest(_ number: UInt64) throws(BackupFailure) -> Bool {
        guard let newest = try collections.newest() else { return false }
        return newest.number == number && newest.stages.contains(.begun)
    }

    private static let another = BackupFailure.refused(
        "another collection of this tenant came between; ask again")

    /// The second step. False where it has to wait.
    private func sweep(
        _ number: UInt64, _ pruned: inout Pruned
    ) throws(BackupFailure) -> Bool {
        // Whoever began since the tombstones are there has seen them, and says so.
        let waits = try openSessions().filter { $0.collection < number }
        guard waits.isEmpty else {
            pruned.waitsFor = waits
            return false
        }
        let (tombstones, digest) = try collections.begun(number)
        let doomed =
            if try collections.stages()[number]?.contains(.decided) == true {
                try confirmed(number, tombstones, digest)
            } else { try decided(number, tombstones, digest) }
        try delete(doomed.names)
        _ = try collections.put(number, .ended)
        try clear(before: number)
        pruned.swept.append(
            Swept(
                collection: number, deleted: doomed.names, byteCount: doomed.byteCount))
        return true
    }

    /// A list that leaves out the newest session would have deleted what that counts on.
    private func openSessions() throws(BackupFailure) -> [Sessions.Open] {
        let sessions = Sessions(vault)
        let next = (try sessions.stages().keys.max() ?? 0) + 1
        guard try vault.find(vault.layout.session(next, .begun)) == nil else {
            throw .refused(
                "the store does not list session \(next), and has it: its lists can't be relied on, or a "
                    + "backup just began; ask again")
        }
        return try sessions.open(isStrict: true)
    }

    /// What is deleted.
    private struct Doomed {
        let names: CollectionStatement.Names
        let byteCount: Int

        init(_ names: CollectionStatement.Names, _ survey: Survey) {
            (self.names, byteCount) = (names, survey.inventory.byteCount(of: names))
        }
    }

    /// Settles what of the tombstones is deleted: what was led to by who had not seen them is spared.
    private func decided(
        _ number: UInt64, _ tombstones: CollectionStatement.Names, _ digest: Digest
    ) throws(BackupFailure) -> Doomed {
        let (survey, backups) = try look()
        let going = Set(backups.filter { !$0.fate.isKept }.map(\.manifest.sequence))
            .intersection(tombstones.manifests)
        let mark = try mark(survey, without: going, spurning: tombstones.packs)
        let doomed = mark.doomed(of: tombstones, survey.inventory, going)
        let spared = tombstones.without(doomed)
        let step = CollectionStatement.Step.decided(
            tombstones: digest, spared: spared, letGo: survey.letGo.union(going))
        let isOurs = try collections.put(number, step)
        guard try isNewest(number) else { throw Self.another }
        return isOurs ? Doomed(doomed, survey) : try confirmed(number, tombstones, digest)
    }

    /// What was settled before, by this one or another: looked at again, for what is deleted is gone.
    private func confirmed(
        _ number: UInt64, _ tombstones: CollectionStatement.Names, _ digest: Digest
    ) throws(BackupFailure) -> Doomed {
        let decision = try collections.decided(number)
        let doomed = tombstones.without(decision.spared)
        let survey = try survey()
        let going = Set(doomed.manifests)
        let mark = try mark(survey, without: going, spurning: doomed.packs)
        let again = mark.doomed(of: doomed, survey.inventory, going)
        let newest = survey.manifests.last?.manifest.sequence ?? 0
        guard decision.tombstones == digest, again == doomed, !going.contains(newest) else {
            throw .refused(
                "collection \(number) was to delete what backups lead to: nothing is deleted; somebody "
                    + "changed the repository, or the collection was made by who may not")
        }
        return Doomed(doomed, survey)
    }

    /// Backups first: none may lead to what is gone.
    private func delete(_ doomed: CollectionStatement.Names) throws(BackupFailure) {
        let layout = vault.layout
        let names =
            doomed.manifests.map { layout.manifest($0) } + doomed.indexes.map { layout.index($0) }
            + doomed.packs.map { layout.pack($0) }
        tell(.began("deleting", in: .objects, total: UInt64(names.count)))
        for name in names { try delete(name) }
    }

    private func delete(_ name: ObjectName) throws(BackupFailure) {
        try vault.delete(name)
        tell(.advanced(1))
    }

    /// What only told of earlier collections and of sessions that are over. The newest of each stays, so that no number comes
    /// twice.
    private func clear(before number: UInt64) throws(BackupFailure) {
        for (earlier, stages) in try collections.stages() where earlier < number {
            for stage in Stage.allCases where stages.contains(stage) {
                try vault.delete(collections.name(earlier, stage))
            }
        }
        let sessions = try Sessions(vault).stages()
        let open = Set(try Sessions(vault).open(isStrict: true).map(\.number))
        let newest = sessions.keys.max()
        for (session, stages) in sessions where session != newest && !open.contains(session) {
            for stage in Stage.allCases where stages.contains(stage) {
                try vault.delete(vault.layout.session(session, stage))
            }
        }
    }
}

extension Vault {
    fileprivate func delete(_ name: ObjectName) throws(BackupFailure) {
        do throws(ObjectStoreFailure) { _ = try store.delete(name) } catch { throw .store(error) }
    }
}
