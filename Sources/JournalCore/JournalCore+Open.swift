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
    /// On failure `disk` is what it has become; nothing acknowledged was changed. `resolution` says
    /// what to do about damage that could not be made good in its place.
    package static func open(
        _ disk: inout D, settings: Settings, random: SeededRandom,
        resolving resolution: LogResolution = .none
    ) throws(JournalError) -> (journal: JournalCore, recovered: Recovered) {
        var journal = JournalCore(disk: disk, settings: settings, random: random)
        defer { disk = journal.disk }
        do {
            let recovered = try journal.recover(resolution)
            return (journal, recovered)
        } catch {
            journal.closeFiles()
            throw (error as? JournalError) ?? wrapped(error)
        }
    }

    private mutating func recover(_ resolution: LogResolution) throws -> Recovered {
        let files = try disk.list().compactMap(JournalFile.init)
        let survey = try survey(files)
        if let damage = survey.damage(self), !resolution.resolves(damage, survey.isPatched) {
            throw JournalError.mendable(damage)
        }
        for file in files { try removeLeftover(file, survey.run) }
        for case .spare(let sequence) in files { try keepSpare(sequence) }
        try removeOldSegments()
        let tail = survey.scans.last
        if let tail { try settle(tail) }
        var contents = survey.base ?? .empty
        switch resolution {
        case .none: break
        case .base(let taken):
            try write(
                MergedChange([LogChange(base: taken, hardState: knowing(taken))], onto: self))
            contents = taken
        case .cut(let index): try write(MergedChange(cutting: index, of: self))
        }
        return Recovered(
            hardState: hardState, base: contents,
            positions: places.enumerated().map { offset, place in
                Position(index: firstIndex.advanced(by: offset), term: place.term)
            },
            configurations: survey.log.configurations.filter {
                $0 > base.position.index && $0 <= last.index
            }, last: last, tornTail: tail.flatMap { tornTail($0) })
    }

    /// A node knows the term of all it holds. It has voted for nobody in one that it never was in.
    private func knowing(_ taken: Base) -> HardState {
        var state = hardState
        state.commit = max(state.commit, taken.position.index)
        if taken.position.term > state.term {
            (state.term, state.vote) = (taken.position.term, nil)
        }
        return state
    }

    private func tornTail(_ tail: SegmentScan) -> Recovered.TornTail? {
        guard let torn = tail.torn, let segment = segments.last else { return nil }
        return Recovered.TornTail(
            file: JournalFile.segment(segment.header.sequence).name,
            offset: UInt64(torn.lowerBound), byteCount: torn.count)
    }

    /// Removes what a crash left behind and nothing refers to.
    private mutating func removeLeftover(_ file: JournalFile, _ run: [SegmentHeader]) throws {
        let isLeftover =
            switch file {
            case .unfinished: true
            case .spare: false
            case .base(let number), .copy(let number): number != base.number
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
        var header = segment.header
        let encoded = header.encoded()
        var rows = IndexFile.header(segment.header, encoded)
        let seed = IndexFile.seed(segment.header.id)
        // What else it says stays: the next opening must read of holes what this one did.
        for row in tail.rowsOfNoBatch { row.encode(seed: seed, into: &rows) }
        for batch in tail.batches {
            IndexFile.encode(batch.provenRows, batch.frame.standing, seed: seed, into: &rows)
        }
        try disk.write(segment.index, at: 0, [rows])
        try disk.sync(segment.index)
        segment.indexByteCount = UInt64(rows.count)
    }
}
