internal import Mesh
internal import Record

/// Makes all checksums of a journal right, in the order in which one covers another: the base's
/// contents, then each segment from its header along the chain of its frames, then its index.
extension JournalFiles {
    private static let blockByteCount = 4_096
    private static let frameByteCount = 128
    private static let frameMagic: UInt64 = 0x3146_434a_444c_4f48
    private static let chunkByteCount = 64 << 10

    /// A segment's end, for its successor and its index.
    private struct End {
        var id: [UInt8]
        var offset: Int
        var chain: UInt64
    }

    mutating func seal(linking: Bool) {
        for at in files.indices where files[at].kind == .base { sealBase(at) }
        var end: End?
        let segments = files.indices.filter { files[$0].kind == .segment }
            .sorted { files[$0].number < files[$1].number }
        for at in segments where files[at].bytes.count >= Self.blockByteCount {
            if linking { link(at, behind: end) }
            end = sealSegment(at, linking: linking)
            sealIndex(files[at].number, of: end)
        }
    }

    private func load(_ at: Int, _ offset: Int, _ count: Int) -> UInt64 {
        files[at].bytes.load(at: offset, count: count)
    }

    private mutating func store(_ value: UInt64, _ at: Int, _ offset: Int, _ count: Int) {
        files[at].bytes.store(value, at: offset, count: count)
    }

    private mutating func checksum(
        _ at: Int, _ range: Range<Int>, into place: Int, seed: UInt64 = 0
    ) {
        let sum = Checksum.crc32c(
            files[at].bytes, in: range, seed: UInt32(truncatingIfNeeded: seed))
        store(UInt64(sum), at, place, 4)
    }

    private mutating func sealBase(_ at: Int) {
        let count = files[at].bytes.count
        guard count >= 64 else { return }
        checksum(at, 12..<64, into: 8)
        let seed = load(at, 8, 4)
        var (offset, number) = (64, UInt64(0))
        while offset + 8 <= count {
            let end = min(offset + 8 + Int(load(at, offset + 4, 4)), count)
            checksum(at, offset + 8..<end, into: offset, seed: seed + number)
            (offset, number) = (end, number + 1)
        }
    }

    /// What names the base at `place` in a standing gets the checksum of what that base holds.
    private mutating func linkStanding(_ at: Int, _ place: Int) {
        let number = load(at, place + 32, 8)
        guard let base = files.first(where: { $0.kind == .base && $0.number == number }),
            base.bytes.count >= 72
        else { return }
        let contents = Array(base.bytes[72...])
        store(UInt64(Checksum.crc32c(contents)), at, place + 56, 4)
        store(UInt64(contents.count), at, place + 60, 4)
    }

    private mutating func link(_ at: Int, behind end: End?) {
        store(UInt64(files[at].bytes.count), at, 112, 8)
        store(files[at].number, at, 56, 8)
        guard let end else { return }
        files[at].bytes.replaceSubrange(80..<96, with: end.id)
        store(UInt64(end.offset), at, 96, 8)
        store(end.chain, at, 104, 4)
    }

    private mutating func sealSegment(_ at: Int, linking: Bool) -> End {
        linkStanding(at, 120)
        checksum(at, 12..<Self.blockByteCount, into: 8)
        var end = End(
            id: Array(files[at].bytes[40..<56]), offset: Self.blockByteCount,
            chain: load(at, 8, 4))
        var block = 2 * Self.blockByteCount
        while block <= files[at].bytes.count {
            sealFrame(at, block - Self.frameByteCount, linking: linking, &end)
            block += Self.blockByteCount
        }
        return end
    }

    private mutating func sealFrame(_ at: Int, _ frame: Int, linking: Bool, _ end: inout End) {
        let start = Int(clamping: load(at, frame + 32, 8))
        guard load(at, frame, 8) == Self.frameMagic, start >= Self.blockByteCount, start <= frame
        else { return }
        if linking {
            files[at].bytes.replaceSubrange(frame + 16..<frame + 32, with: end.id)
            store(end.chain, at, frame + 44, 4)
        }
        linkStanding(at, frame + 64)
        Seal.records(&files[at].bytes, from: start, before: frame)
        var seed = Array(files[at].bytes[frame + 16..<frame + 40])
        seed += files[at].bytes[frame + 44..<frame + 48]
        checksum(at, start..<frame, into: frame + 12, seed: UInt64(Checksum.crc32c(seed)))
        checksum(at, frame + 12..<frame + Self.frameByteCount, into: frame + 8)
        (end.offset, end.chain) = (frame + Self.frameByteCount, load(at, frame + 8, 4))
    }

    private mutating func sealIndex(_ number: UInt64, of end: End?) {
        guard let end,
            let at = files.firstIndex(where: { $0.kind == .index && $0.number == number }),
            files[at].bytes.count >= 40
        else { return }
        checksum(at, 12..<40, into: 8)
        let seed = UInt64(Checksum.crc32c(end.id))
        var row = 40
        while row + 40 <= files[at].bytes.count {
            checksum(at, row + 4..<row + 40, into: row, seed: seed)
            row += 40
        }
    }
}
