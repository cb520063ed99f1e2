/// What a sync made safe, and what had been there: a range of one file.
struct PastWrite: Sendable {
    let file: Int
    let range: Range<Int>
    /// Zeros follow: the file ended there.
    let before: [UInt8]
}

/// A disk that says it wrote, and did not, or did elsewhere.
extension SimulatedDisk {
    private static var pastMax: Int { 16 }

    mutating func remember(_ writes: [PastWrite]) {
        past += writes
        past.removeFirst(max(0, past.count - Self.pastMax))
    }

    /// The last writes that were acknowledged: where each one went.
    package var pastWrites: [(name: String, range: Range<Int>)] {
        past.map { write in
            let name = names.first { $0.value == write.file }?.key ?? ""
            return (name, write.range)
        }
    }

    /// A lost write: what stood there before stands there again. Gives the bytes that are gone.
    @discardableResult
    package mutating func loseWrite(_ at: Int) -> [UInt8] {
        let write = past.remove(at: at)
        guard let file = files[write.file] else { return [] }
        let range = write.range.clamped(to: 0..<file.current.count)
        guard !range.isEmpty else { return [] }
        let lost = Array(file.current[range])
        let zeros = [UInt8](repeating: 0, count: write.range.count - write.before.count)
        overwrite(
            write.file, at: range.lowerBound, Array((write.before + zeros).prefix(range.count)))
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
        files.change(number) { file in
            for (at, byte) in bytes.enumerated() {
                file.change(offset + at) { $0 = byte }
            }
        }
    }
}
