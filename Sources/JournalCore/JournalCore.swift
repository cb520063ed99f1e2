package import Disk
package import Mesh
package import Record

/// What segments are preallocated with, made once: a megabyte is not filled for every batch.
private let zeros = [UInt8](repeating: 0, count: 1 << 20)

/// A node's log on a disk: appends batches that are safe when `append` returns, and gives back on
/// `open` exactly what was safe.
package struct JournalCore<D: Disk>: Sendable {
    package struct Settings: Hashable, Sendable {
        /// Longest segment: offsets are 32 bits wide, and recovery reads one segment at once.
        package static var segmentByteCountMax: Int { 1 << 30 }
        package var cluster: ClusterID
        package var group: GroupID
        /// Whole blocks; a batch that needs more gets a segment of its own size.
        package var segmentByteCount: Int

        package init(cluster: ClusterID, group: GroupID, segmentByteCount: Int = 64 << 20) {
            invariant(
                segmentByteCount % 4096 == 0
                    && (8192...Self.segmentByteCountMax).contains(segmentByteCount),
                "a segment of \(segmentByteCount) bytes")
            self.cluster = cluster
            self.group = group
            self.segmentByteCount = segmentByteCount
        }
    }

    struct Segment: Sendable {
        var header: SegmentHeader
        var file: FileHandle
        var index: FileHandle
        var indexByteCount: UInt64
        /// Where the next batch begins.
        var end: Int
        var chain: UInt32
    }

    package internal(set) var disk: D
    package let settings: Settings
    package internal(set) var hardState = HardState()
    /// What stands for the entries that are gone.
    package var basePosition: Position { base.position }
    /// The first error; the journal does nothing any more (Rebello 2020).
    package internal(set) var failure: JournalError?

    var random: SeededRandom
    var base = BaseReference()
    var nextBaseNumber: UInt64 = 1
    var segments: [Segment] = []
    /// Entry `base.position.index + 1` and up.
    var places: [EntryPlace] = []
    /// The segment's end is torn: the next batch goes to a new one.
    var mustRotate = false
    /// The next segment's file, zeroed so far.
    var prepared: (file: FileHandle, byteCount: Int)?

    init(disk: D, settings: Settings, random: SeededRandom) {
        self.disk = disk
        self.settings = settings
        self.random = random
    }

    package var firstIndex: LogIndex { base.position.index.next }
    package var last: Position {
        guard let last = places.last else { return base.position }
        return Position(index: base.position.index.advanced(by: places.count), term: last.term)
    }
    /// Bytes of all segments, preallocated ones in full, and of the base.
    package var byteCount: UInt64 {
        segments.reduce(UInt64(base.contentsByteCount)) { $0 + $1.header.byteCount }
    }

    /// What the entries above the base weigh, headers included.
    package var entriesByteCount: Int { places.reduce(0) { $0 + Int($1.byteCount) } }

    /// The term of the entry at `index`, or of the base; nil where nothing stands.
    package func term(at index: LogIndex) -> Term? {
        if index == base.position.index { return base.position.term }
        let distance = index.distance(above: base.position.index)
        guard distance > 0, distance <= UInt64(places.count) else { return nil }
        return places[Int(distance) - 1].term
    }

    /// Makes `changes` safe, all or none of them, in one batch with one sync.
    package mutating func append(_ changes: [LogChange]) throws(JournalError) {
        if let failure { throw failure }
        let merged = MergedChange(changes, onto: self)
        guard !merged.isEmpty else { return }
        do {
            try write(merged)
        } catch {
            let failure = (error as? JournalError) ?? Self.wrapped(error)
            self.failure = failure
            throw failure
        }
    }

    /// Lets a simulation hurt the disk under an open journal.
    package mutating func alterDisk(_ alter: (inout D) -> Void) { alter(&disk) }

    static func wrapped(_ error: any Error) -> JournalError {
        guard let error = error as? DiskError else {
            invariant(false, "a disk threw \(error)")
            return .disk(DiskError(.read, "", .missing))
        }
        return .disk(error)
    }
}

