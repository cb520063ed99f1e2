internal import Mesh

/// Which cells of a volume the log changed, by ranges of indexes: what a replica that was away
/// since one of them lacks (protocol-rules 7).
///
/// Its cells are fine ones (`CellMap.Grain.fine`), for incremental backups go by it as well.
///
/// A few ranges only. The two that are joined when there are too many are those whose joint length
/// is least beside their age, so the ranges grow with age: whoever was away for n entries is told of
/// what the last 2n or so changed, however large n is.
struct ChangeRing: Hashable, Sendable {
    static let rangesMax = 8

    struct Span: Hashable, Sendable {
        /// The range ends here; it begins behind the end of the one before.
        var through: LogIndex
        var cells: CellMap
    }

    /// Nothing is known of what lies at or below.
    private(set) var knownAbove: LogIndex
    /// Rising; the last one is still growing.
    private(set) var spans: [Span] = []
    /// The next change begins a range.
    private var isClosed = true

    init(knownAbove: LogIndex) { self.knownAbove = knownAbove }

    init?(knownAbove: LogIndex, spans: [Span]) {
        var before = knownAbove
        for span in spans {
            guard span.through > before else { return nil }
            before = span.through
        }
        guard spans.count <= Self.rangesMax else { return nil }
        (self.knownAbove, self.spans) = (knownAbove, spans)
    }

    mutating func note(_ range: Range<UInt64>, of byteCount: UInt64, at index: LogIndex) {
        if isClosed || spans.isEmpty {
            spans.append(Span(through: index, cells: CellMap(byteCount: byteCount, .fine)))
            isClosed = false
            if spans.count > Self.rangesMax { joinTwo() }
        }
        spans[spans.count - 1].through = index
        spans[spans.count - 1].cells.insert(range)
    }

    /// The same account of the volume grown.
    func grown(to byteCount: UInt64) -> ChangeRing {
        var grown = self
        for at in spans.indices { grown.spans[at].cells = spans[at].cells.grown(to: byteCount) }
        return grown
    }

    /// With each checkpoint: a replica's own account begins at one.
    mutating func close() { isClosed = true }

    private mutating func joinTwo() {
        let newest = spans[spans.count - 1].through
        var best = (at: 0, cost: Double.infinity)
        for at in 0..<spans.count - 2 {
            let start = at == 0 ? knownAbove : spans[at - 1].through
            let length = Double(spans[at + 1].through.distance(above: start))
            let age = Double(newest.distance(above: spans[at + 1].through)) + 1
            if length / age < best.cost { best = (at, length / age) }
        }
        spans[best.at + 1].cells.formUnion(spans[best.at].cells)
        spans.remove(at: best.at)
    }

    /// At least the cells that entries above `index` changed; nil if that is not known.
    func changed(since index: LogIndex, of byteCount: UInt64) -> CellMap? {
        guard index >= knownAbove else { return nil }
        var cells = CellMap(byteCount: byteCount, .fine)
        for span in spans where span.through > index { cells.formUnion(span.cells) }
        return cells
    }

    /// Whether no entry above `index` changed any of it; false if that is not known.
    func leftAlone(_ range: Range<UInt64>, since index: LogIndex) -> Bool {
        index >= knownAbove
            && spans.allSatisfy { span in
                guard span.through > index, range.lowerBound < span.cells.byteCount else {
                    return true
                }
                let known = range.clamped(to: 0..<span.cells.byteCount)
                let first = span.cells.run(at: known.lowerBound, in: known)
                return !first.isSet && first.end >= known.upperBound
            }
    }

    func encode(_ grain: CellMap.Grain, into bytes: inout [UInt8]) {
        bytes.append(name: knownAbove)
        bytes.append(littleEndian: UInt8(spans.count))
        for span in spans {
            bytes.append(name: span.through)
            span.cells.regrained(grain).encode(into: &bytes)
        }
    }

    /// nil for what `encode` did not write.
    init?(byteCount: UInt64, _ grain: CellMap.Grain, _ reader: inout ByteReader) {
        do throws(ByteReader.Truncated) {
            let knownAbove: LogIndex = try reader.name()
            var spans: [Span] = []
            let count = Int(try reader.u8())
            // Each may hold a map a thousand times as long as what says so.
            guard count <= Self.rangesMax, knownAbove <= .countMax else { return nil }
            for _ in 0..<count {
                let through: LogIndex = try reader.name()
                guard through <= .countMax else { return nil }
                guard let cells = CellMap(byteCount: byteCount, grain: grain, &reader) else {
                    return nil
                }
                spans.append(Span(through: through, cells: cells.regrained(.fine)))
            }
            self.init(knownAbove: knownAbove, spans: spans)
        } catch { return nil }
    }
}
