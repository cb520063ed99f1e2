internal import Mesh

/// How many bytes lie above an index, without walking the log: running totals of every entry in
/// memory, and of the others one a step.
struct LogWeights: Hashable, Sendable {
    static var markBytes: Int { 256 << 10 }

    private struct Mark: Hashable, Sendable {
        let index: LogIndex
        let total: Int
    }

    /// The running total at the base.
    private var origin = 0
    /// The running total just below the tail, and then after each of its entries.
    private var tailStart: Int
    private var totals: [Int] = []
    /// Running totals below the tail, rising.
    private var marks: [Mark] = []

    init(untailed: Int) { tailStart = untailed }

    private var total: Int { totals.last ?? tailStart }

    mutating func append(_ byteCount: Int) { totals.append(total + byteCount) }

    /// `count` entries go from the tail's end, and perhaps more below it; `last` is what remains.
    mutating func removeLast(_ count: Int, leaving last: LogIndex) {
        totals.removeLast(count)
        guard totals.isEmpty else { return }
        // Rather too much than too little: up to the next mark above.
        if let above = marks.first(where: { $0.index >= last }) { tailStart = above.total }
        marks.removeAll { $0.index > last }
    }

    /// The tail's first `count` entries leave memory, the last of them `last`.
    mutating func evict(_ count: Int, upTo last: LogIndex) {
        guard count > 0 else { return }
        let first = LogIndex(last.rawValue + 1 - UInt64(count))
        for at in 0..<count where totals[at] - (marks.last?.total ?? origin) >= Self.markBytes {
            marks.append(Mark(index: first.advanced(by: at), total: totals[at]))
        }
        tailStart = totals[count - 1]
        totals.removeFirst(count)
    }

    /// What lies at or below `index` no longer counts.
    mutating func rebase(to index: LogIndex, tailFirst: LogIndex) {
        origin = total(at: index, tailFirst: tailFirst)
        marks.removeAll { $0.index <= index }
    }

    func byteCount(above index: LogIndex, tailFirst: LogIndex) -> Int {
        total - total(at: index, tailFirst: tailFirst)
    }

    private func total(at index: LogIndex, tailFirst: LogIndex) -> Int {
        if index >= tailFirst { return totals[Int(index.rawValue - tailFirst.rawValue)] }
        if index.next == tailFirst { return tailStart }
        var (low, high) = (0, marks.count)
        while low < high {
            let middle = (low + high) / 2
            if marks[middle].index <= index { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? marks[low - 1].total : origin
    }
}
