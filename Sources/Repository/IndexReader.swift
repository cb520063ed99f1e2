internal import Mesh
package import Sealing

/// An index segment whose bytes are at hand. A forged one would let a backup skip what is stored
/// nowhere (borg CVE-2023-36811), so nothing of it is believed that does not open.
package struct IndexReader: Sendable {
    package let header: SealedHeader
    private let bytes: [UInt8]
    private let key: SealKey
    private let packs: [Digest]
    private let blocks: [IndexBlock]

    /// Reads what the segment says of itself; its blocks are opened when they are asked for.
    package init(_ bytes: [UInt8], for place: SealedPlace) throws(ObjectDamage) {
        guard bytes.count <= IndexWriter.byteCountMax else { throw .oversized(bytes.count) }
        (header, key) = try place.open(bytes, as: .index)
        let (words, end) = try SealedObject.closing(bytes, key: key)
        (packs, blocks) = try Self.directory(words, end: end)
        self.bytes = bytes
    }

    package var blockCount: Int { blocks.count }

    /// Where the blob of that id lies; nil where this segment does not know it.
    package func location(of id: Digest) throws(ObjectDamage) -> BlobLocation? {
        guard let block = block(of: id) else { return nil }
        let locations = try locations(inBlock: block)
        let at = locations.firstAscending(where: { $0.id >= id })
        return at < locations.count && locations[at].id == id ? locations[at] : nil
    }

    /// The only block that can tell of that id; nil where it lies before all that the segment knows.
    package func block(of id: Digest) -> Int? {
        let behind = blocks.firstAscending(where: { $0.first > id })
        return behind > 0 ? behind - 1 : nil
    }

    /// What that block says, in the order of ids.
    package func locations(inBlock number: Int) throws(ObjectDamage) -> [BlobLocation] {
        let block = blocks[number]
        let sealed = bytes.span.extracting(block.offset..<block.offset + block.byteCount)
        guard let rows = key.open(sealed, number: UInt32(number), binding: []) else {
            throw .piece(UInt32(number), offset: block.offset)
        }
        var locations: [BlobLocation] = []
        locations.reserveCapacity(block.count)
        var reader = ByteReader(rows)
        for _ in 0..<block.count {
            guard let location = (try? BlobLocation(parsing: &reader, packs: packs)) ?? nil,
                locations.last.map({ $0.id < location.id }) ?? (location.id == block.first)
            else { throw .contents("block \(number) says what no index says") }
            locations.append(location)
        }
        return locations
    }

    private static func directory(_ words: [UInt8], end: Int) throws(ObjectDamage) -> (
        [Digest], [IndexBlock]
    ) {
        do {
            var reader = ByteReader(words)
            let packs = try names(&reader)
            let count = Int(try reader.u32())
            guard count <= IndexWriter.locationsMax else {
                throw ObjectDamage.contents("it counts \(count) blocks")
            }
            var blocks: [IndexBlock] = []
            var offset = SealedHeader.byteCount
            for number in 0..<count {
                let first = try Digest(parsing: &reader)
                let block = IndexBlock(first: first, count: Int(try reader.u32()), offset: offset)
                guard (1...IndexWriter.blockLocationsMax).contains(block.count),
                    blocks.last.map({ $0.first < first }) ?? true
                else { throw ObjectDamage.contents("its block \(number) is none") }
                blocks.append(block)
                offset += block.byteCount
            }
            guard offset == end else {
                throw ObjectDamage.contents("its blocks end at \(offset), not at \(end)")
            }
            return (packs, blocks)
        } catch let damage as ObjectDamage {
            throw damage
        } catch {
            throw .contents("its directory is cut off")
        }
    }

    private static func names(_ reader: inout ByteReader) throws -> [Digest] {
        let count = Int(try reader.u32())
        guard count <= IndexWriter.locationsMax else {
            throw ObjectDamage.contents("it counts \(count) packs")
        }
        return try (0..<count).map { _ in try Digest(parsing: &reader) }
    }
}

extension Array {
    /// The first for which `isBehind` holds; it has to hold for all behind that one.
    func firstAscending(where isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
