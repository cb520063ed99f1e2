internal import Repository

/// What is to be done about the cells of a volume, part by part. Cells that can only be holes are not read.
struct CellPlan {
    enum Step: Hashable {
        case read(Range<UInt64>)
        case hole(Range<UInt64>)

        var read: Range<UInt64>? {
            if case .read(let cells) = self { cells } else { nil }
        }
    }

    /// Both in order, and without overlaps.
    let wanted: [Range<UInt64>]
    let allocated: [Range<UInt64>]
    let cellsPerPart: UInt64
    let cellsPerRead: UInt64

    /// The parts that hold anything wanted, in order; `first` before all others.
    func parts(first: UInt64?) -> [UInt64] {
        var parts: [UInt64] = []
        for range in wanted where !range.isEmpty {
            let own = range.lowerBound / cellsPerPart...(range.upperBound - 1) / cellsPerPart
            for part in own where parts.last.map({ $0 < part }) ?? true { parts.append(part) }
        }
        guard let first, let at = parts.firstIndex(of: first) else { return parts }
        parts.remove(at: at)
        return [first] + parts
    }

    func steps(of part: UInt64) -> [Step] {
        let bounds = part * cellsPerPart..<(part + 1) * cellsPerPart
        var steps: [Step] = []
        for range in Self.within(bounds, wanted) {
            var at = range.lowerBound
            for held in Self.within(range, allocated) {
                if at < held.lowerBound { steps.append(.hole(at..<held.lowerBound)) }
                at = held.lowerBound
                while at < held.upperBound {
                    let end = min((at / cellsPerRead + 1) * cellsPerRead, held.upperBound)
                    steps.append(.read(at..<end))
                    at = end
                }
            }
            if at < range.upperBound { steps.append(.hole(at..<range.upperBound)) }
        }
        return steps
    }

    /// The steps of a part, put together until they are as long as one read may be: what changed lies scattered, and to
    /// ask for each of it alone takes longer than to read it.
    func batches(of part: UInt64) -> [[Step]] {
        var batches: [[Step]] = []
        var left: UInt64 = 0
        for step in steps(of: part) {
            let count = UInt64(step.read?.count ?? 0)
            if batches.isEmpty || count > left {
                batches.append([step])
                left = cellsPerRead - min(count, cellsPerRead)
            } else {
                batches[batches.count - 1].append(step)
                left -= count
            }
        }
        return batches
    }

    /// What of `ranges` lies in `bounds`.
    private static func within(
        _ bounds: Range<UInt64>, _ ranges: [Range<UInt64>]
    ) -> [Range<UInt64>] {
        let first = ranges.partitionPoint { $0.upperBound > bounds.lowerBound }
        return ranges[first...].prefix { $0.lowerBound < bounds.upperBound }
            .map { $0.clamped(to: bounds) }.filter { !$0.isEmpty }
    }
}
