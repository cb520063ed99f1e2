internal import NIOConcurrencyHelpers
package import Repository
internal import Sealing

extension BackupReader {
    /// Brings a target to what the map says, whatever it holds. What it holds is named as a backup names it, and stays where it is
    /// what the map names there; all else is fetched, or made zeros. Returns how many bytes stayed.
    package func complete(
        _ map: VolumeMap, in target: some HeldTarget, keeping: (UInt64) -> Void = { _ in }
    ) throws(BackupFailure) -> UInt64 {
        let held = SortedRanges(try target.held())
        guard !held.ranges.isEmpty else {
            try restore(map, to: target)
            return 0
        }
        // All of it first: what it gives back may be the room that is needed.
        for cells in windows(0..<map.shape.cellCount) {
            try clear(try stored(map, cells), cells, map.shape, held, target)
        }
        var kept: UInt64 = 0
        for cells in windows(0..<map.shape.cellCount) {
            let stored = try stored(map, cells)
            let lacking = try lacking(stored, map.shape, held, target)
            let own = UInt64(stored.count - lacking.count) * map.shape.cellByteCount
            keeping(own)
            kept += own
            try fetch(lacking, map.shape, target)
        }
        return min(kept, map.shape.byteCount)
    }

    /// Makes zeros of what is held between those cells.
    private func clear(
        _ stored: [StoredCell], _ cells: Range<UInt64>, _ shape: VolumeShape,
        _ held: SortedRanges, _ target: some HeldTarget
    ) throws(BackupFailure) {
        var at = cells.lowerBound
        for next in stored.map(\.cell) + [cells.upperBound] {
            if at < next {
                for range in held.parts(of: shape.bytes(of: at..<next)) { try target.zero(range) }
            }
            at = next + 1
        }
    }

    /// Those of the cells that are not held as the map names them.
    private func lacking(
        _ stored: [StoredCell], _ shape: VolumeShape, _ held: SortedRanges,
        _ target: some HeldTarget
    ) throws(BackupFailure) -> [StoredCell] {
        let step = Self.cellsPerCheck
        let slices = stride(from: 0, to: stored.count, by: step).map {
            stored[$0..<min($0 + step, stored.count)]
        }
        let found = NIOLockedValueBox([[StoredCell]](repeating: [], count: slices.count))
        try workers.perform(slices.count) { item, _ throws(BackupFailure) in
            var lacking: [StoredCell] = []
            for cell in slices[item] where try !self.holds(cell, shape, held, target) {
                lacking.append(cell)
            }
            found.withLockedValue { [lacking] in $0[item] = lacking }
        }
        return found.withLockedValue { $0.flatMap(\.self) }
    }

    private static let cellsPerCheck = 256

    private func holds(
        _ cell: StoredCell, _ shape: VolumeShape, _ held: SortedRanges,
        _ target: some HeldTarget
    ) throws(BackupFailure) -> Bool {
        let range = shape.bytes(of: cell.cell..<cell.cell + 1)
        // What is stored is not all zeros.
        guard held.touches(range) else { return false }
        var plain = try target.read(range)
        plain += [UInt8](repeating: 0, count: Int(shape.cellByteCount) - plain.count)
        let epoch = try fetcher.location(of: cell.id, .cell).pack.epoch
        guard let ids = try? vault.ids(epoch) else { return false }
        return ids.id(of: plain.span, .cell) == cell.id
    }
}

/// Ranges in order, none of which meets another.
struct SortedRanges: Sendable {
    let ranges: [Range<UInt64>]

    init(_ ranges: [Range<UInt64>]) { self.ranges = ranges }

    func touches(_ range: Range<UInt64>) -> Bool {
        let first = first(behind: range.lowerBound)
        return first < ranges.count && ranges[first].lowerBound < range.upperBound
    }

    func parts(of range: Range<UInt64>) -> [Range<UInt64>] {
        ranges[first(behind: range.lowerBound)...].prefix { $0.lowerBound < range.upperBound }
            .map { $0.clamped(to: range) }
    }

    /// The first one that ends behind that place.
    private func first(behind place: UInt64) -> Int {
        ranges.partitionPoint { $0.upperBound > place }
    }
}
