package import Disk
package import Mesh
internal import Planted
package import Record

// Neither is nested in the core: they would be generic too, and every use a question to the runtime.

package struct JournalSettings: Hashable, Sendable {
    /// Longest segment: offsets are 32 bits wide, and recovery reads one segment at once.
    package static var segmentByteCountMax: Int { 1 << 30 }
    package var cluster: ClusterID
    package var group: GroupID
    /// Whole blocks; a batch that needs more gets a segment of its own size.
    package var segmentByteCount: Int
    /// Old segments kept for their blocks: a file that is written again costs the disk a third
    /// less than one that is first filled with zeros.
    package var sparesMax: Int

    package init(
        cluster: ClusterID, group: GroupID, segmentByteCount: Int = 64 << 20,
        sparesMax: Int = 4
    ) {
        invariant(
            segmentByteCount % 4096 == 0
                && (8192...Self.segmentByteCountMax).contains(segmentByteCount),
            "a segment of \(segmentByteCount) bytes")
        self.cluster = cluster
        self.group = group
        self.segmentByteCount = segmentByteCount
        self.sparesMax = sparesMax
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

/// A node's log on a disk: appends batches that are safe when `append` returns, and gives back on
/// `open` exactly what was safe.
package struct JournalCore<D: Disk>: Sendable {
    package typealias Settings = JournalSettings

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
    /// The next segment's file, ready so far.
    var prepared: Prepared?
    /// Files of old segments under their spare names, the oldest first.
    var spares: [UInt64] = []
    /// The last, so that the places of all the others are known when this is compiled.
    package internal(set) var disk: D

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

    /// Whether the entry stands here, or the base stands for it.
    package func holds(_ index: LogIndex, _ term: Term) -> Bool {
        base.position.index >= index || self.term(at: index) == term
    }

    /// The same, asked in place: across modules what is not mutating is asked of a copy.
    package mutating func isHolding(_ index: LogIndex, _ term: Term) -> Bool { holds(index, term) }
    package mutating func end() -> Position { last }

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
    mutating func write(_ merged: MergedChange) throws {
        var standing = Standing(
            hardState: isPlanted(.keepsOldHardState) ? hardState : merged.hardState, base: base)
        let formerBase = base.number
        if let newBase = merged.base { standing.base = try writeBase(newBase) }
        let recordsByteCount = merged.entries.reduce(0) { $0 + $1.bytes.count }
        let needed = CommitFrame.batchByteCount(recordsByteCount: recordsByteCount)
        let fits =
            segments.last.map { $0.end + needed <= Int($0.header.byteCount) } ?? false
        let isCut = (merged.isReset || merged.kept != last) && !isPlanted(.truncatesInPlace)
        let batch: EncodedBatch
        if fits && !isCut && !mustRotate {
            batch = try appendBatch(merged, standing)
        } else {
            batch = try rotate(merged, standing, needed: needed)
        }
        adopt(merged, batch.rows, standing)
        try appendRows(batch.rows, standing)
        if standing.base.number != formerBase { try forget(formerBase) }
    }

    private mutating func appendBatch(_ merged: MergedChange, _ standing: Standing) throws
        -> EncodedBatch
    {
        var segment = segments[segments.count - 1]
        let batch = EncodedBatch(
            merged, standing, segment: segment.header.id, start: segment.end,
            previousChain: segment.chain)
        try disk.write(segment.file, at: UInt64(segment.end), batch.pieces)
        if isPlanted(.indexesBeforeSync) { try appendRows(batch.rows, standing) }
        if !isPlanted(.skipsBatchSync) { try disk.sync(segment.file) }
        segment.end = batch.end
        segment.chain = batch.chain
        segments[segments.count - 1] = segment
        return batch
    }

    /// Makes the base safe under names of its own; it counts once a commit frame refers to it.
    private mutating func writeBase(_ base: Base) throws -> BaseReference {
        let number = nextBaseNumber
        nextBaseNumber += 1
        let pieces = BaseFile.pieces(base, number: number, cluster: settings.cluster)
        try writeBase(pieces, as: .copy(number))
        try writeBase(pieces, as: .base(number))
        if !isPlanted(.skipsBaseDirectorySync) { try disk.syncDirectory() }
        return BaseReference(
            number: number, position: base.position,
            checksum: Checksum.crc32c(base.contents),
            contentsByteCount: UInt32(base.contents.count))
    }

    /// Under its name once its bytes are safe; the name is not yet.
    mutating func writeBase(_ pieces: [[UInt8]], as name: JournalFile) throws(DiskError) {
        let unfinished = name.name + JournalFile.unfinishedSuffix
        let file = try disk.open(unfinished, create: true)
        defer { disk.close(file) }
        try disk.resize(file, to: 0)
        try disk.write(file, at: 0, pieces)
        if !isPlanted(.skipsBaseSync) { try disk.sync(file) }
        try disk.rename(unfinished, to: name.name)
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

    private mutating func appendRows(_ rows: [IndexRow], _ standing: Standing) throws {
        var segment = segments[segments.count - 1]
        var bytes: [UInt8] = []
        bytes.reserveCapacity((rows.count + 2) * IndexRow.byteCount)
        IndexFile.encode(
            rows, standing, seed: IndexFile.seed(segment.header.id), into: &bytes)
        try disk.write(segment.index, at: segment.indexByteCount, [bytes])
        segment.indexByteCount += UInt64(bytes.count)
        segments[segments.count - 1] = segment
    }

    /// Removes what the base made superfluous. No sync: a file that a crash brings back is removed
    /// by the next `open`.
    private mutating func forget(_ formerBase: UInt64) throws {
        if formerBase != 0 {
            try removeIfThere(.base(formerBase))
            try removeIfThere(.copy(formerBase))
        }
        try removeOldSegments()
    }

    /// What was lost, or was written before there were copies, is not there to be removed.
    private mutating func removeIfThere(_ name: JournalFile) throws {
        do { try disk.remove(name.name) } catch {
            guard error.cause == .missing else { throw error }
        }
    }

    /// The newest segment that begins at or below `base`: what earlier ones hold is below the base
    /// too, or void. Segments that begin lower may follow higher ones, where a suffix was replaced.
    static func firstNeeded(_ headers: [SegmentHeader], base: Position) -> Int? {
        headers.lastIndex { $0.previous.index <= base.index }
    }
}

extension EntryPlace {
    /// Of one that a hole held.
    static let unknown = Self(segment: 0, offset: 0, byteCount: 0, checksum: 0, term: .zero)

    /// Whether its term is that one, as far as is known.
    func isIn(_ term: Term) -> Bool { self.term == term || self.term == .zero }

    init(_ row: IndexRow, in segment: UInt32) {
        self.init(
            segment: segment, offset: row.offset, byteCount: row.length, checksum: row.checksum,
            term: row.position.term)
    }
}