extension JournalCore {
    private mutating func write(_ merged: MergedChange) throws {
        var standing = Standing(hardState: merged.hardState, base: base)
        let formerBase = base.number
        if let newBase = merged.base { standing.base = try writeBase(newBase) }
        let recordsByteCount = merged.entries.reduce(0) { $0 + $1.bytes.count }
        let needed = CommitFrame.batchByteCount(recordsByteCount: recordsByteCount)
        let fits =
            segments.last.map { $0.end + needed <= Int($0.header.byteCount) } ?? false
        let isCut = merged.isReset || merged.kept != last
        let rows: [IndexRow]
        if fits && !isCut && !mustRotate {
            rows = try appendBatch(merged, standing)
        } else {
            rows = try rotate(merged, standing, needed: needed)
        }
        adopt(merged, rows, standing)
        try appendRows(rows)
        if standing.base.number != formerBase { try forget(formerBase) }
    }

    private mutating func appendBatch(_ merged: MergedChange, _ standing: Standing) throws
        -> [IndexRow]
    {
        var segment = segments[segments.count - 1]
        let batch = EncodedBatch(
            merged, standing, segment: segment.header.id, start: segment.end,
            previousChain: segment.chain)
        try disk.write(segment.file, at: UInt64(segment.end), batch.pieces)
        try disk.sync(segment.file)
        segment.end = batch.end
        segment.chain = batch.chain
        segments[segments.count - 1] = segment
        return batch.rows
    }

    /// Opens a new segment with the batch already in it: its name appears when all of it is safe,
    /// so that a truncation and what replaces the truncated come as one.
    private mutating func rotate(_ merged: MergedChange, _ standing: Standing, needed: Int) throws
        -> [IndexRow]
    {
        let byteCount = max(settings.segmentByteCount, SegmentHeader.byteCount + needed)
        invariant(byteCount <= Settings.segmentByteCountMax, "a batch of \(needed) bytes")
        let former = segments.last
        var header = SegmentHeader(
            cluster: settings.cluster, group: settings.group, id: .draw(&random),
            sequence: (former?.header.sequence ?? 0) + 1, previous: merged.kept,
            isReset: merged.isReset, predecessor: former?.header.id ?? .none,
            predecessorEnd: UInt64(former?.end ?? 0), predecessorChain: former?.chain ?? 0,
            byteCount: UInt64(byteCount), standing: standing)
        let head = header.encoded()
        let batch = EncodedBatch(
            merged, standing, segment: header.id, start: SegmentHeader.byteCount,
            previousChain: header.checksum)
        let index = try disk.open(JournalFile.index(header.sequence).name, create: true)
        try disk.resize(index, to: 0)
        try disk.write(index, at: 0, [IndexFile.header(header.id)])
        try disk.sync(index)
        let name = JournalFile.segment(header.sequence).name
        let file = try preallocated(byteCount)
        try disk.write(file, at: 0, [head] + batch.pieces)
        try disk.sync(file)
        try disk.rename(name + JournalFile.unfinishedSuffix, to: name)
        try disk.syncDirectory()
        segments.append(
            Segment(
                header: header, file: file, index: index,
                indexByteCount: UInt64(IndexFile.headerByteCount), end: batch.end,
                chain: batch.chain))
        mustRotate = false
        return batch.rows
    }

    /// The next segment's file under its unfinished name, all zeros, so that a later sync need not
    /// record new extents too.
    private mutating func preallocated(_ byteCount: Int) throws -> FileHandle {
        let (file, done) = try prepared ?? beginNext()
        prepared = nil
        if done < byteCount {
            try zero(file, done..<byteCount)
            try disk.sync(file)
        }
        return file
    }

    private mutating func beginNext() throws -> (file: FileHandle, byteCount: Int) {
        let sequence = (segments.last?.header.sequence ?? 0) + 1
        let name = JournalFile.segment(sequence).name + JournalFile.unfinishedSuffix
        let file = try disk.open(name, create: true)
        try disk.resize(file, to: 0)
        return (file, 0)
    }

