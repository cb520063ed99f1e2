internal import Dispatch
internal import NIOConcurrencyHelpers
internal import Repository
internal import Sealing
internal import Synchronization

/// Names blobs, and fills one pack after the other with those that are stored nowhere yet. While one is filled, the one
/// before it becomes durable.
final class Packer: Sendable {
    private let keeper: BlobKeeper
    private let writer: Mutex<PackWriter>
    private let namer: Mutex<IDNamer>
    private let queue = DispatchQueue(label: "holdfast.backup.store")
    private let underWay = DispatchGroup()
    private let failure = NIOLockedValueBox<BackupFailure?>(nil)

    /// The memory of the pack that was stored last.
    private let room = Mutex<[UInt8]>([])

    init(_ keeper: BlobKeeper) {
        self.keeper = keeper
        writer = Mutex(
            PackWriter(in: keeper.vault.place, aiming: keeper.vault.limits.packByteCountAimed))
        namer = Mutex(keeper.vault.ids.namer(.cell))
    }

    /// Its id. It is durable only once `flush` has returned, here and wherever else it may have come first. Throws also
    /// what became of an earlier pack.
    func add(_ plain: Span<UInt8>, _ kind: Blob.Kind) throws(BackupFailure) -> Digest {
        let id = keeper.vault.ids.id(of: plain, kind)
        try add(plain, kind, id)
        return id
    }

    /// The same for cells of `byteCount` bytes which begin there in `bytes`.
    func add(
        _ starts: [Int], _ byteCount: Int, in bytes: Span<UInt8>
    ) throws(BackupFailure) -> [Digest] {
        let ids = namer.withLock { $0.ids(of: starts, byteCount: byteCount, in: bytes) }
        for (start, id) in zip(starts, ids) {
            try add(bytes.extracting(start..<start + byteCount), .cell, id)
        }
        return ids
    }

    private func add(
        _ plain: Span<UInt8>, _ kind: Blob.Kind, _ id: Digest
    ) throws(BackupFailure) {
        guard try keeper.claim(id) else { return }
        let isFull = writer.withLock { writer in
            writer.add(plain, kind, id: id)
            return writer.isFull
        }
        if isFull { try store() }
    }

    func flush() throws(BackupFailure) {
        if !writer.withLock({ $0.isEmpty }) { try store() }
        try settle()
    }

    /// Nothing is on its way when this returns; throws what became of it.
    func settle() throws(BackupFailure) {
        underWay.wait()
        if let failure = failure.withLockedValue({ $0 }) { throw failure }
    }

    private func store() throws(BackupFailure) {
        // One after the other: two packs that are sealed and not stored yet would take too much memory.
        try settle()
        let (pack, faults) = try sealed()
        queue.async(group: underWay) { [self] in
            do throws(BackupFailure) { try keeper.store(pack, codecFaults: faults) } catch {
                failure.withLockedValue { $0 = error }
            }
            room.withLock { $0 = pack.bytes }
        }
    }

    private func sealed() throws(BackupFailure) -> (Pack, codecFaults: Int) {
        let random = keeper.vault.draw()
        do throws(ObjectDamage) {
            return try writer.withLock { writer throws(ObjectDamage) in
                let faults = writer.codecFaultCount
                return try room.withLock { room throws(ObjectDamage) in
                    (try writer.finish(random: random, in: &room), faults)
                }
            }
        } catch { throw .unreadable(error) }
    }
}
