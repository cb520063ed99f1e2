internal import Mesh

/// What became of a volume since a map of it was made.
package struct VolumeChange: Sendable {
    /// In the order of their cells, no cell twice.
    package let runs: [CellRun]
    package let shape: VolumeShape
    /// Of how few bytes it was meanwhile: what lay behind that is gone, also where it grew again.
    package let byteCountMin: UInt64

    /// Runs that are out of order, or of cells that the volume does not have, are bugs of the caller.
    package init(_ runs: [CellRun], shape: VolumeShape, byteCountMin: UInt64) {
        invariant(
            zip(runs, runs.dropFirst()).allSatisfy {
                $0.cells.upperBound <= $1.cells.lowerBound
            } && runs.last.map { $0.cells.upperBound <= shape.cellCount } ?? true,
            "changes of a volume's cells, in their order")
        invariant(byteCountMin <= shape.byteCount, "no more than it has by now")
        (self.runs, self.shape, self.byteCountMin) = (runs, shape, byteCountMin)
    }

    /// The first cell of which nothing is left but what changed; `byteCountMin` lies at its beginning or, where
    /// that cell was cut, within the one before.
    fileprivate var firstGone: UInt64 {
        byteCountMin == 0 ? 0 : (byteCountMin - 1) / shape.cellByteCount + 1
    }

    /// Whether the cell that was cut is among what changed.
    fileprivate var tellsOfCut: Bool {
        guard byteCountMin % shape.cellByteCount != 0 else { return true }
        let cut = byteCountMin / shape.cellByteCount
        let at = runs.partitionPoint { $0.cells.upperBound > cut }
        return at < runs.count && runs[at].cells.contains(cut)
    }
}

extension VolumeMap {
    /// The map behind `change`. Only nodes above what changed are read and made.
    ///
    /// A cell that the volume's end cut, and that has bytes behind it, has to be among what changed: its bytes
    /// are others now. The length of cells can't change.
    package func changed(_ change: VolumeChange, in nodes: inout some MapNodes) throws -> VolumeMap
    {
        invariant(
            change.shape.cellByteCount == shape.cellByteCount, "cells keep their length")
        invariant(
            change.byteCountMin >= shape.byteCount || change.tellsOfCut,
            "a cell that the volume's end cut has changed")
        let gone = change.firstGone < shape.cellCount ? change.firstGone..<UInt64.max : nil
        let editor = Editor(gone: gone, cellCount: change.shape.cellCount)
        let level = change.shape.level
        let old = try slot(at: level, in: &nodes)
        let top = try editor.edit(old, level: level, from: 0, change.runs[...], &nodes)
        return VolumeMap(change.shape, top: top)
    }

    /// The slot that a map of that level would have on top.
    private func slot(at wanted: Int, in nodes: inout some MapNodes) throws -> Slot {
        var (slot, level) = (top, self.level)
        while level > wanted {
            slot = try nodes.slots(of: slot, level: level)[0]
            level -= 1
        }
        while level < wanted {
            if slot == .hole { return slot }
            level += 1
            let rest = [Slot](repeating: .hole, count: MapNode.slotCount - 1)
            slot = try nodes.slot(for: [slot] + rest, level: level)
        }
        return slot
    }
}

private struct Editor {
    let gone: Range<UInt64>?
    let cellCount: UInt64

    /// Whether all of those cells that there are have changed: what a node said of them does not matter, and one that
    /// can't be read is no loss.
    private func areAll(_ cells: Range<UInt64>, in runs: ArraySlice<CellRun>) -> Bool {
        let end = min(cells.upperBound, cellCount)
        var next = cells.lowerBound
        for run in runs {
            guard next < end, run.cells.lowerBound <= next else { break }
            next = run.cells.upperBound
        }
        return next >= end
    }

    func edit(
        _ slot: Slot, level: Int, from first: UInt64, _ runs: ArraySlice<CellRun>,
        _ nodes: inout some MapNodes
    ) throws -> Slot {
        let span = VolumeMap.span(ofSlotAt: level)
        let own = first..<first + span * UInt64(MapNode.slotCount)
        if runs.isEmpty, slot == .hole || gone.map({ !$0.overlaps(own) }) ?? true { return slot }
        var slots =
            areAll(own, in: runs)
            ? [Slot](repeating: .hole, count: MapNode.slotCount)
            : try nodes.slots(of: slot, level: level)
        var rest = runs
        for at in slots.indices {
            let start = first + UInt64(at) * span
            let part = start..<start + span
            if let gone, gone.lowerBound <= start { slots[at] = .hole }
            rest = rest.drop { $0.cells.upperBound <= start }
            let changes = rest.prefix { $0.cells.lowerBound < part.upperBound }
            if let only = changes.first, only.covers(part) {
                slots[at] = only.slot
            } else if level > 0 {
                slots[at] = try edit(slots[at], level: level - 1, from: start, changes, &nodes)
            }
        }
        return try nodes.slot(for: slots, level: level)
    }
}
