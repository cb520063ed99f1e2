import Disk
package import Mesh
internal import Planted
package import Record

/// What a journal held when it was opened.
package struct Recovered: Hashable, Sendable {
    /// Bytes behind the last batch that no `append` ever acknowledged; they are left behind.
    package struct TornTail: Hashable, Sendable {
        package let file: String
        package let offset: UInt64
        package let byteCount: Int
    }
    package let hardState: HardState
    package let base: Base
    /// Of all entries above the base.
    package let positions: [Position]
    /// Those of them that say who the members are. The entries themselves are read by `entries`.
    package let configurations: [LogIndex]
    package let last: Position
    package let tornTail: TornTail?
}

extension JournalCore {
    /// Recovers what is on `disk` and goes on from there; an empty directory is an empty log.
    ///
    /// On failure `disk` is what it has become; nothing acknowledged was changed.
    package static func open(_ disk: inout D, settings: Settings, random: SeededRandom)
        throws(JournalError) -> (journal: JournalCore, recovered: Recovered)
    {
        var journal = JournalCore(disk: disk, settings: settings, random: random)
        defer { disk = journal.disk }
        do {
            let recovered = try journal.recover()
            return (journal, recovered)
        } catch {
            throw (error as? JournalError) ?? wrapped(error)
        }
    }

    private mutating func recover() throws -> Recovered {
        let files = try disk.list().compactMap(JournalFile.init)
        let headers = try readHeaders(files)
        let run = try Self.run(headers)
        try checkIndexes(files, after: run.last)
        var scans: [SegmentScan] = []
        for (offset, header) in run.enumerated() {
            let next = offset + 1 < run.count ? run[offset + 1] : nil
            scans.append(try scanSegment(header, next: next))
        }
        let standing = scans.last?.batches.last?.frame.standing ?? Standing()
        let needed = Self.firstNeeded(run, base: standing.base.position) ?? 0
        let damages = scans[needed...].flatMap(\.damages)
        guard damages.isEmpty else {
            let known = scans.map(\.lastKnown).max() ?? .zero
            throw JournalError.damaged(damages, lastKnown: known)
        }
        var log = RecoveredLog()
        for (scan, header) in zip(scans, run).dropFirst(needed) { try log.take(scan, of: header) }
        let tail = scans.last
        let contents = try adopt(log, run)
        for file in files { try removeLeftover(file, run) }
        for case .spare(let sequence) in files { try keepSpare(sequence) }
        try removeOldSegments()
        if let tail { try settle(tail) }
        return Recovered(
            hardState: hardState, base: contents,
            positions: places.enumerated().map { offset, place in
                Position(index: firstIndex.advanced(by: offset), term: place.term)
            },
            configurations: log.configurations.filter { $0 > base.position.index }, last: last,
            tornTail: tail.flatMap { tornTail($0) })
    }

    private func tornTail(_ tail: SegmentScan) -> Recovered.TornTail? {
        guard let torn = tail.torn, let segment = segments.last else { return nil }
        return Recovered.TornTail(
            file: JournalFile.segment(segment.header.sequence).name,
            offset: UInt64(torn.lowerBound), byteCount: torn.count)
    }

    private mutating func readHeaders(_ files: [JournalFile]) throws -> [SegmentHeader] {
        var headers: [SegmentHeader] = []
        for case .segment(let sequence) in files {
            let name = JournalFile.segment(sequence).name
            let file = try disk.open(name, create: false)
            defer { disk.close(file) }
            func damaged(_ why: String) -> JournalError {
                .damaged(
                    [
                        JournalDamage(
                            file: name, offset: 0, indexes: nil, fault: .segmentHeader(why))
                    ],
                    lastKnown: .zero)
            }
            let byteCount = try disk.byteCount(file)
            guard byteCount >= SegmentHeader.byteCount else {
                throw damaged("the file is too short")
            }
            let header: SegmentHeader
            do {
                header = try SegmentHeader(
                    parsing: disk.read(file, at: 0, count: SegmentHeader.byteCount))
            } catch let refused as SegmentHeader.Refused {
                if case .version(let version) = refused {
                    throw JournalError.unknownVersion(file: name, version: version)
                }
                throw damaged(refused.words)
            }
            guard header.cluster == settings.cluster, header.group == settings.group else {
                throw JournalError.foreign(
                    file: name, cluster: header.cluster, group: header.group)
            }
            guard header.sequence == sequence else {
                throw Self.stale(name, "it is segment \(header.sequence) under another name")
            }
            guard byteCount == header.byteCount, byteCount <= UInt64(Settings.segmentByteCountMax)
            else { throw damaged("\(byteCount) bytes instead of \(header.byteCount)") }
            headers.append(header)
        }
        return headers
    }

