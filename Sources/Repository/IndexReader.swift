package import Sealing

/// An index segment whose bytes are at hand.
package struct IndexReader: Sendable {
    package let directory: IndexDirectory
    private let bytes: [UInt8]

    /// Reads what the segment says of itself; its blocks are opened when they are asked for.
    package init(_ bytes: [UInt8], for place: SealedPlace) throws(ObjectDamage) {
        directory = try IndexDirectory(head: bytes, tail: bytes, of: bytes.count, for: place)
        try SealedObject.checkPadding(bytes, directory.padding, key: directory.key)
        self.bytes = bytes
    }

    package var header: SealedHeader { directory.header }
    package var blockCount: Int { directory.blockCount }

    /// Where the blob of that id lies; nil where this segment does not know it.
    package func location(of id: Digest) throws(ObjectDamage) -> BlobLocation? {
        guard let block = directory.block(of: id) else { return nil }
        return try locations(inBlock: block).location(of: id)
    }

    /// What that block says, in the order of ids.
    package func locations(inBlock number: Int) throws(ObjectDamage) -> [BlobLocation] {
        let range = directory.range(ofBlock: number)
        return try directory.locations(inBlock: number, bytes.span.extracting(range))
    }
}

extension [BlobLocation] {
    /// Of locations in the order of ids, the one of that id.
    package func location(of id: Digest) -> BlobLocation? {
        let at = partitionPoint { $0.id >= id }
        return at < count && self[at].id == id ? self[at] : nil
    }
}

extension RandomAccessCollection where Index == Int {
    /// The first for which `isBehind` holds; it has to hold for all behind that one.
    package func partitionPoint(where isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