    private mutating func zero(_ file: FileHandle, _ range: Range<Int>) throws {
        let chunk = zeros
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = min(chunk.count, range.upperBound - offset)
            let piece = count == chunk.count ? chunk : Array(chunk[..<count])
            try disk.write(file, at: UInt64(offset), [piece])
            offset += count
        }
    }

    /// Zeroes as much of the next segment as was used of this one, and a little more: a rotation
    /// that had to do all of it at once would stall a leader for longer than its followers wait.
    ///
    /// Called between batches, when nobody waits; without it rotations only take longer.
    package mutating func prepareNext() throws(JournalError) {
        if let failure { throw failure }
        guard let segment = segments.last else { return }
        let wanted = min(settings.segmentByteCount, segment.end + 2 * zeros.count)
        let isBehind = (prepared?.byteCount ?? 0) + zeros.count <= wanted
        guard isBehind, prepared?.byteCount != settings.segmentByteCount else { return }
        do {
            let (file, done) = try prepared ?? beginNext()
            let end = min(wanted, done + Self.prepareStepByteCount)
            try zero(file, done..<end)
            try disk.sync(file)
            prepared = (file, end)
        } catch {
            let failure = Self.wrapped(error)
            self.failure = failure
            throw failure
        }
    }

    /// Bounds how long one step delays the next batch; above what a batch usually is, so that the
    /// preparation keeps up.
    private static var prepareStepByteCount: Int { 4 << 20 }

    /// Makes the base safe under a name of its own; it counts once a commit frame refers to it.
    private mutating func writeBase(_ base: Base) throws -> BaseReference {
        let number = nextBaseNumber
        nextBaseNumber += 1
        let name = JournalFile.base(number).name
        let file = try disk.open(name + JournalFile.unfinishedSuffix, create: true)
        defer { disk.close(file) }
        try disk.resize(file, to: 0)
        let pieces = BaseFile.pieces(base, number: number, cluster: settings.cluster)
        try disk.write(file, at: 0, pieces)
        try disk.sync(file)
        try disk.rename(name + JournalFile.unfinishedSuffix, to: name)
        try disk.syncDirectory()
        return BaseReference(
            number: number, position: base.position,
            checksum: Checksum.crc32c(base.contents),
            contentsByteCount: UInt32(base.contents.count))
    }

    private mutating func adopt(
        _ merged: MergedChange, _ rows: [IndexRow], _ standing: Standing
    ) {
        if merged.isReset {
            places = []
            base.position = merged.kept
        } else {
            places.removeLast(
                places.count - Int(merged.kept.index.distance(above: basePosition.index)))
        }
        let segment = UInt32(truncatingIfNeeded: segments.last?.header.sequence ?? 0)
        for row in rows where row.kind == .entry { places.append(EntryPlace(row, in: segment)) }
        let gone = standing.base.position.index.distance(above: base.position.index)
        places.removeFirst(min(Int(gone), places.count))
        base = standing.base
        hardState = standing.hardState
    }

    private mutating func appendRows(_ rows: [IndexRow]) throws {
        var segment = segments[segments.count - 1]
        var bytes: [UInt8] = []
        bytes.reserveCapacity(rows.count * IndexRow.byteCount)
        for row in rows { row.encode(segment: segment.header.id, into: &bytes) }
        try disk.write(segment.index, at: segment.indexByteCount, [bytes])
        segment.indexByteCount += UInt64(bytes.count)
        segments[segments.count - 1] = segment
    }

    /// Removes what the base made superfluous. No sync: a file that a crash brings back is removed
    /// by the next `open`.
    private mutating func forget(_ formerBase: UInt64) throws {
        if formerBase != 0 { try disk.remove(JournalFile.base(formerBase).name) }
        try removeOldSegments()
    }

    /// The newest segment that begins at or below `base`: what earlier ones hold is below the base
    /// too, or void. Segments that begin lower may follow higher ones, where a suffix was replaced.
    static func firstNeeded(_ headers: [SegmentHeader], base: Position) -> Int? {
        headers.lastIndex { $0.previous.index <= base.index }
    }

    mutating func removeOldSegments() throws {
        let needed = Self.firstNeeded(segments.map(\.header), base: basePosition) ?? 0
        for _ in 0..<needed {
            let old = segments.removeFirst()
            disk.close(old.file)
            disk.close(old.index)
            try disk.remove(JournalFile.segment(old.header.sequence).name)
            try disk.remove(JournalFile.index(old.header.sequence).name)
        }
    }
}

extension EntryPlace {
    init(_ row: IndexRow, in segment: UInt32) {
        self.init(
            segment: segment, offset: row.offset, byteCount: row.length, checksum: row.checksum,
            term: row.position.term)
    }
}
