internal import Mesh
internal import Record

/// Damage of which all is known: what stood there, byte for byte but for entries whose identity is
/// told (Alagappan 2018, §3.3).
extension SegmentScan {
    /// Takes the batches up to `limit` from the index, where it knows them without a gap.
    mutating func bridge(_ bytes: [UInt8], through limit: Int) {
        guard limit > end, limit <= bytes.count else { return }
        var found: [Batch] = []
        var (at, chain, before) = (end, self.chain, lastKnown)
        while at < limit, let batch = map.batch(at: at, chain: chain), batch.end <= limit,
            batch.follows(before)
        {
            found.append(batch)
            (at, chain, before) = (batch.end, batch.chain, batch.frame.last)
        }
        guard at == limit else { return }
        for batch in found { take(batch, bytes) }
    }

    /// The batch that a whole frame closes, from the index, or from what its records say where that
    /// has no row: the frame's checksum over all of them has the last word.
    func known(_ bytes: [UInt8], of found: FoundFrame, after before: Position) -> Batch? {
        var rows: [IndexRow] = []
        var (offset, index) = (found.frame.start, before.index.next)
        for _ in 0..<found.frame.entryCount {
            guard offset + Entry.headerByteCount <= found.offset,
                let row = map.entry(at: offset) ?? IndexRow(claimedIn: bytes, at: offset, index),
                row.length >= Entry.headerByteCount, row.position.index == index
            else { return nil }
            rows.append(row)
            (offset, index) = (offset + Int(row.length), index.next)
        }
        let batch = Batch(
            frame: found.frame, frameOffset: found.offset, chain: found.chain, entries: rows)
        guard batch.isTiled, batch.follows(before) else { return nil }
        // A frame can't be right, and its batch whole, and the two not one another's.
        return batch.isWhole(bytes) ? nil : batch
    }

    /// Adds a batch, with what of it is bad.
    mutating func take(_ batch: Batch, _ bytes: [UInt8]) {
        var batch = batch
        for row in batch.entries {
            let why: String
            do {
                let entry = try Entry(parsing: bytes, at: Int(row.offset))
                if row.isOf(entry) {
                    if entry.kind == .membership { batch.configurations.append(entry.index) }
                    continue
                }
                why = "another entry stands here"
            } catch {
                why = error.description
            }
            batch.bad.append(row)
            let index = row.position.index
            tell(.records(why), at: Int(row.offset), index...index)
        }
        // Where a record ends that only claims to end there is not known: nothing is written by that.
        let isProven = batch.bad.allSatisfy(\.isProven)
        let offset = batch.tailOffset
        if isProven, bytes[offset..<batch.end] != batch.tail[...] {
            tell(.commitFrame, at: batch.frameOffset, nil)
            patch(batch.tail, at: offset)
        }
        append(batch)
    }
}

extension SegmentScan {
    /// What the index says where it and the segment are at odds.
    var rowsOfNoBatch: [IndexRow] {
        let told = Set(batches.lazy.flatMap(\.rows).map(\.inNoSlot))
        return rows.filter { !told.contains($0.inNoSlot) }
    }
}

extension Batch {
    /// Whether it may stand behind an entry at `before`.
    fileprivate func follows(_ before: Position) -> Bool {
        guard let first = entries.first?.position else { return frame.last == before }
        return first.index == before.index.next && first.term >= before.term
    }

    /// Without what a bad record claims of itself and nothing else bears out.
    var provenRows: [IndexRow] {
        let claimed = Set(bad.filter { !$0.isProven })
        return claimed.isEmpty ? rows : rows.filter { !claimed.contains($0) }
    }

    fileprivate func isWhole(_ bytes: [UInt8]) -> Bool {
        bytes[tailOffset..<end] == tail[...]
            && entries.allSatisfy { row in
                (try? Entry(parsing: bytes, at: Int(row.offset))).map(row.isOf) ?? false
            }
    }
}

extension IndexRow {
    func isOf(_ entry: Entry) -> Bool {
        entry.position == position && entry.checksum == checksum && entry.bytes.count == Int(length)
    }

    /// What the record at `offset` says of itself, though its bytes don't bear it out.
    fileprivate init?(claimedIn bytes: [UInt8], at offset: Int, _ index: LogIndex) {
        let length = UInt32(bytes.load(at: offset + 4, count: 4))
        let term = Term(bytes.load(at: offset + 16, count: 8))
        guard bytes.load(at: offset + 24, count: 8) == index.rawValue, index <= .countMax,
            term <= .countMax, length <= Entry.byteCountMax
        else { return nil }
        self.init(
            kind: .entry, position: Position(index: index, term: term), offset: UInt32(offset),
            length: length, checksum: UInt32(bytes.load(at: offset, count: 4)))
    }

    /// What it says, wherever it stands. Of a frame its chain is enough: former releases left the batch's checksum
    /// out.
    fileprivate var inNoSlot: IndexRow {
        var row = self
        row.slot = 0
        if kind == .frame { row.batchChecksum = 0 }
        return row
    }

    /// It was read from an index, not from a record that claims it.
    var isProven: Bool { slot != 0 }

    var identity: EntryIdentity {
        EntryIdentity(position: position, checksum: checksum, byteCount: length)
    }
}
