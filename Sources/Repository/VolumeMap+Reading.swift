internal import Mesh

/// Cells that follow each other, and what a map says of each of them.
package struct CellRun: Hashable, Sendable {
    /// One cell where it is stored; cells that are holes or zeros come in long runs.
    package let cells: Range<UInt64>
    package let slot: Slot

    /// An empty run, and one of several stored cells, are bugs of the caller.
    package init(_ cells: Range<UInt64>, _ slot: Slot) {
        let isLawful = if case .stored = slot { cells.count == 1 } else { !cells.isEmpty }
        invariant(isLawful, "a run of cells \(cells)")
        (self.cells, self.slot) = (cells, slot)
    }

    func covers(_ part: Range<UInt64>) -> Bool {
        cells.lowerBound <= part.lowerBound && part.upperBound <= cells.upperBound
    }
}

/// Two maps cut their volumes into cells of different lengths: nothing of them can be compared.
package struct CellsDiffer: Error, Hashable, Sendable, CustomStringConvertible {
    package let byteCounts: [UInt64]
    package var description: String {
        "one map has cells of \(byteCounts[0]) bytes, the other one of \(byteCounts[1])"
    }
}

extension VolumeMap {
    /// Tells of all of `cells` in their order. Reads the nodes above them and no others.
    package func forEach(
        in cells: Range<UInt64>, nodes: inout some MapNodes,
        _ tell: (CellRun) throws -> Void
    ) throws {
        invariant(cells.upperBound <= shape.cellCount, "cells \(cells) of \(shape.cellCount)")
        var last: CellRun?
        try Self.walk(top, level: level, from: 0, cells, &nodes) {
            try CellRun.join($0, $1, to: &last, tell)
        }
        if let last { try tell(last) }
    }

    private static func walk(
        _ slot: Slot, level: Int, from first: UInt64, _ wanted: Range<UInt64>,
        _ nodes: inout some MapNodes, _ tell: (Range<UInt64>, Slot) throws -> Void
    ) throws {
        let span = span(ofSlotAt: level)
        let own = wanted.clamped(to: first..<first + span * UInt64(MapNode.slotCount))
        guard !own.isEmpty else { return }
        guard case .stored = slot else { return try tell(own, slot) }
        for (at, slot) in try nodes.slots(of: slot, level: level).enumerated() {
            let start = first + UInt64(at) * span
            let part = own.clamped(to: start..<start + span)
            if part.isEmpty { continue }
            if level == 0 {
                try tell(part, slot)
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
        guard older.shape.cellByteCount == shape.cellByteCount else {
            throw CellsDiffer(byteCounts: [shape.cellByteCount, older.shape.cellByteCount])
        }
        let mine = Subtree(slot: top, level: level)
        let theirs = Subtree(slot: older.top, level: older.level)
        if mine == theirs { return }
        var last: CellRun?
        try compare(mine, theirs, level: max(level, older.level), from: 0, &nodes) {
            try CellRun.join($0, $1, to: &last, tell)
        }
        if let last { try tell(last) }
    }

    private func compare(
        _ mine: Subtree, _ theirs: Subtree, level: Int, from first: UInt64,
        _ nodes: inout some MapNodes, _ tell: (Range<UInt64>, Slot) throws -> Void
    ) throws {
        let span = Self.span(ofSlotAt: level)
        let new = try mine.children(at: level, in: &nodes)
        let old = try theirs.children(at: level, in: &nodes)
        for (at, (new, old)) in zip(new, old).enumerated() where new != old {
            let start = first + UInt64(at) * span
            if start >= shape.cellCount { break }
            if new.isWhole(at: level - 1), old.isWhole(at: level - 1) {
                try tell(start..<min(start + span, shape.cellCount), new.slot)
            } else if level == 0 {
                try tell(start..<start + 1, new.slot)
            } else {
                try compare(new, old, level: level - 1, from: start, &nodes, tell)
            }
        }
    }
}

extension CellRun {
    /// Makes long runs of cells that say the same and are not stored; tells of the last one once it is known to
    /// be whole.
    fileprivate static func join(
        _ cells: Range<UInt64>, _ slot: Slot, to last: inout CellRun?,
        _ tell: (CellRun) throws -> Void
    ) throws {
        guard let before = last else { return last = CellRun(cells, slot) }
        let isStored = if case .stored = slot { true } else { false }
        if !isStored, before.slot == slot, before.cells.upperBound == cells.lowerBound {
            last = CellRun(before.cells.lowerBound..<cells.upperBound, slot)
        } else {
            last = CellRun(cells, slot)
            try tell(before)
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
