import Mesh
internal import Planted
import Record

/// Where one entry lies.
struct EntryPlace: Hashable, Sendable {
    var segment: UInt32
    var offset: UInt32
    var byteCount: UInt32
    var checksum: UInt32
    var term: Term
}

/// A batch of which all is known that its frame and the index say.
struct Batch: Hashable, Sendable {
    var frame: CommitFrame
    var frameOffset: Int
    var chain: UInt32
    var entries: [IndexRow]
    /// Which of them say who the members are.
    var configurations: [LogIndex] = []
    /// Which of its entries don't read as they were written.
    var bad: [IndexRow] = []

    var end: Int { frameOffset + CommitFrame.byteCount }

    /// What the index says of this batch.
    var rows: [IndexRow] {
        entries + [
            IndexRow(
                kind: .frame, position: frame.last, offset: UInt32(frameOffset),
                length: UInt32(CommitFrame.byteCount), checksum: chain,
                batchChecksum: frame.batchChecksum)
        ]
    }
}

/// Bytes that are known without asking anybody, and don't stand where they should.
struct Patch: Hashable, Sendable {
    let file: String
    let offset: UInt64
    let bytes: [UInt8]
}

/// What a segment's bytes say: the batches that stand, what was damaged, and a torn end.
///
/// A batch begins only after the sync of the one before. So a batch that is followed by another,
/// or by another segment, or that the index names, was safe: if it is bad, it is damaged. Only what
/// comes last and is not in the index may be torn.
struct SegmentScan: Sendable {
    /// Where a successor says that this segment ends.
    struct Seal: Hashable, Sendable {
        var end: UInt64
        var chain: UInt32
    }

    /// Whole ones, and such as can be made whole: all but the bytes of their bad entries is known. Of
    /// one in a hole that has no entries here, though its frame tells of some, the frame alone is.
    private(set) var batches: [Batch] = []
    /// What of it can't be told.
    private(set) var holes: [LogHole] = []
    /// What is wrong in `batches`.
    private(set) var faults: [JournalDamage] = []
    private(set) var patches: [Patch] = []
    /// Bytes behind the last batch that were never acknowledged.
    private(set) var torn: Range<Int>?
    /// Nothing but zeros behind the last batch: the next one may be written there.
    private(set) var endsClean = true
    private(set) var end = SegmentHeader.byteCount
    private(set) var chain: UInt32
    private(set) var lastKnown: Position

    let file: String
    let rows: [IndexRow]
    let map: RowMap
    private let isRecycled: Bool

    /// `index` is the segment's whole index file.
    init(_ bytes: [UInt8], header: SegmentHeader, index: [UInt8], seal: Seal?, file: String) {
        chain = header.checksum
        lastKnown = header.previous
        self.file = file
        rows = IndexFile.rows(index, segment: header.id)
        map = RowMap(index, rows: rows, segment: header.id)
        isRecycled = header.isRecycled
        let limit = seal.map { Int(min($0.end, UInt64(bytes.count))) } ?? bytes.count
        let frames = frames(bytes, until: limit, segment: header.id)
        for (number, found) in frames.enumerated() where found.frame.start >= end {
            bridge(bytes, through: found.frame.start)
            if found.frame.start > end {
                let place = place(.commitFrame, end..<found.frame.start, found)
                hole(through: found.frame.before, [place])
            }
            let isBroken = found.frame.start > end
            let builds = isBroken || found.frame.previousChain == chain
            let before = lastKnown
            if builds, let batch = Self.batch(bytes, of: found, after: isBroken ? nil : before) {
                batches.append(batch)
            } else {
                let safe = seal != nil || number + 1 < frames.count || isNamed(from: end)
                guard safe else { break }
                if builds, !isBroken, let batch = known(bytes, of: found, after: before) {
                    take(batch, bytes)
                    continue
                }
                // One that does not go on where the log stands tells nothing of what stood here.
                let goesOn = isBroken || builds && found.frame.before == before.index
                hole(
                    through: goesOn ? found.frame.last.index : .countMax,
                    records(bytes, of: found, after: before))
                batches.append(Batch(found))
            }
            (end, chain, lastKnown) = (found.end, found.chain, found.frame.last)
        }
        close(bytes, seal, limit)
    }

