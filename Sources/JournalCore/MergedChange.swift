import Disk
import Mesh
import Record

/// What several changes, one after the other, come to: a part of the log that stays, entries behind
/// it, a base and a hard state.
struct MergedChange: Sendable {
    /// The last entry of the log that stays where it is.
    private(set) var kept: Position
    /// The log disagreed with the base: it begins anew behind `kept`.
    private(set) var isReset = false
    private(set) var base: Base?
    private(set) var entries: [Entry] = []
    private(set) var hardState: HardState
    private(set) var isEmpty = true

    init<D: Disk>(_ changes: [LogChange], onto journal: JournalCore<D>) {
        kept = journal.last
        hardState = journal.hardState
        for change in changes where !change.isEmpty {
            isEmpty = false
            if let base = change.base { take(base, journal) }
            take(change.entries, journal)
            if let hardState = change.hardState { self.hardState = hardState }
        }
    }

    /// The log ends before `index` from here on, where the journal has an entry; what was known of
    /// commits goes no further.
    init<D: Disk>(cutting index: LogIndex, of journal: JournalCore<D>) {
        let last = index.previous
        kept = Position(index: last, term: journal.term(at: last) ?? journal.basePosition.term)
        hardState = journal.hardState
        hardState.commit = min(hardState.commit, last)
        isEmpty = false
    }

    /// Raft §7, figure 13, steps 6 and 7.
    private mutating func take<D: Disk>(_ base: Base, _ journal: JournalCore<D>) {
        invariant(
            base.contents.count <= Base.contentsByteCountMax,
            "a base of \(base.contents.count) bytes")
        let former = self.base?.position ?? journal.basePosition
        guard base.position.index > former.index else { return }
        if term(at: base.position.index, journal) != base.position.term {
            entries = []
            isReset = true
            kept = base.position
        }
        self.base = base
    }

    private mutating func take<D: Disk>(_ new: [Entry], _ journal: JournalCore<D>) {
        guard let first = new.first else { return }
        let base = (self.base?.position ?? journal.basePosition).index
        invariant(first.index > base, "entry \(first.position) lies below the base at \(base)")
        for at in new.indices.dropFirst() {
            invariant(
                new[at].index == new[at - 1].index.next,
                "\(new[at].position) follows \(new[at - 1].position)")
        }
        if first.index <= kept.index {
            let index = first.index.previous
            guard let term = term(at: index, journal) else {
                return invariant(false, "no entry before \(first.position)")
            }
            kept = Position(index: index, term: term)
            entries = []
        }
        let offset = Int(first.index.distance(above: kept.index)) - 1
        invariant(offset <= entries.count, "a gap before \(first.position)")
        entries.removeLast(entries.count - offset)
        entries += new
    }

    private func term<D: Disk>(at index: LogIndex, _ journal: JournalCore<D>) -> Term? {
        if index == kept.index { return kept.term }
        if index < kept.index { return isReset ? nil : journal.term(at: index) }
        let offset = Int(clamping: index.distance(above: kept.index)) - 1
        return offset < entries.count ? entries[offset].term : nil
    }
}

/// A batch as it goes to the disk.
struct EncodedBatch: Sendable {
    let pieces: [[UInt8]]
    /// Of its entries, and the last of its frame.
    let rows: [IndexRow]
    let end: Int
    let chain: UInt32

    init(
        _ merged: MergedChange, _ standing: Standing, segment: SegmentID, start: Int,
        previousChain: UInt32
    ) {
        var pieces: [[UInt8]] = []
        pieces.reserveCapacity(merged.entries.count + 1)
        var rows: [IndexRow] = []
        rows.reserveCapacity(merged.entries.count)
        var sum = CommitFrame.seed(segment: segment, start: start, previousChain: previousChain)
        var offset = start
        for entry in merged.entries {
            rows.append(IndexRow(entry, at: offset))
            pieces.append(entry.bytes)
            sum = Checksum.crc32c(entry.bytes, seed: sum)
            offset += entry.bytes.count
        }
        let end = start + CommitFrame.batchByteCount(recordsByteCount: offset - start)
        let frameOffset = end - CommitFrame.byteCount
        let paddingByteCount = frameOffset - offset
        // The padding with the frame behind it.
        var tail: [UInt8] = []
        tail.append(zeros: end - offset)
        sum = Checksum.crc32c(tail, in: 0..<paddingByteCount, seed: sum)
        let frame = CommitFrame(
            segment: segment, start: start, entryCount: merged.entries.count,
            previousChain: previousChain, last: merged.entries.last?.position ?? merged.kept,
            batchChecksum: sum, standing: standing)
        let chain = frame.encode(into: &tail, at: paddingByteCount)
        pieces.append(tail)
        self.pieces = pieces
        self.end = end
        self.chain = chain
        self.rows =
            Batch(frame: frame, frameOffset: frameOffset, chain: chain, entries: rows).rows
    }
}
