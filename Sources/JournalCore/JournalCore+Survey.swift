import Disk
import Mesh
import Record

/// What the files hold, as far as it can be told.
struct Survey: Sendable {
    /// The segments up to the newest that follow each other without a hole.
    var run: [SegmentHeader] = []
    var scans: [SegmentScan] = []
    var log = RecoveredLog()
    /// nil where neither of its files can be read.
    var base: Base?
    /// Which of its files is to be written from the other one.
    var baseToWrite: JournalFile?
    /// What stands elsewhere too, and is to be written where it should be.
    var patches: [Patch] = []
    var places: [JournalDamage] = []

    /// Nothing stands here twice and once wrongly.
    var isPatched: Bool { patches.isEmpty && baseToWrite == nil }

    /// nil where nothing is missing that is still needed.
    func damage<D: Disk>(_ journal: JournalCore<D>) -> LogDamage? {
        let reference = journal.base
        let missing = log.bad.filter { $0.index > reference.position.index }
        guard !missing.isEmpty || !isPatched || base == nil else { return nil }
        let lacking = BaseIdentity(
            position: reference.position, checksum: reference.checksum,
            byteCount: reference.contentsByteCount)
        return LogDamage(
            places: places, missing: missing, base: base == nil ? lacking : nil,
            basePosition: reference.position, last: log.last, commit: journal.hardState.commit)
    }
}

/// Reads what the files hold, and changes nothing.
extension JournalCore {
    /// Takes over all that can be told; throws where something can't.
    mutating func survey(_ files: [JournalFile]) throws -> Survey {
        var survey = Survey()
        survey.run = try Self.run(readHeaders(files, &survey))
        try checkIndexes(files, after: survey.run.last)
        for (offset, header) in survey.run.enumerated() {
            let next = offset + 1 < survey.run.count ? survey.run[offset + 1] : nil
            survey.scans.append(try scanSegment(header, next: next))
        }
        guard let first = survey.run.first, let newest = survey.run.last,
            let tail = survey.scans.last
        else {
            survey.base = .empty
            return survey
        }
        let reference = (tail.batches.last?.frame.standing ?? newest.standing).base
        let needed = Self.firstNeeded(survey.run, base: reference.position)
        let live = survey.scans[(needed ?? 0)...]
        let missed = survey.missed(from: needed ?? 0, base: reference.position.index)
        survey.places += missed + live.flatMap(\.faults)
        survey.patches += live.flatMap(\.patches)
        guard missed.isEmpty else {
            let known = survey.scans.map(\.lastKnown).max() ?? .zero
            throw JournalError.damaged(survey.places, lastKnown: known)
        }
        for (scan, header) in zip(survey.scans, survey.run).dropFirst(needed ?? 0) {
            try survey.log.take(scan, of: header)
        }
        guard needed != nil else {
            let missing = JournalDamage(
                file: JournalFile.segment(first.sequence - 1).name, offset: 0,
                indexes: reference.position.index.next...first.previous.index,
                fault: .missingSegment)
            throw JournalError.damaged([missing], lastKnown: survey.log.last)
        }
        try adopt(&survey)
        return survey
    }

    private mutating func adopt(_ survey: inout Survey) throws {
        let reference = survey.log.standing.base
        try readBase(reference, &survey)
        try place(survey.log, on: reference.position)
        base = reference
        hardState = survey.log.standing.hardState
    }

    private mutating func readHeaders(_ files: [JournalFile], _ survey: inout Survey) throws
        -> [SegmentHeader]
    {
        var headers: [SegmentHeader] = []
        for case .segment(let sequence) in files {
            headers.append(try readHeader(sequence, &survey))
        }
        return headers
    }

    private mutating func readHeader(_ sequence: UInt64, _ survey: inout Survey) throws
        -> SegmentHeader
    {
        let name = JournalFile.segment(sequence).name
        let file = try disk.open(name, create: false)
        defer { disk.close(file) }
        let byteCount = try disk.byteCount(file)
        let shortest = UInt64(SegmentHeader.byteCount)
        guard byteCount >= shortest else { throw Self.damaged(name, "the file is too short") }
        let refusal: JournalError
        do {
            let header = try SegmentHeader(
                parsing: disk.read(file, at: 0, count: SegmentHeader.byteCount))
            try refuseForeign(header, name)
            if header.sequence == sequence {
                guard byteCount == header.byteCount,
                    byteCount <= UInt64(Settings.segmentByteCountMax)
                else {
                    throw Self.damaged(name, "\(byteCount) bytes instead of \(header.byteCount)")
                }
                return header
            }
            refusal = Self.stale(name, "it is segment \(header.sequence) under another name")
        } catch let refused as SegmentHeader.Refused {
            if case .version(let version) = refused {
                throw JournalError.unknownVersion(file: name, version: version)
            }
            refusal = Self.damaged(name, refused.words)
        }
        guard var copy = try headerCopy(sequence), copy.byteCount == byteCount else {
            throw refusal
        }
        try refuseForeign(copy, name)
        survey.patches.append(Patch(file: name, offset: 0, bytes: copy.encoded()))
        survey.places += refusal.places
        return copy
    }