    private static func stale(_ name: String, _ why: String) -> JournalError {
        .damaged(
            [JournalDamage(file: name, offset: 0, indexes: nil, fault: .staleSegment(why))],
            lastKnown: .zero)
    }

    /// The segments up to the newest that follow each other without a hole. What lies before a hole
    /// was being removed when the power went, which `adopt` makes sure of.
    private static func run(_ headers: [SegmentHeader]) throws -> [SegmentHeader] {
        let headers = headers.sorted { $0.sequence < $1.sequence }
        for (number, header) in headers.enumerated()
        where headers[..<number].contains(where: { $0.id == header.id }) {
            throw stale(JournalFile.segment(header.sequence).name, "its id occurs twice")
        }
        var run: [SegmentHeader] = []
        for header in headers {
            if let last = run.last {
                if last.sequence + 1 != header.sequence {
                    run = []
                } else if header.predecessor != last.id {
                    throw stale(
                        JournalFile.segment(last.sequence).name,
                        "segment \(header.sequence) follows another one")
                }
            }
            run.append(header)
        }
        return run
    }

    /// An index is made before its segment and filled after it; one that is filled and has no
    /// segment at the log's end tells that the segment is lost.
    private mutating func checkIndexes(_ files: [JournalFile], after last: SegmentHeader?) throws {
        for case .index(let sequence) in files where sequence > last?.sequence ?? 0 {
            let name = JournalFile.index(sequence).name
            let file = try disk.open(name, create: false)
            defer { disk.close(file) }
            let bytes = try readAll(file, most: UInt64(Settings.segmentByteCountMax))
            guard let id = IndexFile.segment(bytes) else { continue }
            let rows = IndexFile.rows(bytes, segment: id)
            guard let lastRow = rows.last else { continue }
            let entries = rows.filter { $0.kind == .entry }.map(\.position.index)
            let indexes = entries.min().flatMap { first in entries.max().map { first...$0 } }
            throw JournalError.damaged(
                [
                    JournalDamage(
                        file: JournalFile.segment(sequence).name, offset: 0, indexes: indexes,
                        fault: .missingSegment)
                ], lastKnown: lastRow.position)
        }
    }

    private mutating func readAll(_ file: FileHandle, most: UInt64) throws -> [UInt8] {
        try disk.read(file, at: 0, count: Int(min(disk.byteCount(file), most)))
    }

    private mutating func scanSegment(_ header: SegmentHeader, next: SegmentHeader?) throws
        -> SegmentScan
    {
        let name = JournalFile.segment(header.sequence).name
        let file = try disk.open(name, create: false)
        let index = try disk.open(JournalFile.index(header.sequence).name, create: true)
        let bytes = try readAll(file, most: header.byteCount)
        let indexBytes = try readAll(index, most: UInt64(Settings.segmentByteCountMax))
        let scan = SegmentScan(
            bytes, header: header, rows: IndexFile.rows(indexBytes, segment: header.id),
            seal: next.map { .init(end: $0.predecessorEnd, chain: $0.predecessorChain) },
            file: name)
        segments.append(
            Segment(
                header: header, file: file, index: index, indexByteCount: UInt64(indexBytes.count),
                end: scan.end, chain: scan.chain))
        return scan
    }

    /// Checks that the segments reach down to the base, and loads it.
    private mutating func adopt(_ log: RecoveredLog, _ run: [SegmentHeader]) throws -> Base {
        guard let first = run.first else { return .empty }
        let reference = log.standing.base
        if Self.firstNeeded(run, base: reference.position) == nil {
            let missing = JournalDamage(
                file: JournalFile.segment(first.sequence - 1).name, offset: 0,
                indexes: reference.position.index.next...first.previous.index,
                fault: .missingSegment)
            throw JournalError.damaged([missing], lastKnown: log.last)
        }
        let contents = try readBase(reference, lastKnown: log.last)
        try place(log, on: reference.position)
        base = reference
        hardState = log.standing.hardState
        return contents
    }

