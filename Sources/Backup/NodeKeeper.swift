internal import Repository
internal import Sealing

/// The nodes of a map that is being made, part by part. What was made for a moment only is not stored: once a part is
/// done, what its map leads to counts, and the nodes above the parts, which the next one changes, wait for the end.
///
/// A part's own nodes are made once: no other part reads them.
final class NodeKeeper: MapNodes {
    private let packer: Packer
    private let fetcher: BlobFetcher
    private let ids: IDKeys
    private let partLevel: UInt8
    /// Made and not stored: those of the present part, and those above the parts.
    private var made: [Digest: [UInt8]] = [:]
    private var cache: [Digest: [UInt8]] = [:]
    private static let cachedMax = 256

    init(_ keeper: BlobKeeper, _ packer: Packer) {
        self.packer = packer
        fetcher = BlobFetcher(keeper.vault, keeper.catalog)
        ids = keeper.vault.ids
        partLevel = UInt8(keeper.vault.limits.partLevel)
    }

    func node(_ id: Digest) throws -> [UInt8] {
        if let held = made[id] ?? cache[id] { return held }
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

    /// A part of the volume is done, and its nodes stay as they are in `map`.
    func settle(_ map: VolumeMap) throws(BackupFailure) {
        let kept = try reachable(from: map)
        made = [:]
        for (id, plain) in kept {
            if plain[0] > partLevel {
                made[id] = plain
            } else {
                _ = try packer.add(plain.span, .node)
            }
        }
    }

    /// The map stays, with all of its nodes.
    func finish(_ map: VolumeMap) throws(BackupFailure) {
        for (_, plain) in try reachable(from: map) { _ = try packer.add(plain.span, .node) }
        made = [:]
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