    private func refuseForeign(_ header: SegmentHeader, _ name: String) throws {
        guard header.cluster == settings.cluster, header.group == settings.group else {
            throw JournalError.foreign(file: name, cluster: header.cluster, group: header.group)
        }
    }

    /// What the index of that number says of its segment's header.
    private mutating func headerCopy(_ sequence: UInt64) throws -> SegmentHeader? {
        let file: FileHandle
        do { file = try disk.open(JournalFile.index(sequence).name, create: false) } catch {
            guard error.cause == .missing else { throw error }
            return nil
        }
        defer { disk.close(file) }
        let bytes = try readAll(file, most: UInt64(Settings.segmentByteCountMax))
        let copy = IndexFile.segment(bytes).flatMap { IndexPiece.header(bytes, of: $0) }
        return copy?.sequence == sequence ? copy : nil
    }

    private static func damaged(_ name: String, _ why: String) -> JournalError {
        let place = JournalDamage(
            file: name, offset: 0, indexes: nil, fault: .segmentHeader(why))
        return .damaged([place], lastKnown: .zero)
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
            bytes, header: header, index: indexBytes,
            seal: next.map { .init(end: $0.predecessorEnd, chain: $0.predecessorChain) },
            file: name)
        segments.append(
            Segment(
                header: header, file: file, index: index, indexByteCount: UInt64(indexBytes.count),
                end: scan.end, chain: scan.chain))
        return scan
    }

    private mutating func place(_ log: RecoveredLog, on position: Position) throws {
        let gone = position.index.distance(above: log.previous.index)
        let joins =
            gone == 0
            ? log.previous == position
            : gone <= UInt64(log.places.count)
                && log.places[Int(gone) - 1].isIn(position.term)
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

    /// Reads the base, or its copy.
    private mutating func readBase(_ reference: BaseReference, _ survey: inout Survey) throws {
        guard reference.number != 0 else {
            guard reference == BaseReference() else {
                let place = Self.damaged(reference, .base(0), 0, .missingBase)
                throw JournalError.damaged([place], lastKnown: survey.log.last)
            }
            return survey.base = .empty
        }
        nextBaseNumber = reference.number + 1
        let own = try readBase(reference, as: .base(reference.number))
        let copy = try readBase(reference, as: .copy(reference.number))
        survey.base = (try? own.get()) ?? (try? copy.get())
        if case .failure(let place) = own {
            survey.places.append(place)
            survey.baseToWrite = survey.base.map { _ in .base(reference.number) }
        } else if case .failure(let place) = copy, place.fault != .missingBase {
            // What was written before there were copies has none, and needs none.
            survey.places.append(place)
            survey.baseToWrite = .copy(reference.number)
        }
    }

    private static func damaged(
        _ reference: BaseReference, _ name: JournalFile, _ offset: Int,
        _ fault: JournalDamage.Fault
    ) -> JournalDamage {
        let indexes = LogIndex(1)...max(LogIndex(1), reference.position.index)
        return JournalDamage(
            file: name.name, offset: UInt64(offset), indexes: indexes, fault: fault)
    }

    /// The base that the file of that name holds, or what is wrong with it.
    private mutating func readBase(_ reference: BaseReference, as name: JournalFile) throws
        -> Result<Base, JournalDamage>
    {
        do {
            let file = try disk.open(name.name, create: false)
            defer { disk.close(file) }
            let bytes = try readAll(file, most: UInt64(BaseFile.byteCountMax))
            return .success(try BaseFile.parse(bytes, as: reference))
        } catch let refused as BaseFile.Refused {
            return .failure(Self.damaged(reference, name, refused.offset, .base(refused.why)))
        } catch let error as DiskError where error.cause == .missing {
            return .failure(Self.damaged(reference, name, 0, .missingBase))
        }
    }
}
