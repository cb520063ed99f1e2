package import Mesh
internal import NIOConcurrencyHelpers
package import Repository

/// Makes one backup of a mesh's volumes, from the cut to the manifest.
package final class BackupRun: Sendable {
    package enum Phase: String, Hashable, Sendable, CaseIterable {
        /// Reads what the repository has.
        case opening
        case volumes
        case committing
    }

    package struct Progress: Hashable, Sendable {
        package var phase = Phase.opening
        /// What is to be read at most, once that is known.
        package var wantedByteCount: UInt64 = 0
        package var readByteCount: UInt64 = 0
        package var storedByteCount = 0

        package init() {}
    }

    private struct State: Sendable {
        var progress = Progress()
        var writer: BackupWriter?
        var account = AccountStanding.untried
    }

    /// The backup before, and what the log said has changed since, by volume.
    private struct Account {
        let former: Manifest
        let told: [VolumeID: [Range<UInt64>]]
    }

    private let vault: Vault
    private let holder: any CutHolder
    private let writer: String
    private let threads: Int
    private let state = NIOLockedValueBox(State())

    /// `writer` names who writes, one backup at a time.
    package init(_ vault: Vault, _ holder: any CutHolder, by writer: String, threads: Int) {
        (self.vault, self.holder, self.writer, self.threads) = (vault, holder, writer, threads)
    }

    package var progress: Progress {
        let (known, writer) = state.withLockedValue { ($0.progress, $0.writer) }
        guard let tally = writer?.tally else { return known }
        var progress = known
        progress.readByteCount = tally.readByteCount
        progress.storedByteCount = tally.storedByteCount
        return progress
    }

    /// Of a full backup, once it is made.
    package var account: AccountStanding { state.withLockedValue { $0.account } }

    /// Reads what changed since the newest backup of this mesh, or everything: where `isFull` says so, where there is
    /// none, and of each volume of which nobody knows what changed.
    package func make(isFull: Bool, at time: WallTime) throws(BackupFailure) -> ManifestObject {
        let session = try Sessions(vault).begin(writer, at: time)
        var account: Account?
        let made = try session.ending { () throws(BackupFailure) in
            try make(isFull: isFull, in: session, &account)
        }
        if isFull, let account {
            let standing = compare(made.manifest, account)
            state.withLockedValue { $0.account = standing }
        }
        return made
    }

    /// The backup is made, and right: what the comparison finds is told beside it.
    private func compare(_ made: Manifest, _ account: Account) -> AccountStanding {
        var (wrong, isCompared) = ([UntoldChange](), false)
        do throws(BackupFailure) {
            let reader = try BackupReader(vault, threads: 1)
            for volume in made.volumes {
                let before = account.former.volumes.first { $0.id == volume.id }?.map
                guard let before, let told = account.told[volume.id],
                    before.shape.cellByteCount == volume.map.shape.cellByteCount
                else { continue }
                let ranges = try reader.untold(volume.map, since: before, told: told)
                isCompared = true
                if !ranges.isEmpty {
                    wrong.append(
                        UntoldChange(
                            volume: volume.name, ranges: ranges, since: account.former.sequence))
                }
            }
        } catch { return .unknown(error) }
        guard isCompared else { return .untried }
        return wrong.isEmpty ? .right : .wrong(wrong)
    }

    private func make(
        isFull: Bool, in session: Session, _ account: inout Account?
    ) throws(BackupFailure) -> ManifestObject {
        let manifests = Manifests(vault)
        let newest = try manifests.newest()
        let writer = try BackupWriter(vault, in: session, threads: threads)
        state.withLockedValue { $0.writer = writer }
        let parent = newest.flatMap { vault.keepsIDs(since: $0.epoch) ? $0 : nil }
        let cut = try holder.begin(since: parent?.manifest.position.index)
        var isHeld = true
        defer { if isHeld { holder.end() } }
        let since = try newest.map { newest throws(BackupFailure) in
            try Self.check(newest.manifest, before: cut.place)
        }
        let former = since == true ? parent : nil
        account = former.map { Account(former: $0.manifest, told: cut.told) }
        let plans = try cut.volumes.map { volume throws(BackupFailure) in
            try Plan(volume, since: former, isFull: isFull)
        }
        let wanted = plans.reduce(0) { $0 + $1.wantedByteCount }
        state.withLockedValue {
            ($0.progress.phase, $0.progress.wantedByteCount) = (.volumes, wanted)
        }
        var volumes: [Manifest.Volume] = []
        for plan in plans { volumes.append(try store(plan, writer)) }
        // Nothing more is read, so nothing more has to be kept for it.
        holder.end()
        isHeld = false
        let pieces = try writer.store(cut.state)
        try writer.finish()
        state.withLockedValue { $0.progress.phase = .committing }
        let isIncremental = plans.contains { $0.since != nil }
        try session.commits()
        return try manifests.commit { (newest) throws(BackupFailure) in
            if let newest { _ = try Self.check(newest.manifest, before: cut.place) }
            return Manifest(
                after: newest, kind: isIncremental ? .incremental : .full, consistency: .crash,
                cluster: cut.place.cluster, group: cut.place.group, position: cut.place.position,
                epoch: cut.place.epoch, time: cut.place.time.rawValue, volumes: volumes,
                state: pieces)
        }
    }

    /// Whether that backup is of the same log; throws where it is of the same log and a later place, which this replica
    /// has not come to yet.
    private static func check(
        _ manifest: Manifest, before place: HeldCut.Place
    ) throws(BackupFailure) -> Bool {
        guard manifest.cluster == place.cluster, manifest.group == place.group else { return false }
        let (newest, here) = (manifest.position, place.position)
        guard newest.index <= here.index else {
            // Entries that it holds are in no log any more: the log was cut, or machines were put back.
            guard newest.term >= here.term else { return false }
            throw .behind(here: here, newest: newest)
        }
        return newest.term <= here.term
    }

    private func store(
        _ plan: Plan, _ writer: BackupWriter
    ) throws(BackupFailure) -> Manifest.Volume {
        let source = HeldSource(plan.volume, plan.shape, holder)
        let map = try writer.store(source, since: plan.since)
        guard
            let volume = Manifest.Volume(
                id: plan.volume.id, name: plan.volume.name, isSync: plan.volume.isSync,
                lastWrite: plan.volume.lastWrite, map: map)
        else { throw .volume("volume \(plan.volume.id) has a name that no backup can hold") }
        return volume
    }

    /// What is read of one volume.
    private struct Plan {
        let volume: HeldCut.Volume
        let shape: VolumeShape
        let since: ChangedCells?

        init(
            _ volume: HeldCut.Volume, since former: ManifestObject?, isFull: Bool
        ) throws(BackupFailure) {
            self.volume = volume
            let before = former?.manifest.volumes.first { $0.id == volume.id }?.map
            // A volume keeps its cells' length for good, or nothing of it would be found again.
            let shape = before.map {
                VolumeShape(
                    byteCount: volume.byteCount, cellByteCount: $0.shape.cellByteCount)
            }
            guard let shape = shape ?? VolumeShape(new: volume.byteCount) else {
                throw .volume("volume \(volume.name) has \(volume.byteCount) bytes")
            }
            self.shape = shape
            since =
                if !isFull, let former, let before, let changed = volume.changed {
                    ChangedCells(
                        before, epoch: former.epoch, cells: shape.cells(over: changed),
                        byteCountMin: volume.byteCount)
                } else { nil }
        }

        var wantedByteCount: UInt64 {
            let cells = since?.cells ?? shape.cells(over: volume.allocated)
            return cells.reduce(0) { $0 + UInt64($1.count) } * shape.cellByteCount
        }
    }
}
