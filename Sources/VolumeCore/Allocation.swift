internal import Mesh

/// Which cells of an image hold bytes: one bit a cell, so that it stays small enough to be written
/// whole with every checkpoint. A set bit promises nothing, a clear one that the cell reads zero.
struct Allocation: Hashable, Sendable {
    static let cellByteCountMin: UInt64 = 64 << 10
    /// Bounds a volume's map to 128 KiB; larger volumes have larger cells.
    static let cellCountMax: UInt64 = 1 << 20

    let byteCount: UInt64
    let cellByteCount: UInt64
    private(set) var bits: [UInt8]

    static func cellByteCount(of byteCount: UInt64) -> UInt64 {
        var cell = cellByteCountMin
        while byteCount / cell >= cellCountMax { cell *= 2 }
        return cell
    }

    static func mapByteCount(of byteCount: UInt64) -> Int {
        let cell = cellByteCount(of: byteCount)
        let cells = byteCount / cell + (byteCount % cell == 0 ? 0 : 1)
        return Int((cells + 7) / 8)
    }

    init(byteCount: UInt64) {
        self.byteCount = byteCount
        cellByteCount = Self.cellByteCount(of: byteCount)
        bits = [UInt8](repeating: 0, count: Self.mapByteCount(of: byteCount))
    }

    init(byteCount: UInt64, bits: [UInt8]) {
        self.init(byteCount: byteCount)
        invariant(bits.count == self.bits.count, "a map of \(bits.count) bytes")
        self.bits = bits
    }

    private func isSet(_ cell: UInt64) -> Bool { bits[Int(cell / 8)] & 1 << (cell % 8) != 0 }

    /// Bytes were written somewhere in `range`.
    mutating func allocate(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        for cell in range.lowerBound / cellByteCount...(range.upperBound - 1) / cellByteCount {
            bits[Int(cell / 8)] |= 1 << (cell % 8)
        }
    }

    /// All of `range` reads zero; a cell that it covers in part may still hold bytes.
    mutating func deallocate(_ range: Range<UInt64>) {
        let first = (range.lowerBound + cellByteCount - 1) / cellByteCount
        let end =
            range.upperBound == byteCount
            ? (byteCount + cellByteCount - 1) / cellByteCount : range.upperBound / cellByteCount
        guard first < end else { return }
        for cell in first..<end { bits[Int(cell / 8)] &= ~(1 << (cell % 8)) }
    }

    /// Whether the byte at `offset` may be other than zero, and up to where that answer holds.
    func run(at offset: UInt64, in range: Range<UInt64>) -> (isAllocated: Bool, end: UInt64) {
        var cell = offset / cellByteCount
        let isAllocated = isSet(cell)
        repeat {
            cell += 1
        } while cell * cellByteCount < range.upperBound
            && isSet(cell) == isAllocated
        return (isAllocated, min(cell * cellByteCount, range.upperBound))
    }
}
