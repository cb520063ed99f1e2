import Mesh

@testable import Repository

/// Makes the map of a volume from its cells in their order, in one pass: what every change of a map has to come to as well.
struct MapBuilder {
    private let shape: VolumeShape
    /// Of each level, the slots of the node that is not full yet.
    private var open: [[Slot]]
    private var told: UInt64 = 0

    init(_ shape: VolumeShape) {
        self.shape = shape
        open = [[Slot]](repeating: [], count: shape.level + 1)
    }

    /// The next `count` cells are all alike; more than one of them only where they are not stored.
    mutating func add(
        _ slot: Slot, count: UInt64 = 1, to nodes: inout some MapNodes
    ) throws {
        invariant(count <= shape.cellCount - told, "no more cells than the volume has")
        if case .stored = slot { invariant(count <= 1, "a stored cell is one") }
        var left = count
        while left > 0 {
            let level = room(left)
            open[level].append(slot)
            let span = VolumeMap.span(ofSlotAt: level)
            (told, left) = (told + span, left - span)
            try close(level, &nodes)
        }
    }

    /// The highest level at which one slot can stand for cells to come, of which there are `left`.
    private func room(_ left: UInt64) -> Int {
        var level = 0
        while level + 1 < open.count, open[level].isEmpty,
            VolumeMap.span(ofSlotAt: level + 1) <= left
        {
            level += 1
        }
        return level
    }

    private mutating func close(_ level: Int, _ nodes: inout some MapNodes) throws {
        var level = level
        while open[level].count == MapNode.slotCount, level + 1 < open.count {
            let slot = try nodes.slot(for: open[level], level: level)
            open[level].removeAll(keepingCapacity: true)
            level += 1
            open[level].append(slot)
        }
    }

    /// All cells have been told.
    consuming func finish(in nodes: inout some MapNodes) throws -> VolumeMap {
        invariant(told == shape.cellCount, "\(told) of \(shape.cellCount) cells were told")
        for level in open.indices.dropLast() where !open[level].isEmpty {
            fill(level)
            open[level + 1].append(try nodes.slot(for: open[level], level: level))
        }
        fill(open.count - 1)
        let top = try nodes.slot(for: open[open.count - 1], level: open.count - 1)
        return VolumeMap(shape, top: top)
    }

    /// Behind the volume's end there are holes.
    private mutating func fill(_ level: Int) {
        let missing = MapNode.slotCount - open[level].count
        open[level] += [Slot](repeating: .hole, count: missing)
    }
}
