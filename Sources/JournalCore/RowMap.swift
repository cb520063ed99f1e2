import Mesh
import Record

/// What a segment's index tells of its batches: enough to write each again but for its entries'
/// bytes. Looked into only where the segment itself is damaged.
struct RowMap: Sendable {
    private let segment: SegmentID
    private let index: [UInt8]
    // Both in the order of their places.
    private let entries: [IndexRow]
    private let frames: [IndexRow]

    /// `index` is the whole file, `rows` are what of it is whole.
    init(_ index: [UInt8], rows: [IndexRow], segment: SegmentID) {
        self.segment = segment
        self.index = index
        entries = Self.agreed(rows.filter { $0.kind == .entry })
        frames = rows.filter { $0.kind == .frame }.sorted { $0.offset < $1.offset }
    }

    /// One row a place. Two that disagree are both no row: which of them counts must not depend on which
    /// stands first, since an opening writes them anew.
    private static func agreed(_ rows: [IndexRow]) -> [IndexRow] {
        var agreed: [IndexRow] = []
        var rest = rows.sorted { $0.offset < $1.offset }[...]
        while let row = rest.first {
            let same = rest.prefix { $0.offset == row.offset }
            rest = rest.dropFirst(same.count)
            let isAgreed = same.allSatisfy {
                ($0.position, $0.length, $0.checksum) == (row.position, row.length, row.checksum)
            }
            if isAgreed { agreed.append(row) }
        }
        return agreed
    }

    /// Where the last batch ends that it knows.
    var end: Int { frames.last.map { Int($0.offset) + CommitFrame.byteCount } ?? 0 }

    func entry(at offset: Int) -> IndexRow? {
        let at = Self.first(entries, from: offset)
        return at < entries.count && Int(entries[at].offset) == offset ? entries[at] : nil
    }

    /// The first row at `offset` or behind it.
    private static func first(_ rows: [IndexRow], from offset: Int) -> Int {
        var (low, high) = (0, rows.count)
        while low < high {
            let middle = (low + high) / 2
            if Int(rows[middle].offset) < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Whether `found` stands where it was not written: the index has another end for a batch that
    /// would begin where this one does, or an entry where the frame stands.
    func contradicts(_ found: FoundFrame) -> Bool {
        let frame = Self.first(frames, from: found.frame.start)
        if frame < frames.count, Int(frames[frame].offset) < found.offset { return true }
        let entry = Self.first(entries, from: found.end) - 1
        guard entry >= 0 else { return false }
        return Int(entries[entry].offset) + Int(entries[entry].length) > found.offset
    }

    /// The batch that begins at `start` behind the frame of `chain`; nil where not all of it is known.
    func batch(at start: Int, chain: UInt32) -> Batch? {
        let rest = frames[Self.first(frames, from: start)...]
        guard let first = rest.first else { return nil }
        // A row of a former release has none of a frame's pieces behind it.
        for row in rest.prefix(while: { $0.offset == first.offset }) {
            if let batch = batch(at: start, chain: chain, closedBy: row) { return batch }
        }
        return nil
    }

    private func batch(at start: Int, chain: UInt32, closedBy row: IndexRow) -> Batch? {
        guard let standing = IndexPiece.standing(index, behind: row, of: segment) else {
            return nil
        }
        var own: [IndexRow] = []
        var offset = start
        while let next = entry(at: offset), next.length >= Entry.headerByteCount,
            offset + Int(next.length) <= Int(row.offset)
        {
            own.append(next)
            offset += Int(next.length)
        }
        let frame = CommitFrame(
            segment: segment, start: start, entryCount: own.count, previousChain: chain,
            last: row.position, batchChecksum: row.batchChecksum, standing: standing)
        let batch = Batch(
            frame: frame, frameOffset: Int(row.offset), chain: row.checksum, entries: own)
        // The frame's own checksum proves that nothing is missing and nothing is another's.
        var tail = [UInt8](repeating: 0, count: CommitFrame.byteCount)
        guard batch.isTiled, frame.encode(into: &tail, at: 0) == row.checksum else { return nil }
        return batch
    }
}

extension Batch {
    /// Whether its entries follow each other without a gap, in place and in index, and fill it.
    var isTiled: Bool {
        var offset = frame.start
        var before: Position?
        for row in entries {
            guard Int(row.offset) == offset, row.length <= Entry.byteCountMax,
                before.map({ row.position.index == $0.index.next && row.position.term >= $0.term })
                    ?? true
            else { return false }
            offset += Int(row.length)
            before = row.position
        }
        return CommitFrame.batchByteCount(recordsByteCount: offset - frame.start)
            == end - frame.start && before ?? frame.last == frame.last
    }

    /// The zeros behind the records, and the frame.
    var tail: [UInt8] {
        let start = entries.last.map { Int($0.offset) + Int($0.length) } ?? frame.start
        var bytes = [UInt8](repeating: 0, count: end - start)
        _ = frame.encode(into: &bytes, at: frameOffset - start)
        return bytes
    }

    var tailOffset: Int { end - tail.count }
}
