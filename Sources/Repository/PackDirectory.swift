internal import Mesh
internal import Sealing

/// What a pack says of itself, by its first and last bytes: an index that is lost is made again without
/// fetching what the packs hold.
package struct PackDirectory: Sendable {
    package let header: SealedHeader
    package let blobs: [PlacedBlob]
    let key: SealKey
    /// Where the last blob ends, and where the closing piece begins.
    let padding: Range<Int>

    /// `head` are the pack's first bytes, at least the header; `tail` its last ones. Where those are too few,
    /// the failure says how many are wanted.
    package init(
        head: [UInt8], tail: [UInt8], of byteCount: Int, for place: SealedPlace
    ) throws(ObjectDamage) {
        guard byteCount <= PackWriter.byteCountMax else { throw .oversized(byteCount) }
        (header, key) = try place.open(head, as: .pack)
        let (words, start) = try SealedObject.closing(tail, of: byteCount, key: key)
        blobs = try Self.rows(words)
        let end = blobs.last?.range.upperBound ?? SealedHeader.byteCount
        padding = try SealedObject.padding(behind: end, upTo: start)
    }

    private static func rows(_ words: [UInt8]) throws(ObjectDamage) -> [PlacedBlob] {
        try ObjectDamage.reading(orCutOff: "its list of blobs is cut off") {
            var reader = ByteReader(words)
            let count = Int(try reader.u32())
            guard count <= PackWriter.blobsMax else {
                throw ObjectDamage.contents("it counts \(count) blobs")
            }
            var blobs: [PlacedBlob] = []
            blobs.reserveCapacity(min(count, words.count / Blob.rowByteCount))
            var offset = SealedHeader.byteCount
            for number in 0..<count {
                guard let blob = try Blob(parsing: &reader) else {
                    throw ObjectDamage.contents("its blob \(number) is of no known kind or length")
                }
                blobs.append(PlacedBlob(blob: blob, number: UInt32(number), offset: offset))
                offset += blob.sealedByteCount
            }
            return blobs
        }
    }
}
