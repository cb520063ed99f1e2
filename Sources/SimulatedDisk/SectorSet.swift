internal import Mesh

/// Numbers of sectors, one bit each: a log's disk marks and clears them millions of times in a run.
struct SectorSet: Sendable {
    private var words: [UInt64] = []

    mutating func insert(_ sectors: Range<Int>) {
        guard !sectors.isEmpty else { return }
        let last = (sectors.upperBound - 1) / 64
        if words.count <= last {
            words.append(contentsOf: repeatElement(0, count: last + 1 - words.count))
        }
        for word in sectors.lowerBound / 64...last {
            let from = max(sectors.lowerBound - word * 64, 0)
            let count = min(sectors.upperBound - word * 64, 64) - from
            words[word] |= (count == 64 ? .max : (1 << UInt64(count)) - 1) << UInt64(from)
        }
    }

    func contains(_ sector: Int) -> Bool {
        sector / 64 < words.count && words[sector / 64] >> UInt64(sector % 64) & 1 != 0
    }

    /// Its room stays.
    mutating func removeAll() { words.removeAll(keepingCapacity: true) }

    /// In rising order.
    var sectors: [Int] { runs.flatMap { Array($0) } }

    /// Neighbours joined, in rising order.
    var runs: [Range<Int>] {
        var runs: [Range<Int>] = []
        for (word, bits) in words.enumerated() where bits != 0 {
            var left = bits
            while left != 0 {
                let from = left.trailingZeroBitCount
                let count = (~(left >> UInt64(from))).trailingZeroBitCount
                let run = word * 64 + from..<word * 64 + from + count
                runs.append(joining: run)
                if from + count >= 64 { break }
                left &= ~(((1 << UInt64(count)) - 1) << UInt64(from))
            }
        }
        return runs
    }
}
