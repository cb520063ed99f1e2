package import Backup
internal import Disk
internal import Journal
package import JournalCore
package import Mesh
internal import NIOConcurrencyHelpers
package import Raft
internal import Record
package import Sealing
package import Store
package import VolumeCore

/// A node's data directory while it is made from a repository: its volumes, then a log that begins behind them, its identity last.
package final class RevivedStore: Sendable {
    /// What the log begins with: the mesh's members, and what was decided.
    package struct Beginning: Sendable {
        package let position: Position
        package let membership: Membership
        package let decisions: [UInt8]

        package init(position: Position, membership: Membership, decisions: [UInt8]) {
            (self.position, self.membership, self.decisions) = (position, membership, decisions)
        }

        /// The same on each member that is restored, or their logs begin at one place with different things, which no later
        /// comparison of logs finds.
        package var digest: Digest {
            var bytes: [UInt8] = []
            bytes.append(littleEndian: [position.index.rawValue, position.term.rawValue])
            let members = membership.encoded
            bytes.append(littleEndian: UInt64(members.count))
            return Digest(of: (bytes + members + decisions).span)
        }
    }

    private struct State: Sendable {
        var core: VolumeCore<FileDisk>
        /// Of each volume, since it was last synced.
        var unsynced: [VolumeID: Int] = [:]
        var isOpen = true

        /// Gives the lock back; the core is not used after it.
        mutating func close() {
            guard isOpen else { return }
            isOpen = false
            var disk = core.disk
            disk.shutDown()
        }
    }

    /// So much of one volume is on its way to the disk at most: the end waits for what is left.
    static let unsyncedByteCountMax = 256 << 20

    private let directory: StoreDirectory
    private let hold: StoreDirectory.Hold
    private let state: NIOLockedValueBox<State>

    /// Refused where anything is in the directory but what an earlier one left.
    package init(_ directory: StoreDirectory) throws {
        self.directory = directory
        hold = try directory.beginRestoring()
        let disk = try FileDisk("\(directory.path)/\(StoreDirectory.volumes)")
        state = NIOLockedValueBox(State(core: try VolumeCore(disk: disk)))
    }

    deinit { state.withLockedValue { $0.close() } }

    package func create(
        _ id: VolumeID, name: String, byteCount: UInt64, isSync: Bool
    ) throws(BackupFailure) {
        let refused = try changing { core throws(DiskError) in
            try core.create(id, name: name, byteCount: byteCount, isSync: isSync)
        }
        if let refused { throw .volume("volume \(name) can't be made: \(refused)") }
    }

    package func grow(_ id: VolumeID, to byteCount: UInt64) throws(BackupFailure) {
        let refused = try changing { core throws(DiskError) in
            try core.grow(id, to: byteCount)
        }
        if let refused { throw .volume("volume \(id) can't be made longer: \(refused)") }
    }

    package func delete(_ id: VolumeID) throws(BackupFailure) {
        let refused = try changing { core in core.delete(id) }
        if let refused { throw .volume("volume \(id) can't be deleted: \(refused)") }
    }

    /// Several threads may write at once, for each place one.
    package func write(
        _ bytes: [UInt8], at offset: UInt64, of id: VolumeID
    ) throws(BackupFailure) {
        try changing { core throws(DiskError) in
            try core.install(bytes, offset..<offset + UInt64(bytes.count), of: id)
        }
        let isDue = state.withLockedValue { state in
            state.unsynced[id, default: 0] += bytes.count
            guard state.unsynced[id, default: 0] >= Self.unsyncedByteCountMax else { return false }
            state.unsynced[id] = 0
            return true
        }
        guard isDue else { return }
        try changing { core throws(DiskError) in try core.syncInstalled(id) }
    }

    package func zero(_ range: Range<UInt64>, of id: VolumeID) throws(BackupFailure) {
        try changing { core throws(DiskError) in try core.install(nil, range, of: id) }
    }

    package var volumes: [VolumeInfo] { state.withLockedValue { $0.core.list } }

    /// The directory is a node's when this returns, and was nobody's before. Nothing is written to the store any more.
    package func finish(
        _ beginning: Beginning, _ settings: JournalSettings, as store: StoreID,
        random: SeededRandom
    ) throws -> Identity {
        try changing { core throws(DiskError) in
            try core.finishInstalling(at: beginning.position.index)
        }
        state.withLockedValue { $0.close() }
        var disk = try FileDisk("\(directory.path)/\(StoreDirectory.journal)")
        defer { disk.shutDown() }
        var (journal, _) = try JournalCore.open(&disk, settings: settings, random: random)
        let base = Base(
            position: beginning.position, membership: beginning.membership,
            state: beginning.decisions)
        let term = HardState(
            term: beginning.position.term, commit: beginning.position.index)
        try journal.append([LogChange(base: base, hardState: term)])
        disk = journal.disk
        return try directory.endRestoring(hold, as: store)
    }

    private func changing<Value: Sendable>(
        _ change: (inout VolumeCore<FileDisk>) throws(DiskError) -> Value
    ) throws(BackupFailure) -> Value {
        let result = state.withLockedValue { state -> Result<Value, DiskError> in
            do throws(DiskError) { return .success(try change(&state.core)) } catch {
                return .failure(error)
            }
        }
        do throws(DiskError) { return try result.get() } catch {
            throw .volume("\(directory.path)/\(StoreDirectory.volumes): \(error)")
        }
    }
}
