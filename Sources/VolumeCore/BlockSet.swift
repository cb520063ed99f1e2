internal import Mesh

/// Some blocks of a volume, rising: those that are damaged. Bounded; what finds no room is found again
/// when it is next read, since nothing passes for it.
struct BlockSet: Hashable, Sendable {
    private(set) var blocks: [UInt64] = []

    init() {}

    /// nil for what is no such set.
    init?(_ blocks: [UInt64], of byteCount: UInt64) {
        guard blocks.count <= VolumeLimits.damagedBlocksMax,
            zip(blocks, blocks.dropFirst()).allSatisfy({ $0 < $1 }),
            blocks.last.map({ $0 <= byteCount / BlockSum.blockByteCount }) ?? true,
            blocks.last.map({ $0 * BlockSum.blockByteCount < byteCount }) ?? true
        else { return nil }
        self.blocks = blocks
    }

    var isEmpty: Bool { blocks.isEmpty }
    var count: Int { blocks.count }

    private func place(of block: UInt64) -> Int {
        var (low, high) = (0, blocks.count)
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle] < block { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func contains(_ block: UInt64) -> Bool {
        let place = place(of: block)
        return place < blocks.count && blocks[place] == block
    }

    /// False where it is known already, or there is no room.
    mutating func insert(_ block: UInt64) -> Bool {
        let place = place(of: block)
        guard place == blocks.count || blocks[place] != block,
            blocks.count < VolumeLimits.damagedBlocksMax
        else { return false }
        blocks.insert(block, at: place)
        return true
    }

    mutating func remove(_ range: Range<UInt64>) {
        guard !blocks.isEmpty else { return }
        blocks.removeSubrange(place(of: range.lowerBound)..<place(of: range.upperBound))
    }

    /// Neighbours joined, as bytes of a volume so long.
    func ranges(of byteCount: UInt64) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        for block in blocks {
            let start = block * BlockSum.blockByteCount
            let end = min(start + BlockSum.blockByteCount, byteCount)
            ranges.append(joining: start..<end)
        }
        return ranges
    }
}
