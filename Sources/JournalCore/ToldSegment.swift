internal import Mesh
package import Record

/// What an index lets one write again of its segment, but for its entries' bytes: there damage can be
/// mended, elsewhere it is named and refused.
package struct ToldSegment: Hashable, Sendable {
    package struct Batch: Hashable, Sendable {
        package let range: Range<Int>
        package let entries: [EntryIdentity]
    }

    /// From the header on without a gap.
    package let batches: [Batch]

    /// `index` is the whole file; nil where not even the segment's header is told.
    package init?(_ index: [UInt8]) {
        guard let segment = IndexFile.segment(index),
            let header = IndexPiece.header(index, of: segment)
        else { return nil }
        let map = RowMap(index, rows: IndexFile.rows(index, segment: segment), segment: segment)
        var batches: [Batch] = []
        var (end, chain) = (SegmentHeader.byteCount, header.checksum)
        while let batch = map.batch(at: end, chain: chain) {
            batches.append(
                Batch(range: end..<batch.end, entries: batch.entries.map(\.identity)))
            (end, chain) = (batch.end, batch.chain)
        }
        self.batches = batches
    }
}
