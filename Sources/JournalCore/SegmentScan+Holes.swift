import Mesh
import Record

/// What a segment's index still says of what can't be told.
extension SegmentScan {
    func place(
        _ fault: JournalDamage.Fault, _ range: Range<Int>, _ next: FoundFrame?
    ) -> JournalDamage {
        let named = rows.filter { $0.kind == .entry && range.contains(Int($0.offset)) }
        var indexes: ClosedRange<LogIndex>?
        if let first = named.map(\.position.index).min(),
            let last = named.map(\.position.index).max()
        {
            indexes = first...last
        } else if let next {
            let from = lastKnown.index.next
            if from <= next.frame.before { indexes = from...next.frame.before }
        }
        return JournalDamage(
            file: file, offset: UInt64(range.lowerBound), indexes: indexes, fault: fault)
    }

    /// The records of a batch that are bad; where the index names them, one by one.
    func records(_ bytes: [UInt8], of found: FoundFrame, after: Position)
        -> [JournalDamage]
    {
        let range = found.frame.start..<found.offset
        let named = rows.filter { $0.kind == .entry && range.contains(Int($0.offset)) }
        var places: [JournalDamage] = []
        for row in named {
            let own = Int(row.offset)..<Int(row.offset) + 1
            do {
                let entry = try Entry(parsing: bytes, at: Int(row.offset))
                if entry.position == row.position && entry.checksum == row.checksum { continue }
                places.append(place(.records("another entry stands here"), own, nil))
            } catch {
                places.append(place(.records(error.description), own, nil))
            }
        }
        guard places.isEmpty else { return places }
        let through = found.frame.last.index
        let lies = !named.isEmpty || found.frame.entryCount == 0 || after.index >= through
        return [
            JournalDamage(
                file: file, offset: UInt64(range.lowerBound),
                indexes: lies ? nil : after.index.next...through,
                fault: .records("the batch does not match its checksum"))
        ]
    }
}

extension Batch {
    /// Of which only the frame is known.
    init(_ found: FoundFrame) {
        self.init(
            frame: found.frame, frameOffset: found.offset, chain: found.chain, entries: [])
    }
}
