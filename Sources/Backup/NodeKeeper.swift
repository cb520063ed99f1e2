internal import Repository
internal import Sealing

/// The nodes of a map that is being made. What was made for a moment only is not stored: once a part of the volume is
/// done, what its map leads to counts, and the upper nodes, which the next part changes, wait for the end.
final class NodeKeeper: MapNodes {
    private let packer: Packer
    private let fetcher: BlobFetcher
    private let ids: IDKeys
    /// Made and not stored: those of the present part, and of level 2 and above, one for 64 GiB of usual cells.
    private var made: [Digest: [UInt8]] = [:]
    /// Stored with the first part, and perhaps durable nowhere yet. A volume that was cut changes there also behind that
    /// part, where later ones read; what a later part makes, no other one reads.
    private var first: [Digest: [UInt8]]?
    private var cache: [Digest: [UInt8]] = [:]
    private static let cachedMax = 256
    private static let upperLevel: UInt8 = 2

    init(_ keeper: BlobKeeper) {
        packer = Packer(keeper)
        fetcher = BlobFetcher(keeper.vault, keeper.catalog)
        ids = keeper.vault.ids
    }

    func node(_ id: Digest) throws -> [UInt8] {
        if let held = made[id] ?? first?[id] ?? cache[id] { return held }
        let plain = try fetcher.plain(id, .node)
        if cache.count >= Self.cachedMax { cache.removeAll(keepingCapacity: true) }
        cache[id] = plain
        return plain
    }

    func add(_ plain: [UInt8]) throws -> Digest {
        let id = ids.id(of: plain.span, .node)
        made[id] = plain
        return id
    }

    /// A part of the volume is done, and its lower nodes stay as they are in `map`.
    func settle(_ map: VolumeMap) throws(BackupFailure) {
        let kept = try reachable(from: map)
        var stored: [Digest: [UInt8]] = [:]
        made = [:]
        for (id, plain) in kept {
            if plain[0] >= Self.upperLevel {
                made[id] = plain
            } else {
                _ = try packer.add(plain.span, .node)
                stored[id] = plain
            }
        }
        if first == nil { first = stored }
    }

    /// The map stays, with all of its nodes.
    func finish(_ map: VolumeMap) throws(BackupFailure) {
        for (_, plain) in try reachable(from: map) { _ = try packer.add(plain.span, .node) }
        made = [:]
        try packer.flush()
    }

    /// Of what was made, in the order in which it is found.
    private func reachable(
        from map: VolumeMap
    ) throws(BackupFailure) -> [(id: Digest, plain: [UInt8])] {
        var (left, found): ([Slot], [(id: Digest, plain: [UInt8])]) = ([map.top], [])
        var seen: Set<Digest> = []
        while let slot = left.popLast() {
            guard case .stored(let id) = slot, let plain = made[id], seen.insert(id).inserted
            else { continue }
            found.append((id, plain))
            guard plain[0] > 0 else { continue }
            do throws(ObjectDamage) {
                left += try MapNode(parsing: plain, level: Int(plain[0])).slots
            } catch { throw .unreadable(error) }
        }
        return found
    }
}
