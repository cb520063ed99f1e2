internal import Mesh
package import Sealing

/// What an index segment says of itself, by its first and last bytes: which packs, which ids may be in it, and
/// in which of its blocks an id would be. The blocks are fetched and opened one by one.
///
/// A forged segment would let a backup skip what is stored nowhere (borg CVE-2023-36811), so nothing of it
/// is believed that does not open.
package struct IndexDirectory: Sendable {
    package let header: SealedHeader
    package let packs: [PackReference]
    package let locationCount: Int
    package let filter: IDFilter
    let key: SealKey
    /// Where the last piece ends, and where the closing one begins.
    let padding: Range<Int>
    private let firsts: [Digest]

    /// `head` are the segment's first bytes, at least the header; `tail` its last ones. Where those are too few,
    /// the failure says how many are wanted.
    package init(
        head: [UInt8], tail: [UInt8], of byteCount: Int, for place: SealedPlace
    ) throws(ObjectDamage) {
        guard byteCount <= IndexWriter.byteCountMax else { throw .oversized(byteCount) }
        (header, key) = try place.open(head, as: .index)
        let (words, start) = try SealedObject.closing(tail, of: byteCount, key: key)
        (packs, locationCount, filter, firsts) = try Self.read(words)
        let end = IndexBlock.end(locationCount)
        padding = try SealedObject.padding(behind: end, upTo: start)
    }

    package var blockCount: Int { firsts.count }

    /// The block that holds `id` if any does.
    package func block(of id: Digest) -> Int? {
        guard filter.mayHold(id) else { return nil }
        let behind = firsts.partitionPoint { $0 > id }
        return behind > 0 ? behind - 1 : nil
    }

    /// Where the block of that number lies in the segment.
    package func range(ofBlock number: Int) -> Range<Int> {
        IndexBlock.place(IndexBlock.locations(number, of: locationCount))
    }

    /// What the block of that number says, in the order of ids. `sealed` are the bytes at its place.
    package func locations(
        inBlock number: Int, _ sealed: Span<UInt8>
    ) throws(ObjectDamage) -> [BlobLocation] {
        let wanted = range(ofBlock: number)
        guard sealed.count == wanted.count else {
            throw .truncated(wanted: wanted.count, have: sealed.count)
        }
        guard let rows = key.open(sealed, number: UInt32(number), binding: []) else {
            throw .piece(UInt32(number), offset: wanted.lowerBound)
        }
        var reader = ByteReader(rows)
        var locations: [BlobLocation] = []
        let count = rows.count / BlobLocation.rowByteCount
        locations.reserveCapacity(count)
        for _ in 0..<count {
            guard let location = (try? BlobLocation(parsing: &reader, packs: packs)) ?? nil,
                locations.last.map({ $0.id < location.id }) ?? (location.id == firsts[number]),
                filter.mayHold(location.id)
            else { throw .contents("block \(number) says what no index says") }
            locations.append(location)
        }
        return locations
    }

    private static func read(_ words: [UInt8]) throws(ObjectDamage) -> (
        [PackReference], Int, IDFilter, [Digest]
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
            let bits = try reader.take(IDFilter.byteCount(of: locations))
            guard let filter = IDFilter(bits, idsMax: locations),
                try reader.take(reader.remaining)[...].isZero
            else { throw ObjectDamage.contents("it says more than an index says") }
            return (references, locations, filter, firsts)
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

/// Locations that are sealed together: 512 a block, the rest in the last one.
enum IndexBlock {
    static func locations(_ number: Int, of count: Int) -> Range<Int> {
        let first = number * IndexWriter.blockLocationsMax
        return first..<min(first + IndexWriter.blockLocationsMax, count)
    }

    static func ranges(_ count: Int) -> [Range<Int>] {
        let blocks = (count + IndexWriter.blockLocationsMax - 1) / IndexWriter.blockLocationsMax
        return (0..<blocks).map { locations($0, of: count) }
    }

    /// Where the block of those locations lies.
    static func place(_ locations: Range<Int>) -> Range<Int> {
        let number = locations.lowerBound / IndexWriter.blockLocationsMax
        let start =
            SealedHeader.byteCount + locations.lowerBound * BlobLocation.rowByteCount
            + number * SealKey.tagByteCount
        let count = locations.count * BlobLocation.rowByteCount + SealKey.tagByteCount
        return start..<start + count
    }

    /// Where the last block ends.
    static func end(_ count: Int) -> Int {
        ranges(count).last.map { place($0).upperBound } ?? SealedHeader.byteCount
    }
}
