internal import Disk
internal import Mesh
internal import Planted
internal import Record

/// What segments are preallocated with, made once: a megabyte is not filled for every batch.
private let zeros = [UInt8](repeating: 0, count: 1 << 20)
/// Of what is left in the end, which a small segment is from the beginning.
private let fewZeros = [UInt8](repeating: 0, count: 64 << 10)

/// A file on its way to become a segment, its first `byteCount` bytes allocated and written once, so
/// that a later sync need not record new extents too.
struct Prepared: Sendable {
    var file: FileHandle
    var byteCount: Int
    /// It was another segment, whose bytes still stand in it.
    var isRecycled: Bool
}

extension JournalCore {
    /// Bounds how long one step delays the next batch; above what a batch usually is, so that the
    /// preparation keeps up.
    private static var prepareStepByteCount: Int { 4 << 20 }

    /// Opens a new segment with the batch already in it: its name appears when all of it is safe,
    /// so that a truncation and what replaces the truncated come as one.
    mutating func rotate(_ merged: MergedChange, _ standing: Standing, needed: Int) throws
        -> EncodedBatch
    {
        let byteCount = max(settings.segmentByteCount, SegmentHeader.byteCount + needed)
        invariant(byteCount <= Settings.segmentByteCountMax, "a batch of \(needed) bytes")
        let next = try preallocated(byteCount)
        let former = segments.last
        var header = SegmentHeader(
            cluster: settings.cluster, group: settings.group, id: .draw(&random),
            sequence: nextSequence, previous: merged.kept, isReset: merged.isReset,
            isRecycled: next.isRecycled, predecessor: former?.header.id ?? .none,
            predecessorEnd: UInt64(former?.end ?? 0), predecessorChain: former?.chain ?? 0,
            byteCount: UInt64(byteCount), standing: standing)
        let head = header.encoded()
        let batch = EncodedBatch(
            merged, standing, segment: header.id, start: SegmentHeader.byteCount,
            previousChain: header.checksum)
        let index = try disk.open(JournalFile.index(header.sequence).name, create: true)
        try disk.resize(index, to: 0)
        let indexHead = IndexFile.header(header, head)
        try disk.write(index, at: 0, [indexHead])
        try disk.sync(index)
        // From here on a power cut can take no row of the one before.
        if let former { try disk.sync(former.index) }
        try disk.write(next.file, at: 0, [head] + batch.pieces)
        if !isPlanted(.skipsSegmentSync) { try disk.sync(next.file) }
        let name = JournalFile.segment(header.sequence).name
        try disk.rename(name + JournalFile.unfinishedSuffix, to: name)
        if !isPlanted(.skipsSegmentDirectorySync) { try disk.syncDirectory() }
        segments.append(
            Segment(
                header: header, file: next.file, index: index,
                indexByteCount: UInt64(indexHead.count), end: batch.end, chain: batch.chain))
        mustRotate = false
        return batch
    }

    private var nextSequence: UInt64 { (segments.last?.header.sequence ?? 0) + 1 }

    private mutating func preallocated(_ byteCount: Int) throws -> Prepared {
        var next = try prepared ?? beginNext()
        prepared = nil
        if next.byteCount < byteCount {
            try zero(next.file, next.byteCount..<byteCount)
            try disk.sync(next.file)
            next.byteCount = byteCount
        }
        return next
    }

    private mutating func beginNext() throws -> Prepared {
        let name = JournalFile.segment(nextSequence).name + JournalFile.unfinishedSuffix
        if !spares.isEmpty {
            let spare = spares.removeFirst()
            try disk.rename(JournalFile.spare(spare).name, to: name)
            // Before a byte of it changes: a crash must not bring back its old name over new bytes.
            try disk.syncDirectory()
            let file = try disk.open(name, create: false)
            return Prepared(file: file, byteCount: settings.segmentByteCount, isRecycled: true)
        }
        let file = try disk.open(name, create: true)
        try disk.resize(file, to: 0)
        return Prepared(file: file, byteCount: 0, isRecycled: false)
    }

    private mutating func zero(_ file: FileHandle, _ range: Range<Int>) throws {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = min(zeros.count, range.upperBound - offset)
            let (few, rest) = count.quotientAndRemainder(dividingBy: fewZeros.count)
            var pieces = count == zeros.count ? [zeros] : Array(repeating: fewZeros, count: few)
            if rest > 0 { pieces.append([UInt8](repeating: 0, count: rest)) }
            try disk.write(file, at: UInt64(offset), pieces)
            offset += count
        }
    }

    /// Takes a spare for the next segment or, if there is none, zeroes as much of it as was used of
    /// this one, and a little more: a rotation that had to do all of it at once would stall a leader
    /// for longer than its followers wait.
    ///
    /// Called between batches, when nobody waits; without it rotations only take longer.
    package mutating func prepareNext() throws(JournalError) {
        if let failure { throw failure }
        guard let segment = segments.last else { return }
        let wanted = min(settings.segmentByteCount, segment.end + 2 * zeros.count)
        let done = prepared?.byteCount ?? 0
        guard done < wanted, wanted - done >= zeros.count || wanted == settings.segmentByteCount
        else { return }
        do {
            var next = try prepared ?? beginNext()
            if next.byteCount < wanted {
                let end = min(wanted, next.byteCount + Self.prepareStepByteCount)
                try zero(next.file, next.byteCount..<end)
                try disk.sync(next.file)
                next.byteCount = end
            }
            prepared = next
        } catch {
            let failure = Self.wrapped(error)
            self.failure = failure
            throw failure
        }
    }

    /// Lets go of the segments below the base. No sync: what a crash brings back under its old name
    /// is let go of again by the next `open`.
    mutating func removeOldSegments() throws {
        let needed = Self.firstNeeded(segments.map(\.header), base: basePosition) ?? 0
        for _ in 0..<min(needed + (isPlanted(.retiresLiveSegments) ? 1 : 0), segments.count) {
            let old = segments.removeFirst()
            disk.close(old.file)
            disk.close(old.index)
            try retire(JournalFile.segment(old.header.sequence).name, old.header)
            try disk.remove(JournalFile.index(old.header.sequence).name)
        }
    }

    private mutating func retire(_ name: String, _ header: SegmentHeader) throws {
        let isUsual = header.byteCount == UInt64(settings.segmentByteCount)
        guard isUsual, spares.count < settings.sparesMax else { return try disk.remove(name) }
        try disk.rename(name, to: JournalFile.spare(header.sequence).name)
        spares.append(header.sequence)
    }

    /// Finds the spares of an earlier run; one that can't be a segment's is removed.
    mutating func keepSpare(_ sequence: UInt64) throws {
        let name = JournalFile.spare(sequence).name
        let file = try disk.open(name, create: false)
        let byteCount = try disk.byteCount(file)
        disk.close(file)
        let isUsual = byteCount == UInt64(settings.segmentByteCount)
        guard isUsual, spares.count < settings.sparesMax else { return try disk.remove(name) }
        spares.append(sequence)
    }
}
