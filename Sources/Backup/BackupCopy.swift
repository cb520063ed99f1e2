package import Mesh
package import Pacing
package import Repository
internal import Sealing

/// Copies backups to another repository, or another tenant's part of one: what the one's keys open, named and sealed anew by the
/// other's. Numbers, moments and holds are the same there, so that whoever restores asks for the same.
///
/// docs/adr/0021-copies-of-backups.md.
package struct BackupCopy: Sendable {
    /// What became of one backup.
    package struct Outcome: Sendable {
        package let manifest: Manifest
        /// False where the copy was there before.
        package let isNew: Bool
        /// Bytes of volumes that were read, and of objects that were stored.
        package let readByteCount: UInt64
        package let storedByteCount: Int
    }

    private let source: Vault
    private let target: Vault
    private let threads: Int
    private let tell: WorkTeller

    /// Throws where both are the same.
    package init(
        from source: Vault, to target: Vault, threads: Int, tell: @escaping WorkTeller = { _ in }
    ) throws(BackupFailure) {
        guard
            source.ring.repository != target.ring.repository
                || source.ring.tenant != target.ring.tenant
        else { throw .refused("both are one tenant's part of one repository: name another one") }
        (self.source, self.target, self.threads, self.tell) = (source, target, threads, tell)
    }

    /// One at a time of each source: whoever begins the next has ended what an earlier one left open.
    private var writer: String { "copy of \(source.ring.tenant) from \(source.ring.repository)" }

    package func copy(_ number: UInt64, at time: WallTime) throws(BackupFailure) -> Outcome {
        let original = try Manifests(source).manifest(number).manifest
        let outcome: Outcome
        if let there = try there(original) {
            outcome = Outcome(manifest: there, isNew: false, readByteCount: 0, storedByteCount: 0)
        } else {
            outcome = try make(original, at: time)
        }
        try hold(number, at: time)
        return outcome
    }

    /// The copy, where it was made before; throws where its number can't be had any more.
    private func there(_ original: Manifest) throws(BackupFailure) -> Manifest? {
        let manifests = Manifests(target)
        let (numbers, number) = (try manifests.numbers(), original.sequence)
        if numbers.contains(number) {
            let there = try manifests.manifest(number).manifest
            guard there.isCopy(of: original) else {
                throw .refused(
                    "backup \(number) is another one there: that repository has backups of its own; copy to "
                        + "one that has none")
            }
            return there
        }
        guard let last = numbers.last, last > number else { return nil }
        throw .refused(
            "the copies there have come to backup \(last), and go on from there: backup \(number) can't be put "
                + "before it; copy the oldest first, or to an empty repository")
    }

    private func make(_ original: Manifest, at time: WallTime) throws(BackupFailure) -> Outcome {
        let session = try Sessions(target).begin(writer, at: time)
        var tally = BackupTally()
        let made = try session.ending { () throws(BackupFailure) in
            let reader = try BackupReader(source, threads: threads)
            let writer = try BackupWriter(target, in: session, threads: threads)
            let plans = try plans(original, reader)
            tell(.began("copying", total: plans.reduce(0) { $0 + $1.source.byteCount }))
            var volumes: [Manifest.Volume] = []
            for plan in plans { volumes.append(try store(plan, writer)) }
            let state = try writer.store(try reader.bytes(original.state))
            try writer.finish()
            tally = writer.tally
            try leaveOut(before: original.sequence)
            try session.commits()
            return try Manifests(target).commit { (newest) throws(BackupFailure) in
                // Somebody else may have put it, or a later one.
                guard newest.map({ $0.manifest.sequence < original.sequence }) ?? true else {
                    throw .overtaken(tries: 1)
                }
                return Manifest(
                    copying: original, after: newest, volumes: volumes, state: state)
            }
        }
        return Outcome(
            manifest: made.manifest, isNew: true, readByteCount: tally.readByteCount,
            storedByteCount: tally.storedByteCount)
    }

    private struct Plan {
        let volume: Manifest.Volume
        let source: CopySource
        let since: ChangedCells?
    }

    /// What is read of each volume: all of it, or where it differs from the newest copy's original.
    private func plans(
        _ original: Manifest, _ reader: BackupReader
    ) throws(BackupFailure) -> [Plan] {
        let former = try former()
        var plans: [Plan] = []
        for volume in original.volumes {
            let map = volume.map
            guard let former,
                let before = former.original.volumes.first(where: { $0.id == volume.id })?.map,
                let copy = former.copy.manifest.volumes.first(where: { $0.id == volume.id })?.map,
                before.shape.cellByteCount == map.shape.cellByteCount
            else {
                let all = try CopySource(map, reader, [0..<map.shape.cellCount], tell)
                plans.append(Plan(volume: volume, source: all, since: nil))
                continue
            }
            let cells = map.shape.cells(over: try reader.changes(map, since: before))
            let since = ChangedCells(
                copy, epoch: former.copy.epoch, cells: cells,
                byteCountMin: min(before.shape.byteCount, map.shape.byteCount))
            // The cell in which a shorter volume ended is read with them, whether it changed or not.
            let cut = since.byteCountMin / map.shape.cellByteCount
            let edge = (cut..<cut + 1).clamped(to: 0..<map.shape.cellCount)
            let changed = try CopySource(map, reader, Self.joined(cells, edge), tell)
            plans.append(Plan(volume: volume, source: changed, since: since))
        }
        return plans
    }

    private static func joined(
        _ cells: [Range<UInt64>], _ other: Range<UInt64>
    ) -> [Range<UInt64>] {
        var all = RangeSet<UInt64>()
        for range in cells + [other] { all.insert(contentsOf: range) }
        return Array(all.ranges)
    }

    /// The newest copy and what it is of, where a copy can go on from it.
    private func former() throws(BackupFailure) -> (copy: ManifestObject, original: Manifest)? {
        guard let copy = try Manifests(target).newest(), target.keepsIDs(since: copy.epoch) else {
            return nil
        }
        let manifests = Manifests(source)
        // It may have been let go of since.
        guard try manifests.numbers().contains(copy.manifest.sequence) else { return nil }
        let original = try manifests.manifest(copy.manifest.sequence).manifest
        return copy.manifest.isCopy(of: original) ? (copy, original) : nil
    }

    private func store(
        _ plan: Plan, _ writer: BackupWriter
    ) throws(BackupFailure) -> Manifest.Volume {
        let (volume, map) = (plan.volume, try writer.store(plan.source, since: plan.since))
        guard
            let copy = Manifest.Volume(
                id: volume.id, name: volume.name, isSync: volume.isSync,
                lastWrite: volume.lastWrite, map: map)
        else { throw .volume("volume \(volume.id) has a name that no backup can hold") }
        return copy
    }

    /// Numbers between the newest copy and this one are not there, and whoever collects has to know that nobody lost them.
    private func leaveOut(before number: UInt64) throws(BackupFailure) {
        let last = try Manifests(target).numbers().last ?? 0
        guard last + 1 < number else { return }
        let gap = last + 1..<number
        let collections = Collections(target)
        let known = try collections.letGo().numbers
        guard !gap.allSatisfy(known.contains) else { return }
        let newest = try collections.newest()
        let own = newest.map { $0.isOpen ? $0.number : $0.number + 1 } ?? 1
        if newest?.isOpen != true {
            guard try collections.put(own, .begun(CollectionStatement.Names())) else {
                throw Self.collecting
            }
        }
        let begun = try collections.begun(own)
        // What an earlier copy left open is of nothing; another one's has to end first.
        guard begun.names.isEmpty else { throw Self.collecting }
        let step = CollectionStatement.Step.decided(
            tombstones: begun.digest, spared: CollectionStatement.Names(), letGo: known.union(gap))
        if try !collections.put(own, step) {
            let decided = try collections.decided(own).letGo
            guard gap.allSatisfy(decided.contains) else { throw Self.collecting }
        }
        _ = try collections.put(own, .ended)
    }

    private static let collecting = BackupFailure.refused(
        "what there is in the other repository is being collected: run `holdfast backup prune` there, and ask "
            + "again")

    /// What is held is held there, too, from now on.
    private func hold(_ number: UInt64, at time: WallTime) throws(BackupFailure) {
        let (own, other) = (Holds(source), Holds(target))
        guard try own.numbers().contains(number), try !other.numbers().contains(number) else {
            return
        }
        let reason = (try? own.hold(number).reason) ?? "it is held where it was copied from"
        _ = try other.put(number, reason: reason, at: time)
    }
}

extension Manifest {
    /// Whether it tells of the same moment of the same volumes; by what their cells are called differs.
    fileprivate func isCopy(of other: Manifest) -> Bool {
        sequence == other.sequence && cluster == other.cluster && group == other.group
            && position == other.position && epoch == other.epoch && time == other.time
            && volumes.map(\.likeness) == other.volumes.map(\.likeness)
    }
}

extension Manifest.Volume {
    private struct Likeness: Hashable {
        let id: VolumeID
        let name: String
        let lastWrite: Manifest.WriteMark
        let shape: VolumeShape
    }
    fileprivate var likeness: some Hashable {
        Likeness(id: id, name: name, lastWrite: lastWrite, shape: map.shape)
    }
}
