internal import Mesh

/// Cells that follow each other, and what a map says of each of them.
package struct CellRun: Hashable, Sendable {
    /// One cell where it is stored; cells that are holes or zeros come in long runs.
    package let cells: Range<UInt64>
    package let slot: Slot
}

extension VolumeMap {
    /// Tells of all of `cells` in their order. Reads the nodes above them and no others.
    package func forEach(
        in cells: Range<UInt64>, nodes: inout some MapNodes,
        _ tell: (CellRun) throws -> Void
    ) throws {
        invariant(cells.upperBound <= cellCount, "cells \(cells) of \(cellCount)")
        try Self.walk(top, level: level, from: 0, cells, &nodes, tell)
    }

    private static func walk(
        _ slot: Slot, level: Int, from first: UInt64, _ wanted: Range<UInt64>,
        _ nodes: inout some MapNodes, _ tell: (CellRun) throws -> Void
    ) throws {
        let span = span(ofSlotAt: level)
        let own = wanted.clamped(to: first..<first + span * UInt64(MapNode.slotCount))
        guard !own.isEmpty else { return }
        guard case .stored = slot else { return try tell(CellRun(cells: own, slot: slot)) }
        for (at, slot) in try nodes.slots(of: slot, level: level).enumerated() {
            let start = first + UInt64(at) * span
            let part = own.clamped(to: start..<start + span)
            if part.isEmpty { continue }
            if level == 0 {
                try tell(CellRun(cells: part, slot: slot))
            } else {
                try walk(slot, level: level - 1, from: start, part, &nodes, tell)
            }
        }
    }

    /// Tells of all cells in which this map and an older one differ, in their order, with what this one says
    /// of them. What both agree in is not read; an older volume that was shorter had holes there.
    package func forEachChange(
        since older: VolumeMap, nodes: inout some MapNodes,
        _ tell: (CellRun) throws -> Void
    ) throws {
        let mine = Subtree(slot: top, level: level)
        let theirs = Subtree(slot: older.top, level: older.level)
        try compare(mine, theirs, level: max(level, older.level), from: 0, &nodes, tell)
    }

    private func compare(
        _ mine: Subtree, _ theirs: Subtree, level: Int, from first: UInt64,
        _ nodes: inout some MapNodes, _ tell: (CellRun) throws -> Void
    ) throws {
        let span = Self.span(ofSlotAt: level)
        let new = try mine.children(at: level, in: &nodes)
        let old = try theirs.children(at: level, in: &nodes)
        for (at, (new, old)) in zip(new, old).enumerated() where new != old {
            let start = first + UInt64(at) * span
            if start >= cellCount { break }
            if new.isWhole(at: level - 1), old.isWhole(at: level - 1) {
                let end = min(start + span, cellCount)
                try tell(CellRun(cells: start..<end, slot: new.slot))
            } else if level == 0 {
                try tell(CellRun(cells: start..<start + 1, slot: new.slot))
            } else {
                try compare(new, old, level: level - 1, from: start, &nodes, tell)
            }
        }
    }
}

/// A slot and the level of the node that it stands for, which may lie deeper than where it is looked at:
/// maps of volumes of different sizes have tops at different levels.
private struct Subtree: Hashable {
    let slot: Slot
    let level: Int

    /// Whether it says the same of all cells below a slot of the level above `level`.
    func isWhole(at level: Int) -> Bool {
        switch slot {
        case .hole: true
        case .zeros: self.level == level
        case .stored: false
        }
    }

    /// What the slots of a node at `level` would stand for.
    func children(at level: Int, in nodes: inout some MapNodes) throws -> [Subtree] {
        guard level > self.level else {
            return try nodes.slots(of: slot, level: level)
                .map { Subtree(slot: $0, level: level - 1) }
        }
        let hole = Subtree(slot: .hole, level: level - 1)
        return [slot == .hole ? hole : self]
            + [Subtree](repeating: hole, count: MapNode.slotCount - 1)
    }
}
