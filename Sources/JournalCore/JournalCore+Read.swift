import Disk
package import Mesh
package import Record

extension JournalCore {
    /// The entries from `first` through `through`, of which at least one and at most what fits into
    /// `bytesMax`; each is checked against its checksum and its place.
    ///
    /// Both ends must lie in the log.
    package mutating func entries(
        from first: LogIndex, through: LogIndex, bytesMax: Int
    ) throws(JournalError) -> [Entry] {
        if let failure { throw failure }
        invariant(
            firstIndex <= first && first <= through && through <= last.index,
            "entries \(first)...\(through) of \(firstIndex)...\(last.index)")
        var number = Int(first.distance(above: base.position.index)) - 1
        let end = Int(through.distance(above: base.position.index))
        var entries: [Entry] = []
        var left = bytesMax
        while number < end {
            var run = [places[number]]
            guard entries.isEmpty || Int(run[0].byteCount) <= left else { break }
            left -= Int(run[0].byteCount)
            while number + run.count < end {
                let next = places[number + run.count]
                let former = run[run.count - 1]
                guard next.segment == former.segment,
                    next.offset == former.offset + former.byteCount, Int(next.byteCount) <= left
                else { break }
                left -= Int(next.byteCount)
                run.append(next)
            }
            try read(run, from: firstIndex.advanced(by: number), into: &entries)
            number += run.count
        }
        return entries
    }

    /// The entries that say who the members are, wherever they lie.
    package mutating func configurations(_ recovered: Recovered) throws(JournalError) -> [Entry] {
        var entries: [Entry] = []
        for index in recovered.configurations {
            entries += try self.entries(from: index, through: index, bytesMax: .max)
        }
        return entries
    }

    /// Reads `run`, whose records lie one behind the other, at once.
    private mutating func read(
        _ run: [EntryPlace], from first: LogIndex, into entries: inout [Entry]
    ) throws(JournalError) {
        let head = run[0]
        let oldest = UInt32(truncatingIfNeeded: segments[0].header.sequence)
        let segment = segments[Int(head.segment &- oldest)]
        let count = run.reduce(0) { $0 + Int($1.byteCount) }
        let bytes: [UInt8]
        do {
            bytes = try disk.read(segment.file, at: UInt64(head.offset), count: count)
        } catch {
            throw .disk(error)
        }
        var offset = 0
        for (number, place) in run.enumerated() {
            let position = Position(index: first.advanced(by: number), term: place.term)
            func damaged(_ why: String) -> JournalError {
                let damage = JournalDamage(
                    file: JournalFile.segment(segment.header.sequence).name,
                    offset: UInt64(place.offset), indexes: position.index...position.index,
                    fault: .records(why))
                return .damaged([damage], lastKnown: last)
            }
            do {
                let entry = try Entry(parsing: bytes, at: offset)
                guard entry.position == position, entry.checksum == place.checksum,
                    entry.bytes.count == Int(place.byteCount)
                else { throw damaged("\(entry.position) stands where \(position) was written") }
                entries.append(entry)
            } catch let refused as EntryRefused {
                throw damaged(refused.description)
            } catch let error as JournalError {
                throw error
            } catch {
                throw Self.wrapped(error)
            }
            offset += Int(place.byteCount)
        }
    }
}
