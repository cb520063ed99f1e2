internal import Mesh

/// What became of one cell.
package struct CellChange: Hashable, Sendable {
    package let cell: UInt64
    package let slot: Slot
    package init(_ cell: UInt64, _ slot: Slot) { (self.cell, self.slot) = (cell, slot) }
}

extension VolumeMap {
    /// The map behind `changes`, which come in the order of their cells, each cell once, of a volume that has
    /// `cellCount` cells by now. Only nodes above what changed are read and made.
    package func changed(
        _ changes: [CellChange], cellCount: UInt64, in nodes: inout some MapNodes
    ) throws -> VolumeMap {
        invariant(
            zip(changes, changes.dropFirst()).allSatisfy { $0.cell < $1.cell }
                && changes.last.map { $0.cell < cellCount } ?? true, "changes of cells, in order")
        let level = Self.level(of: cellCount)
        let old = try slot(at: level, in: &nodes)
        var editor = Editor(nodes: nodes, cellCount: cellCount)
        defer { nodes = editor.nodes }
        // What lies behind the end of a volume that shrank is gone, also when it grows again.
        let top = try editor.edit(
            old, level: level, from: 0, changes[...], trims: cellCount < self.cellCount)
        return VolumeMap(cellCount: cellCount, top: top)
    }

    /// The slot that a map of that level would have on top.
    func slot(at wanted: Int, in nodes: inout some MapNodes) throws -> Slot {
        var (slot, level) = (top, self.level)
        while level > wanted {
            slot = try nodes.slots(of: slot, level: level)[0]
            level -= 1
        }
        while level < wanted {
            level += 1
            let rest = [Slot](repeating: .hole, count: MapNode.slotCount - 1)
            slot = try nodes.slot(for: [slot] + rest, level: level)
        }
        return slot
    }
}

private struct Editor<Nodes: MapNodes> {
    var nodes: Nodes
    let cellCount: UInt64

    mutating func edit(
        _ slot: Slot, level: Int, from first: UInt64, _ changes: ArraySlice<CellChange>,
        trims: Bool
    ) throws -> Slot {
        let span = VolumeMap.span(ofSlotAt: level)
        let reachesEnd = trims && cellCount < first + span * UInt64(MapNode.slotCount)
        if changes.isEmpty, !reachesEnd { return slot }
        var slots = try nodes.slots(of: slot, level: level)
        var rest = changes
        for at in slots.indices {
            let start = first + UInt64(at) * span
            if trims, start >= cellCount {
                slots[at] = .hole
                continue
            }
            let own = rest.prefix { $0.cell < start + span }
            rest = rest.dropFirst(own.count)
            if level > 0 {
                slots[at] = try edit(slots[at], level: level - 1, from: start, own, trims: trims)
            } else if let change = own.first {
                slots[at] = change.slot
            }
        }
        return try nodes.slot(for: slots, level: level)
    }
}
