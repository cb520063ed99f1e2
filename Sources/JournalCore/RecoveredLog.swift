import Mesh
import Record

/// The log as the segments, read in order, build it up.
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
            bad.removeAll { $0.index > header.previous.index }
        }
        standing = header.standing
        for batch in scan.batches {
            let segment = UInt32(truncatingIfNeeded: header.sequence)
            places += batch.entries.map { EntryPlace($0, in: segment) }
            configurations += batch.configurations
            bad += batch.bad.map(\.identity)
            standing = batch.frame.standing
        }
    }
}
