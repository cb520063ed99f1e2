internal import Mesh

/// A set of a volume's cells, one bit each, so that it stays small enough to be written whole with
/// every checkpoint: which cells of an image hold bytes, which were changed, which are missing.
struct CellMap: Hashable, Sendable {
    /// How small cells are at least, and how many there are at most: larger volumes have larger cells.
    enum Grain: Hashable, Sendable {
        /// What an image holds and lacks: maps of 128 KiB at most.
        case usual
        /// What was changed: an incremental backup reads all of a cell of which 4 KiB changed. Maps of 256 KiB at most.
        case fine

        var cellByteCountMin: UInt64 {
            switch self {
            case .usual: 64 << 10
            case .fine: 16 << 10
            }
        }

        var cellCountMax: UInt64 {
            switch self {
            case .usual: 1 << 20
            case .fine: 1 << 21
            }
        }
    }

    let byteCount: UInt64
    let grain: Grain
    let cellByteCount: UInt64
    private(set) var bits: [UInt8]

    static func cellByteCount(of byteCount: UInt64, _ grain: Grain = .usual) -> UInt64 {
        var cell = grain.cellByteCountMin
        while byteCount / cell >= grain.cellCountMax { cell *= 2 }
        return cell
    }

    static func mapByteCount(of byteCount: UInt64, _ grain: Grain = .usual) -> Int {
        let cell = cellByteCount(of: byteCount, grain)
        let cells = byteCount / cell + (byteCount % cell == 0 ? 0 : 1)
        return Int((cells + 7) / 8)
    }

    init(byteCount: UInt64, _ grain: Grain = .usual) {
        (self.byteCount, self.grain) = (byteCount, grain)
        cellByteCount = Self.cellByteCount(of: byteCount, grain)
        bits = [UInt8](repeating: 0, count: Self.mapByteCount(of: byteCount, grain))
    }

    /// The map whole, one bit a cell; nil where it names a cell that there is not.
    init?(byteCount: UInt64, _ grain: Grain = .usual, bits: [UInt8]) {
        self.init(byteCount: byteCount, grain)
        guard bits.count == self.bits.count else { return nil }
        let spare = UInt64(bits.count) * 8 - cellCount
        guard bits.last.map({ UInt64($0.leadingZeroBitCount) >= spare }) ?? true else { return nil }
        self.bits = bits
    }

    private var cellCount: UInt64 { (byteCount + cellByteCount - 1) / cellByteCount }
    private func isSet(_ cell: UInt64) -> Bool { bits[Int(cell / 8)] & 1 << (cell % 8) != 0 }

    /// Whether the byte at `offset` lies in a cell of the set.
    func holds(_ offset: UInt64) -> Bool { isSet(offset / cellByteCount) }

    /// The cell in which the byte at `offset` lies.
    func cell(at offset: UInt64) -> Range<UInt64> {
        let start = offset / cellByteCount * cellByteCount
        return start..<min(start + cellByteCount, byteCount)
    }

    /// Takes in every cell that `range` touches.
    mutating func insert(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        for cell in range.lowerBound / cellByteCount...(range.upperBound - 1) / cellByteCount {
            bits[Int(cell / 8)] |= 1 << (cell % 8)
        }
    }

    /// Drops every cell that `range` covers whole.
    mutating func remove(_ range: Range<UInt64>) {
        let first = (range.lowerBound + cellByteCount - 1) / cellByteCount
        let end = range.upperBound == byteCount ? cellCount : range.upperBound / cellByteCount
        guard first < end else { return }
        for cell in first..<end { bits[Int(cell / 8)] &= ~(1 << (cell % 8)) }
    }

    /// Whether the byte at `offset` lies in a cell of the set, and up to where that answer holds.
    func run(at offset: UInt64, in range: Range<UInt64>) -> (isSet: Bool, end: UInt64) {
        var cell = offset / cellByteCount
        let isSet = isSet(cell)
        let filler: UInt8 = isSet ? 0xff : 0
        repeat {
            cell += 1
            // Whole bytes at a time: a terabyte's map is walked in a moment.
            while cell % 8 == 0, cell * cellByteCount < range.upperBound,
                bits[Int(cell / 8)] == filler
            {
                cell += 8
            }
        } while cell * cellByteCount < range.upperBound && self.isSet(cell) == isSet
        return (isSet, min(cell * cellByteCount, range.upperBound))
    }

    /// The first stretch of the set at or above `offset`.
    func next(from offset: UInt64) -> Range<UInt64>? {
        guard offset < byteCount else { return nil }
        var run = run(at: offset, in: 0..<byteCount)
        var start = offset
        if !run.isSet {
            guard run.end < byteCount else { return nil }
            start = run.end
            run = self.run(at: start, in: 0..<byteCount)
        }
        return start..<run.end
    }

    /// All that is not in the set, in order.
    var gaps: [Range<UInt64>] {
        var gaps: [Range<UInt64>] = []
        var offset: UInt64 = 0
        while offset < byteCount {
            let run = run(at: offset, in: 0..<byteCount)
            if !run.isSet { gaps.append(offset..<run.end) }
            offset = run.end
        }
        return gaps
    }

