internal import Mesh
package import Sealing

/// An index segment that is whole, and will never change.
package struct IndexSegment: Sendable {
    package let name: Digest
    package let bytes: [UInt8]
    package let locationCount: Int
    /// What it says of itself.
    package let directory: IndexDirectory
}

/// Puts an index segment together: where blobs lie, in the order of their ids.
package struct IndexWriter: ~Copyable {
    /// 14 MiB: a segment that is lost is made again in a second.
    package static let locationsMax = 1 << 18
    /// One look-up opens one block.
    static let blockLocationsMax = 512
    /// No segment is larger: each location could be of a pack of its own.
    package static let byteCountMax =
        locationsMax * (BlobLocation.rowByteCount + PackReference.byteCount + 3) + (64 << 10)

    package private(set) var locationCount = 0
    private var rows: [UInt8] = []
    private var last: Digest?
    private var firsts: [Digest] = []
    private var numbers: [Digest: UInt32] = [:]
    private var packs: [PackReference] = []
    private let place: SealedPlace

    package init(in place: SealedPlace) { self.place = place }

    package var isFull: Bool { locationCount >= Self.locationsMax }

    /// Locations come in the order of their ids. Of two with one id the first counts: two agents that met the
    /// same cell at once have both stored it.
    package mutating func add(_ location: BlobLocation) {
        invariant(!isFull, "a full segment takes no more")
        if let last {
            invariant(last <= location.id, "locations in the order of their ids")
            if last == location.id { return }
        }
        last = location.id
        if locationCount % Self.blockLocationsMax == 0 { firsts.append(location.id) }
        location.append(to: &rows, pack: number(of: location.pack))
        locationCount += 1
    }

    private mutating func number(of pack: PackReference) -> UInt32 {
        if let number = numbers[pack.name] { return number }
        let number = UInt32(packs.count)
        numbers[pack.name] = number
        packs.append(pack)
        return number
    }

    /// Seals what was added. `random` is drawn for this segment.
    package consuming func finish(random: Salt) throws(ObjectDamage) -> IndexSegment {
        var words: [UInt8] = []
        words.append(littleEndian: UInt32(packs.count))
        for pack in packs { pack.append(to: &words) }
        words.append(littleEndian: UInt32(locationCount))
        for first in firsts { first.append(to: &words) }
        words += filter().bytes
        let header = place.header(.index, salt: place.key.salt(random, for: rows + words))
        let key = place.key.key(of: header)
        var bytes = header.encoded
        bytes.reserveCapacity(rows.count + words.count + (64 << 10))
        for (number, block) in IndexBlock.ranges(locationCount).enumerated() {
            let own =
                block.lowerBound * BlobLocation.rowByteCount..<block.upperBound
                * BlobLocation.rowByteCount
            key.seal(rows.span.extracting(own), number: UInt32(number), binding: [], onto: &bytes)
        }
        SealedObject.close(&bytes, words, key: key)
        return IndexSegment(
            name: Digest(of: bytes.span), bytes: bytes, locationCount: locationCount,
            directory: try checked(bytes))
    }

    private borrowing func filter() -> IDFilter {
        var filter = IDFilter(idsMax: locationCount)
        for at in stride(from: 0, to: rows.count, by: BlobLocation.rowByteCount) {
            filter.insert(Digest(rows.span.extracting(at..<at + Digest.byteCount)))
        }
        return filter
    }

    /// Takes the segment apart as a look-up would.
    private borrowing func checked(_ bytes: [UInt8]) throws(ObjectDamage) -> IndexDirectory {
        let read = try IndexReader(bytes, for: place)
        for block in 0..<read.blockCount { _ = try read.locations(inBlock: block) }
        return read.directory
    }
}
