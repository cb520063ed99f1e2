import Mesh
import Record

/// The log as the segments, read in order, build it up. Holes of it that nobody misses count as so many
/// entries, of which nothing is known.
struct RecoveredLog {
    var previous = Position.zero
    var places: [EntryPlace] = []
    var configurations: [LogIndex] = []
    /// Entries of `places` whose bytes are not what was written.
    var bad: [EntryIdentity] = []
    var standing = Standing()
    private var isEmpty = true

    init() {}

    var last: Position {
        guard let last = places.last else { return previous }
        return Position(index: previous.index.advanced(by: places.count), term: last.term)
    }

    mutating func take(_ scan: SegmentScan, of header: SegmentHeader) throws {
        if isEmpty || header.isReset {
            (previous, places, configurations, bad) = (header.previous, [], [], [])
            isEmpty = false
        } else {
            let kept = Int(clamping: header.previous.index.distance(above: previous.index))
            guard header.previous.index >= previous.index, kept <= places.count,
                kept == 0
                    ? previous.term == header.previous.term
                    : places[kept - 1].isIn(header.previous.term)
            else { throw inconsistent(header, "it follows \(header.previous)") }
            if kept > 0 { places[kept - 1].term = header.previous.term }
            places.removeLast(places.count - kept)
            configurations.removeAll { $0 > header.previous.index }
            bad.removeAll { $0.index > header.previous.index }
        }
        standing = header.standing
        for batch in scan.batches {
            let segment = UInt32(truncatingIfNeeded: header.sequence)
            let before = batch.entries.first?.position.index.previous ?? batch.frame.before
            let term = batch.entries.first?.position.term ?? batch.frame.last.term
            guard before >= last.index, term >= last.term else {
                throw inconsistent(header, "a batch of it follows \(before) in term \(term)")
            }
            try skip(through: Position(index: before, term: .zero), in: header)
            places += batch.entries.map { EntryPlace($0, in: segment) }
            try skip(through: batch.frame.last, in: header)
            if let place = places.last, place.term == .zero, last.index == batch.frame.last.index {
                places[places.count - 1].term = batch.frame.last.term
            }
            guard ends(at: batch.frame.last) else {
                throw inconsistent(header, "a batch of it ends at \(batch.frame.last)")
            }
            configurations += batch.configurations
            bad += batch.bad.map(\.identity)
            standing = batch.frame.standing
        }
    }

    private func ends(at position: Position) -> Bool {
        last.index == position.index
            && places.last?.isIn(position.term) ?? (previous.term == position.term)
    }

    /// Counts what a hole of a segment held up to `position`, whose term may be unknown.
    private mutating func skip(through position: Position, in header: SegmentHeader) throws {
        let missing = position.index.distance(above: last.index)
        guard missing > 0 else { return }
        guard missing <= header.byteCount / UInt64(Entry.headerByteCount) else {
            throw inconsistent(header, "\(missing) entries have no room before \(position)")
        }
        places += repeatElement(EntryPlace.unknown, count: Int(missing))
        places[places.count - 1].term = position.term
    }

    private func inconsistent(_ header: SegmentHeader, _ what: String) -> JournalError {
        let damage = JournalDamage(
            file: JournalFile.segment(header.sequence).name, offset: 0, indexes: nil,
            fault: .inconsistent("\(what), which the segments before it don't hold"))
        return .damaged([damage], lastKnown: last)
    }
}
