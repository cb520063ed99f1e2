internal import Mesh

/// Where the old bytes of a volume's blocks lie in the room.
///
/// In shards, for a map that doubles moves all that it holds, and clients wait meanwhile.
struct KeptBlocks: Sendable {
    struct Place: Hashable, Sendable {
        /// `lost` for what was damaged when it was written over: what it was is known nowhere.
        let slot: UInt32
        let sum: BlockSum

        static let lost = Place(slot: .max, sum: .none)
        var isLost: Bool { slot == .max }
    }
    /// Numbers of blocks fit 32 bits, since volumes have at most 2^31 of them.
    typealias Shard = [UInt32: Place]

    static let shardCount: UInt64 = 64
    private(set) var shards = [Shard](repeating: [:], count: Int(shardCount))
    /// Those that take a slot.
    private(set) var slotCount = 0

    subscript(block: UInt64) -> Place? {
        shards[Int(block % Self.shardCount)][UInt32(truncatingIfNeeded: block)]
    }

    mutating func keep(_ place: Place, of block: UInt64) {
        let old = shards[Int(block % Self.shardCount)].updateValue(
            place, forKey: UInt32(truncatingIfNeeded: block))
        invariant(old == nil, "block \(block) was kept before")
        if !place.isLost { slotCount += 1 }
    }

    /// From now on nothing is known of it. Gives its slot back.
    mutating func lose(_ block: UInt64) -> UInt32? {
        let old = shards[Int(block % Self.shardCount)].updateValue(
            .lost, forKey: UInt32(truncatingIfNeeded: block))
        guard let old, !old.isLost else { return nil }
        slotCount -= 1
        return old.slot
    }

    /// Takes over what a newer one keeps of `wanted` blocks and this one does not. Gives back what is of no use.
    mutating func merge(_ newer: KeptBlocks, of wanted: (UInt64) -> Bool) -> [UInt32] {
        // What is larger stays as it is: so long clients wait.
        let isLarger = newer.slotCount > slotCount
        var spare: [UInt32] = []
        for at in shards.indices {
            let (own, new) = (shards[at], newer.shards[at])
            shards[at] = [:]
            var merged = isLarger ? new : own
            for (block, place) in new where own[block] != nil || !wanted(UInt64(block)) {
                if isLarger { merged[block] = nil }
                if !place.isLost { spare.append(place.slot) }
            }
            for (block, place) in isLarger ? own : new
            where isLarger || own[block] == nil && wanted(UInt64(block)) { merged[block] = place }
            shards[at] = merged
        }
        slotCount += newer.slotCount - spare.count
        return spare
    }
}