    private mutating func place(_ log: RecoveredLog, on position: Position) throws {
        let gone = position.index.distance(above: log.previous.index)
        let joins =
            gone == 0
            ? log.previous == position
            : gone <= UInt64(log.places.count) && log.places[Int(gone) - 1].term == position.term
        guard joins else {
            let why =
                "the log from \(log.previous) to \(log.last) does not contain its base \(position)"
            let damage = JournalDamage(
                file: segments.last.map { JournalFile.segment($0.header.sequence).name } ?? "",
                offset: 0, indexes: nil, fault: .inconsistent(why))
            throw JournalError.damaged([damage], lastKnown: log.last)
        }
        places = Array(log.places[Int(gone)...])
    }

    private mutating func readBase(_ reference: BaseReference, lastKnown: Position) throws -> Base {
        let name = JournalFile.base(reference.number).name
        func damaged(_ offset: Int, _ fault: JournalDamage.Fault) -> JournalError {
            let indexes = LogIndex(1)...max(LogIndex(1), reference.position.index)
            let damage = JournalDamage(
                file: name, offset: UInt64(offset), indexes: indexes, fault: fault)
            return .damaged([damage], lastKnown: lastKnown)
        }
        guard reference.number != 0 else {
            guard reference == BaseReference() else { throw damaged(0, .missingBase) }
            return .empty
        }
        nextBaseNumber = reference.number + 1
        do {
            let file = try disk.open(name, create: false)
            defer { disk.close(file) }
            let bytes = try readAll(file, most: UInt64(BaseFile.byteCountMax))
            return try BaseFile.parse(bytes, as: reference)
        } catch let refused as BaseFile.Refused {
            throw damaged(refused.offset, .base(refused.why))
        } catch let error as DiskError where error.cause == .missing {
            throw damaged(0, .missingBase)
        }
    }

    /// Removes what a crash left behind and nothing refers to.
    private mutating func removeLeftover(_ file: JournalFile, _ run: [SegmentHeader]) throws {
        let isLeftover =
            switch file {
            case .unfinished: true
            case .spare: false
            case .base(let number): number != base.number
            case .segment(let sequence), .index(let sequence):
                !run.contains { $0.sequence == sequence }
            }
        if isLeftover { try disk.remove(file.name) }
    }

    /// Makes safe what was found: after a failed sync the last batch may be readable in the cache
    /// and not on the platter, where only writing it again brings it (Rebello 2020, §4).
    private mutating func settle(_ tail: SegmentScan) throws {
        guard var segment = segments.last else { return }
        defer { segments[segments.count - 1] = segment }
        mustRotate = !tail.endsClean
        if let batch = tail.batches.last, !isPlanted(.trustsCacheAfterFailedSync) {
            let start = UInt64(batch.frame.start)
            let bytes = try disk.read(
                segment.file, at: start, count: batch.end - batch.frame.start)
            try disk.write(segment.file, at: start, [bytes])
            try disk.sync(segment.file)
        }
        try disk.syncDirectory()
        var rows = IndexFile.header(segment.header.id)
        let seed = IndexFile.seed(segment.header.id)
        for batch in tail.batches {
            for row in batch.rows { row.encode(seed: seed, into: &rows) }
        }
        try disk.write(segment.index, at: 0, [rows])
        segment.indexByteCount = UInt64(rows.count)
    }
}

/// The log as the segments, read in order, build it up.
private struct RecoveredLog {
    var previous = Position.zero
    var places: [EntryPlace] = []
    var configurations: [LogIndex] = []
    var standing = Standing()
    private var isEmpty = true

    init() {}

    var last: Position {
        guard let last = places.last else { return previous }
        return Position(index: previous.index.advanced(by: places.count), term: last.term)
    }

    mutating func take(_ scan: SegmentScan, of header: SegmentHeader) throws {
        if isEmpty || header.isReset {
            (previous, places, configurations) = (header.previous, [], [])
            isEmpty = false
        } else {
            let kept = Int(clamping: header.previous.index.distance(above: previous.index))
            let term =
                kept == 0 ? previous.term : kept <= places.count ? places[kept - 1].term : nil
            guard header.previous.index >= previous.index, term == header.previous.term else {
                let why = "it follows \(header.previous), which the segments before it don't hold"
                let damage = JournalDamage(
                    file: JournalFile.segment(header.sequence).name, offset: 0, indexes: nil,
                    fault: .inconsistent(why))
                throw JournalError.damaged([damage], lastKnown: last)
            }
            places.removeLast(places.count - kept)
            configurations.removeAll { $0 > header.previous.index }
        }
        standing = header.standing
        for batch in scan.batches {
            let segment = UInt32(truncatingIfNeeded: header.sequence)
            places += batch.entries.map { EntryPlace($0, in: segment) }
            configurations += batch.configurations
            standing = batch.frame.standing
        }
    }
}
