internal import Mesh
package import Sealing

/// All cells of a volume at one moment: its topmost slot, from which everything else is found.
package struct VolumeMap: Hashable, Sendable {
    /// 2^48 cells are an exbibyte and more.
    package static let levelsMax = 6
    package static let cellCountMax: UInt64 = 1 << (8 * UInt64(levelsMax))

    package let cellCount: UInt64
    package let top: Slot

    package init(cellCount: UInt64, top: Slot) {
        invariant(
            (1...Self.cellCountMax).contains(cellCount), "a volume of \(cellCount) cells")
        (self.cellCount, self.top) = (cellCount, top)
    }

    /// Of a volume to which nothing was written yet.
    package static func empty(cellCount: UInt64) -> VolumeMap {
        VolumeMap(cellCount: cellCount, top: .hole)
    }

    /// The level of the node that `top` stands for: 0 up to 256 cells, 1 up to 65,536, …
    package var level: Int { Self.level(of: cellCount) }

    static func level(of cellCount: UInt64) -> Int {
        var level = 0
        while cellCount > span(ofSlotAt: level + 1) { level += 1 }
        return level
    }

    /// How many cells lie below one slot of a node of that level.
    static func span(ofSlotAt level: Int) -> UInt64 { 1 << (8 * UInt64(level)) }
}

/// Whoever has the nodes of maps, and takes new ones.
package protocol MapNodes {
    /// The plain text of that node.
    mutating func node(_ id: Digest) throws -> [UInt8]
    /// Takes a node, which may be there already, and says how it is called.
    mutating func add(_ plain: [UInt8]) throws -> Digest
}

extension MapNodes {
    /// The slots of the node of `level` that `slot` stands for.
    mutating func slots(of slot: Slot, level: Int) throws -> [Slot] {
        guard case .stored(let id) = slot else {
            return [Slot](repeating: slot, count: MapNode.slotCount)
        }
        return try MapNode(parsing: node(id), level: level).slots
    }

    /// The slot that stands for all of these.
    mutating func slot(for slots: [Slot], level: Int) throws -> Slot {
        if let whole = MapNode.whole(slots) { return whole }
        return .stored(try add(MapNode(level: level, slots: slots).encoded))
    }
}
