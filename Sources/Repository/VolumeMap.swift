internal import Mesh
package import Sealing

/// All cells of a volume at one moment: its topmost slot, from which everything else is found.
package struct VolumeMap: Hashable, Sendable {
    package let shape: VolumeShape
    package let top: Slot

    package init(_ shape: VolumeShape, top: Slot) { (self.shape, self.top) = (shape, top) }

    /// The level of the node that `top` stands for: 0 up to 256 cells, 1 up to 65,536, …
    var level: Int { shape.level }

    /// How many cells lie below one slot of a node of that level.
    static func span(ofSlotAt level: Int) -> UInt64 { 1 << (8 * UInt64(level)) }
}

/// How long a volume is, and into what it is cut. A volume that grows keeps its cells' length, or nothing of
/// it would be found again.
package struct VolumeShape: Hashable, Sendable {
    private static let usualCellByteCount: UInt64 = 16 << 10
    private static let largeCellByteCount: UInt64 = 64 << 10
    private static let largeByteCount: UInt64 = 256 << 30
    private static let cellByteCounts: ClosedRange<UInt64> = 4 << 10...1 << 20
    /// 2^48 cells are an exbibyte and more.
    static let levelsMax = 6
    package static let cellCountMax: UInt64 = 1 << (8 * UInt64(levelsMax))

    package let byteCount: UInt64
    package let cellByteCount: UInt64

    /// nil for a volume without bytes or with too many, and for cells of no power of two from 4 KiB to 1 MiB.
    package init?(byteCount: UInt64, cellByteCount: UInt64) {
        guard Self.cellByteCounts.contains(cellByteCount), cellByteCount.nonzeroBitCount == 1,
            byteCount > 0, (byteCount - 1) / cellByteCount < Self.cellCountMax
        else { return nil }
        (self.byteCount, self.cellByteCount) = (byteCount, cellByteCount)
    }

    /// Of a volume that was never backed up: larger cells where there would be very many.
    package init?(new byteCount: UInt64) {
        let isLarge = byteCount > Self.largeByteCount
        self.init(
            byteCount: byteCount,
            cellByteCount: isLarge ? Self.largeCellByteCount : Self.usualCellByteCount)
    }

    /// The last cell may reach behind the volume's end, where it is filled up with zeros.
    package var cellCount: UInt64 { (byteCount - 1) / cellByteCount + 1 }

    var level: Int {
        var level = 0
        while cellCount > VolumeMap.span(ofSlotAt: level + 1) { level += 1 }
        return level
    }
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
