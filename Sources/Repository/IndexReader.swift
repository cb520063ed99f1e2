internal import Mesh
package import Sealing

/// An index segment whose bytes are at hand. A forged one would let a backup skip what is stored
/// nowhere (borg CVE-2023-36811), so nothing of it is believed that does not open.
package struct IndexReader: Sendable {
    package let header: SealedHeader
    package let packs: [PackReference]
    private let bytes: [UInt8]
    private let key: SealKey
    private let blocks: [Range<Int>]
    private let firsts: [Digest]

    /// Reads what the segment says of itself; its blocks are opened when they are asked for.
    package init(_ bytes: [UInt8], for place: SealedPlace) throws(ObjectDamage) {
        guard bytes.count <= IndexWriter.byteCountMax else { throw .oversized(bytes.count) }
        (header, key) = try place.open(bytes, as: .index)
        let (words, start) = try SealedObject.closing(bytes, of: bytes.count, key: key)
        let locationCount: Int
        (packs, locationCount, firsts) = try Self.directory(words)
        blocks = IndexBlock.ranges(locationCount)
        let end = blocks.last.map { IndexBlock.place($0).upperBound } ?? SealedHeader.byteCount
        guard end <= start, SealedObject.isPadding(end..<start) else {
            throw .contents("its blocks end at \(end), not at \(start)")
        }
        try SealedObject.checkPadding(bytes, end..<start, key: key)
        self.bytes = bytes
    }

    package var blockCount: Int { blocks.count }

    /// Where the blob of that id lies; nil where this segment does not know it.
    package func location(of id: Digest) throws(ObjectDamage) -> BlobLocation? {
        let behind = firsts.partitionPoint(where: { $0 > id })
        guard behind > 0 else { return nil }
        return try find(id, inBlock: behind - 1)
    }

    private func find(_ id: Digest, inBlock number: Int) throws(ObjectDamage) -> BlobLocation? {
        let rows = try rows(number)
        let size = BlobLocation.rowByteCount
        let low = (0..<blocks[number].count).partitionPoint { at in
            Digest(rows.span.extracting(at * size..<at * size + Digest.byteCount)) >= id
        }
        guard low < blocks[number].count else { return nil }
        var reader = ByteReader(rows, in: low * size..<(low + 1) * size)
        let found = (try? BlobLocation(parsing: &reader, packs: packs)) ?? nil
        guard let found else { throw Self.unlawful(number) }
        return found.id == id ? found : nil
    }

    /// What that block says, in the order of ids.
    package func locations(inBlock number: Int) throws(ObjectDamage) -> [BlobLocation] {
        var reader = ByteReader(try rows(number))
        var locations: [BlobLocation] = []
        locations.reserveCapacity(blocks[number].count)
        for _ in blocks[number] {
            guard let location = (try? BlobLocation(parsing: &reader, packs: packs)) ?? nil,
                locations.last.map({ $0.id < location.id }) ?? (location.id == firsts[number])
            else { throw Self.unlawful(number) }
            locations.append(location)
        }
        return locations
    }

    private func rows(_ number: Int) throws(ObjectDamage) -> [UInt8] {
        let range = IndexBlock.place(blocks[number])
        let sealed = bytes.span.extracting(range)
        guard let rows = key.open(sealed, number: UInt32(number), binding: []) else {
            throw .piece(UInt32(number), offset: range.lowerBound)
        }
        return rows
    }

    private static func unlawful(_ number: Int) -> ObjectDamage {
        .contents("block \(number) says what no index says")
    }

    private static func directory(_ words: [UInt8]) throws(ObjectDamage) -> (
        [PackReference], Int, [Digest]
    ) {
        try ObjectDamage.reading(orCutOff: "its directory is cut off") {
            var reader = ByteReader(words)
            let packs = try count("packs", &reader)
            let references = try (0..<packs).map { _ in try PackReference(parsing: &reader) }
            let locations = try count("locations", &reader)
            let firsts = try IndexBlock.ranges(locations).map { _ in try Digest(parsing: &reader) }
            guard zip(firsts, firsts.dropFirst()).allSatisfy({ $0 < $1 }) else {
                throw ObjectDamage.contents("its blocks are not in the order of ids")
            }
            return (references, locations, firsts)
        }
    }

    private static func count(_ what: String, _ reader: inout ByteReader) throws -> Int {
        let count = Int(try reader.u32())
        guard count <= IndexWriter.locationsMax else {
            throw ObjectDamage.contents("it counts \(count) \(what)")
        }
        return count
    }
}

extension RandomAccessCollection where Index == Int {
    /// The first for which `isBehind` holds; it has to hold for all behind that one.
    func partitionPoint(where isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
