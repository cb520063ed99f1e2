/// What a sync made safe, and what had been there: a range of one file.
struct PastWrite: Sendable {
    let file: Int
    let offset: Int
    let before: [UInt8]
}

/// A disk that says it wrote, and did not, or did elsewhere.
extension SimulatedDisk {
    private static var pastMax: Int { 16 }

    mutating func remember(_ number: Int) {
        guard let file = files[number] else { return }
        for run in file.dirty.runs {
            let start = run.lowerBound * Self.sectorByteCount
            let end = min(run.upperBound * Self.sectorByteCount, file.current.count)
            guard start < end else { continue }
            var before = [UInt8](repeating: 0, count: end - start)
            let kept = start..<max(start, min(end, file.durable.count))
            before.replaceSubrange(0..<kept.count, with: file.durable[kept])
            past.append(PastWrite(file: number, offset: start, before: before))
        }
        past.removeFirst(max(0, past.count - Self.pastMax))
    }

    /// The last writes that were acknowledged: where each one went.
    package var pastWrites: [(name: String, range: Range<Int>)] {
        past.map { write in
            let name = names.first { $0.value == write.file }?.key ?? ""
            return (name, write.offset..<write.offset + write.before.count)
        }
    }

    /// A lost write: what stood there before stands there again. Gives the bytes that are gone.
    @discardableResult
    package mutating func loseWrite(_ at: Int) -> [UInt8] {
        let write = past.remove(at: at)
        guard let file = files[write.file] else { return [] }
        let end = min(write.offset + write.before.count, file.current.count)
        guard write.offset < end else { return [] }
        let range = write.offset..<end
        let lost = Array(file.current[range])
        overwrite(write.file, at: write.offset, Array(write.before[..<range.count]))
        return lost
    }

    /// A misdirected write: it went to `offset` of the file of that name, and not where it should have.
    package mutating func misdirectWrite(_ at: Int, to name: String, offset: Int) {
        let bytes = loseWrite(at)
        guard let number = names[name] else { return }
        overwrite(number, at: offset, bytes)
    }

    /// What is there already changes, on the platter and in the cache; nothing gets longer.
    private mutating func overwrite(_ number: Int, at offset: Int, _ bytes: [UInt8]) {
        guard var file = files[number] else { return }
        for (at, byte) in bytes.enumerated() {
            if offset + at < file.current.count { file.current[offset + at] = byte }
            if offset + at < file.durable.count { file.durable[offset + at] = byte }
        }
        files[number] = file
    }
}