    private mutating func close(_ bytes: [UInt8], _ seal: Seal?, _ limit: Int) {
        if seal != nil {
            bridge(bytes, through: limit)
        } else if isNamed(from: end) {
            bridge(bytes, through: min(map.end, limit))
        }
        let known = lastKnown.index
        for row in rows where Int(row.offset) >= end && row.position.index > lastKnown.index {
            lastKnown = row.position
        }
        if let seal {
            if UInt64(end) != seal.end || chain != seal.chain {
                let place = place(.missingEnd, end..<max(end, limit), nil)
                holes.append(LogHole(after: known, through: .countMax, places: [place]))
            }
        } else if isNamed(from: end) {
            let place = place(.commitFrame, end..<limit, nil)
            holes.append(LogHole(after: known, through: .countMax, places: [place]))
        } else if let last = bytes.lastNonZero(from: end) {
            endsClean = false
            torn = isRecycled ? unacknowledged(bytes) : end..<last + 1
        }
    }

    /// Goes on behind `batch`.
    mutating func append(_ batch: Batch) {
        batches.append(batch)
        (end, chain, lastKnown) = (batch.end, batch.chain, batch.frame.last)
    }

    mutating func patch(_ bytes: [UInt8], at offset: Int) {
        patches.append(Patch(file: file, offset: UInt64(offset), bytes: bytes))
    }

    mutating func tell(
        _ fault: JournalDamage.Fault, at offset: Int, _ indexes: ClosedRange<LogIndex>?
    ) {
        faults.append(
            JournalDamage(file: file, offset: UInt64(offset), indexes: indexes, fault: fault))
    }

    /// Whole records that go on where the log ends. Less of a torn batch is not told from what an
    /// earlier segment left here, and need not be: nothing is written over either.
    private func unacknowledged(_ bytes: [UInt8]) -> Range<Int>? {
        var (offset, last) = (end, lastKnown)
        while let entry = try? Entry(parsing: bytes, at: offset), entry.index == last.index.next,
            entry.term >= last.term
        {
            offset += entry.bytes.count
            last = entry.position
        }
        return offset == end ? nil : end..<offset
    }

    private func isNamed(from offset: Int) -> Bool {
        rows.contains { Int($0.offset) >= offset } && !isPlanted(.cutsDamage)
    }

    private func frames(_ bytes: [UInt8], until limit: Int, segment: SegmentID) -> [FoundFrame] {
        var frames: [FoundFrame] = []
        var block = SegmentHeader.byteCount
        while block + Layout.blockByteCount <= limit {
            block += Layout.blockByteCount
            let at = block - CommitFrame.byteCount
            guard let found = FoundFrame(bytes, at: at, segment: segment),
                found.frame.start >= frames.last?.end ?? 0, !map.contradicts(found)
            else { continue }
            frames.append(found)
        }
        return frames
    }

    /// nil unless all its records are what the frame's checksum covers.
    private static func batch(_ bytes: [UInt8], of found: FoundFrame, after previous: Position?)
        -> Batch?
    {
        let frame = found.frame
        let seed = CommitFrame.seed(
            segment: frame.segment, start: frame.start, previousChain: frame.previousChain)
        let sum = Checksum.crc32c(bytes, in: frame.start..<found.offset, seed: seed)
        let room = (found.offset - frame.start) / Entry.headerByteCount
        guard sum == frame.batchChecksum, frame.entryCount <= room else { return nil }
        var rows: [IndexRow] = []
        var configurations: [LogIndex] = []
        rows.reserveCapacity(frame.entryCount)
        var offset = frame.start
        for _ in 0..<frame.entryCount {
            guard let entry = try? Entry(parsing: bytes, at: offset), entry.index > .zero,
                offset + entry.bytes.count <= found.offset
            else { return nil }
            if let last = rows.last?.position,
                entry.index != last.index.next || entry.term < last.term
            {
                return nil
            }
            rows.append(IndexRow(entry, at: offset))
            if entry.kind == .membership { configurations.append(entry.index) }
            offset += entry.bytes.count
        }
        if let last = rows.last {
            guard last.position == frame.last else { return nil }
            if let previous, let first = rows.first?.position,
                first.index != previous.index.next || first.term < previous.term
            {
                return nil
            }
        } else if let previous, frame.last != previous {
            return nil
        }
        return Batch(
            frame: frame, frameOffset: found.offset, chain: found.chain, entries: rows,
            configurations: configurations)
    }

    private mutating func hole(through last: LogIndex, _ places: [JournalDamage]) {
        holes.append(LogHole(after: lastKnown.index, through: last, places: places))
    }
}

extension IndexRow {
    init(_ entry: Entry, at offset: Int) {
        self.init(
            kind: .entry, position: entry.position, offset: UInt32(offset),
            length: UInt32(entry.bytes.count), checksum: entry.checksum)
    }
}
