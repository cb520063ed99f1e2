internal import Mesh
package import Sealing

/// An index segment that is whole, and will never change.
package struct IndexSegment: Sendable {
    package let name: Digest
    package let bytes: [UInt8]
    package let locationCount: Int
}

/// Puts an index segment together: where blobs lie, in the order of their ids.
package struct IndexWriter {
    /// 14 MiB: what is looked up at once stays in memory, and a lost segment is made again in a second.
    package static let locationsMax = 1 << 18
    /// One look-up opens one block.
    static let blockLocationsMax = 512
    /// No segment is larger: each location could be of a pack of its own.
    static let byteCountMax =
        locationsMax * (BlobLocation.rowByteCount + Digest.byteCount + 1) + (64 << 10)

    package private(set) var locationCount = 0
    private var bytes: [UInt8]
    private var rows: [UInt8] = []
    private var rowCount = 0
    private var last: Digest?
    private var blocks: [IndexBlock] = []
    private var packs: [Digest: UInt32] = [:]
    private var packNames: [Digest] = []
    private let key: SealKey

    /// `header` has to be of kind index, with a salt that was drawn for this segment.
    package init(_ header: SealedHeader, key: EpochKey) {
        invariant(header.kind == .index, "an index has an index's header")
        invariant(header.keyCheck == key.check, "an index's key is the one its header tells")
        self.key = key.key(of: header)
        bytes = header.encoded
    }

    package var isFull: Bool { locationCount >= Self.locationsMax }

    /// Locations come in the order of their ids, each id once.
    package mutating func add(_ location: BlobLocation) {
        invariant(!isFull, "a full segment takes no more")
        invariant(last.map { $0 < location.id } ?? true, "locations in the order of their ids")
        last = location.id
        if rowCount == 0 {
            blocks.append(IndexBlock(first: location.id, count: 0, offset: bytes.count))
        }
        location.append(to: &rows, pack: number(of: location.pack))
        (rowCount, locationCount) = (rowCount + 1, locationCount + 1)
        if rowCount == Self.blockLocationsMax { closeBlock() }
    }

    private mutating func number(of pack: Digest) -> UInt32 {
        if let number = packs[pack] { return number }
        let number = UInt32(packNames.count)
        packs[pack] = number
        packNames.append(pack)
        return number
    }

    private mutating func closeBlock() {
        guard rowCount > 0 else { return }
        blocks[blocks.count - 1].count = rowCount
        let plain = rows
        key.seal(plain.span, number: UInt32(blocks.count - 1), binding: [], onto: &bytes)
        (rows, rowCount) = ([], 0)
    }

    package consuming func finish() -> IndexSegment {
        closeBlock()
        var words: [UInt8] = []
        words.append(littleEndian: UInt32(packNames.count))
        for name in packNames { name.append(to: &words) }
        words.append(littleEndian: UInt32(blocks.count))
        for block in blocks {
            block.first.append(to: &words)
            words.append(littleEndian: UInt32(block.count))
        }
        SealedObject.close(&bytes, words, key: key)
        return IndexSegment(
            name: Digest(of: bytes.span), bytes: bytes, locationCount: locationCount)
    }
}

/// Locations that are sealed together.
struct IndexBlock: Hashable, Sendable {
    let first: Digest
    var count: Int
    let offset: Int

    var byteCount: Int { count * BlobLocation.rowByteCount + SealKey.tagByteCount }
}
