internal import Repository
internal import Sealing
internal import Synchronization

/// Names blobs, and fills one pack after the other with those that are stored nowhere yet.
final class Packer: Sendable {
    private let keeper: BlobKeeper
    private let writer: Mutex<PackWriter>

    init(_ keeper: BlobKeeper) {
        self.keeper = keeper
        writer = Mutex(Self.empty(keeper))
    }

    private static func empty(_ keeper: BlobKeeper) -> PackWriter {
        PackWriter(in: keeper.vault.place, aiming: keeper.vault.limits.packByteCountAimed)
    }

    /// Its id. It is durable only once `flush` has returned, here and wherever else it may have come first.
    func add(_ plain: Span<UInt8>, _ kind: Blob.Kind) throws(BackupFailure) -> Digest {
        let id = keeper.vault.ids.id(of: plain, kind)
        guard try keeper.claim(id) else { return id }
        var full = Self.empty(keeper)
        let isFull = writer.withLock { writer in
            writer.add(plain, kind, id: id)
            guard writer.isFull else { return false }
            swap(&full, &writer)
            return true
        }
        if isFull { try store(full) }
        return id
    }

    func flush() throws(BackupFailure) {
        var last = Self.empty(keeper)
        writer.withLock { swap(&last, &$0) }
        if last.isEmpty { return }
        try store(last)
    }

    private func store(_ writer: consuming PackWriter) throws(BackupFailure) {
        let faults = writer.codecFaultCount
        let pack: Pack
        do throws(ObjectDamage) { pack = try writer.finish(random: keeper.vault.draw()) } catch {
            throw .unreadable(error)
        }
        try keeper.store(pack, codecFaults: faults)
    }
}
