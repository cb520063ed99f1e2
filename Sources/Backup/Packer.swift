internal import Repository
internal import Sealing
internal import Synchronization

/// Names blobs, and fills one pack after the other with those that are stored nowhere yet.
final class Packer: Sendable {
    private let keeper: BlobKeeper
    private let writer: Mutex<PackWriter>

    init(_ keeper: BlobKeeper) {
        self.keeper = keeper
        writer = Mutex(PackWriter(in: keeper.vault.place))
    }

    /// Its id. It is durable only once `flush` has returned, here and wherever else it may have come first.
    func add(_ plain: Span<UInt8>, _ kind: Blob.Kind) throws(BackupFailure) -> Digest {
        let id = keeper.vault.ids.id(of: plain, kind)
        guard try keeper.claim(id) else { return id }
        let isFull = writer.withLock { writer in
            writer.add(plain, kind, id: id)
            return writer.isFull
        }
        if isFull { try flush() }
        return id
    }

    func flush() throws(BackupFailure) {
        let place = keeper.vault.place
        let random = keeper.vault.draw()
        let closed = writer.withLock { writer -> Result<(Pack, Int)?, ObjectDamage> in
            guard !writer.isEmpty else { return .success(nil) }
            var full = PackWriter(in: place)
            swap(&full, &writer)
            let faults = full.codecFaultCount
            return Self.closed(full, faults, random: random)
        }
        switch closed {
        case .success(nil): return
        case .success(let (pack, faults)?): try keeper.store(pack, codecFaults: faults)
        case .failure(let damage): throw .unreadable(damage)
        }
    }

    private static func closed(
        _ writer: consuming PackWriter, _ faults: Int, random: Salt
    ) -> Result<(Pack, Int)?, ObjectDamage> {
        do throws(ObjectDamage) {
            return .success((try writer.finish(random: random), faults))
        } catch { return .failure(error) }
    }
}