    /// All that is in the set, in order.
    var ranges: [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        while let next = next(from: ranges.last?.upperBound ?? 0) { ranges.append(next) }
        return ranges
    }

    /// The same set of the volume grown. Cells may be larger there, and one is in it if a part of it was.
    func grown(to byteCount: UInt64) -> CellMap { redrawn(byteCount, grain) }

    /// The same bytes, and what else lies in the other cells that they touch.
    func regrained(_ grain: Grain) -> CellMap {
        guard grain != self.grain else { return self }
        return Self.cellByteCount(of: byteCount, grain) < cellByteCount
            ? redrawn(byteCount, grain) : joined(grain)
    }

    /// By larger cells. Bit by bit, for each checkpoint does it with maps of many short stretches.
    private func joined(_ grain: Grain) -> CellMap {
        var map = CellMap(byteCount: byteCount, grain)
        let cellsPerCell = Int(map.cellByteCount / cellByteCount)
        for (at, byte) in bits.enumerated() where byte != 0 {
            for bit in 0..<8 where byte >> bit & 1 == 1 {
                let cell = (at * 8 + bit) / cellsPerCell
                map.bits[cell / 8] |= 1 << (cell % 8)
            }
        }
        return map
    }

    private func redrawn(_ byteCount: UInt64, _ grain: Grain) -> CellMap {
        var map = CellMap(byteCount: byteCount, grain)
        for range in ranges { map.insert(range) }
        return map
    }

    /// What lies in cells of this set and did not in those of `old`, from before the volume grew.
    func added(to old: CellMap) -> [Range<UInt64>] {
        var added: [Range<UInt64>] = []
        for range in ranges {
            let before = range.clamped(to: 0..<old.byteCount)
            var offset = before.lowerBound
            while offset < before.upperBound {
                let run = old.run(at: offset, in: before)
                if !run.isSet { added.append(offset..<run.end) }
                offset = run.end
            }
            let behind = max(range.lowerBound, old.byteCount)
            if behind < range.upperBound { added.append(behind..<range.upperBound) }
        }
        return added
    }

    var isEmpty: Bool { bits.allSatisfy { $0 == 0 } }

    /// What the cells of the set hold together.
    var heldByteCount: UInt64 {
        let cells = bits.reduce(0) { $0 + UInt64($1.nonzeroBitCount) }
        guard byteCount > 0, isSet(cellCount - 1) else { return cells * cellByteCount }
        return cells * cellByteCount - (cellCount * cellByteCount - byteCount)
    }

    private func checkKin(_ other: CellMap) {
        invariant(
            other.byteCount == byteCount && other.grain == grain, "maps of one volume and one grain"
        )
    }

    mutating func formUnion(_ other: CellMap) {
        checkKin(other)
        for at in bits.indices { bits[at] |= other.bits[at] }
    }

    mutating func formIntersection(_ other: CellMap) {
        checkKin(other)
        for at in bits.indices { bits[at] &= other.bits[at] }
    }

    mutating func subtract(_ other: CellMap) {
        checkKin(other)
        for at in bits.indices { bits[at] &= ~other.bits[at] }
    }
}

/// On disk and on the wire: how many stretches u32, then the first cell u32 and how many cells u32
/// of each; or `wholeMap`, then the bits. The shorter of the two: most maps are nearly empty.
extension CellMap {
    private static let wholeMap = UInt32.max

    func encode(into bytes: inout [UInt8]) {
        var runs: [(first: UInt32, count: UInt32)] = []
        let runsMax = bits.count / 8
        var offset: UInt64 = 0
        while let run = next(from: offset), runs.count <= runsMax {
            let first = run.lowerBound / cellByteCount
            let end = (run.upperBound + cellByteCount - 1) / cellByteCount
            runs.append((UInt32(first), UInt32(end - first)))
            offset = run.upperBound
        }
        guard runs.count <= runsMax else {
            bytes.append(littleEndian: Self.wholeMap)
            bytes += bits
            return
        }
        bytes.append(littleEndian: UInt32(runs.count))
        for run in runs {
            bytes.append(littleEndian: run.first)
            bytes.append(littleEndian: run.count)
        }
    }

    /// nil for what `encode` did not write.
    init?(byteCount: UInt64, grain: Grain = .usual, _ reader: inout ByteReader) {
        do throws(ByteReader.Truncated) {
            let count = try reader.u32()
            guard count != Self.wholeMap else {
                let bits = try reader.take(Self.mapByteCount(of: byteCount, grain))
                self.init(byteCount: byteCount, grain, bits: bits)
                return
            }
            self.init(byteCount: byteCount, grain)
            var end: UInt64 = 0
            for _ in 0..<count {
                let first = UInt64(try reader.u32())
                let cells = UInt64(try reader.u32())
                guard first >= end, cells > 0, first + cells <= cellCount else { return nil }
                end = first + cells
                insert(first * cellByteCount..<min(end * cellByteCount, byteCount))
            }
        } catch { return nil }
    }
}
