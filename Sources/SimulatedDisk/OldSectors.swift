internal import Mesh

/// What is on the platter of sectors that were written since: their old bytes, kept when the first
/// write comes.
struct OldSectors: Sendable {
    /// Neighbours that came together, with zeros where the file ended within.
    private struct Run {
        let sectors: Range<Int>
        /// In `bytes`.
        let start: Int
        /// In the file.
        var range: Range<Int> { sectors.lowerBound * size..<sectors.upperBound * size }
    }

    private static let size = SimulatedDisk.sectorByteCount

    private var told = SectorSet()
    private var runs: [Run] = []
    private var bytes: [UInt8] = []

    var isEmpty: Bool { runs.isEmpty }

    /// Keeps those of `range` which are not kept yet. `content` has what is on the platter of them.
    mutating func keep(_ range: Range<Int>, of content: ArraySlice<UInt8>) {
        var next = range.lowerBound
        while next < range.upperBound {
            let first = next
            while next < range.upperBound, !told.contains(next) { next += 1 }
            if first < next { add(first..<next, of: content) }
            next += 1
        }
    }

    private mutating func add(_ sectors: Range<Int>, of content: ArraySlice<UInt8>) {
        let run = Run(sectors: sectors, start: bytes.count)
        told.insert(sectors)
        runs.append(run)
        bytes += content[run.range.clamped(to: content.indices)]
        bytes.append(zeros: run.start + run.range.count - bytes.count)
    }

    /// Lays what is kept over `content`, which begins at `start` of the file.
    func lay(over content: inout [UInt8], from start: Int) {
        for run in runs {
            let part = run.range.clamped(to: start..<start + content.count)
            guard !part.isEmpty else { continue }
            let from = run.start + part.lowerBound - run.range.lowerBound
            content.replaceSubrange(
                part.lowerBound - start..<part.upperBound - start,
                with: bytes[from..<from + part.count])
        }
    }

    mutating func change(_ offset: Int, _ body: (inout UInt8) -> Void) {
        guard let run = runs.first(where: { $0.range.contains(offset) }) else { return }
        body(&bytes[run.start + offset - run.range.lowerBound])
    }

    mutating func removeAll() {
        told.removeAll()
        runs.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
    }

    /// Only those that are not `written` stay, and nothing of them from `end` on.
    mutating func keepOnly(besides written: SectorSet, before end: Int) {
        let former = self
        removeAll()
        for run in former.runs {
            for sector in run.sectors where !written.contains(sector) {
                let one = Run(sectors: sector..<sector + 1, start: bytes.count)
                let from = run.start + one.range.lowerBound - run.range.lowerBound
                let count = one.range.clamped(to: 0..<end).count
                told.insert(one.sectors)
                runs.append(one)
                bytes += former.bytes[from..<from + count]
                bytes.append(zeros: Self.size - count)
            }
        }
    }
}
