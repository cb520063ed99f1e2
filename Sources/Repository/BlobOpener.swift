internal import Mesh
internal import Sealing

/// Opens single blobs of a pack: a restore of one cell fetches that cell.
package struct BlobOpener: Sendable {
    private let key: SealKey
    private let codec = Codec.lz4

    /// What an index says of the pack is enough: nothing of it has to be read first.
    package init(_ pack: PackReference, in place: SealedPlace) throws(ObjectDamage) {
        guard pack.epoch == place.key.epoch else {
            throw .anotherEpoch(pack.epoch, have: place.key.epoch)
        }
        key = place.key.key(of: place.header(.pack, salt: pack.salt))
    }

    init(_ key: SealKey) { self.key = key }

    /// What lies sealed at a blob's place, byte for byte as it was added.
    package func plain(
        _ sealed: Span<UInt8>, _ placed: PlacedBlob
    ) throws(ObjectDamage) -> [UInt8] {
        let blob = placed.blob
        guard sealed.count == blob.sealedByteCount else {
            throw .truncated(wanted: blob.sealedByteCount, have: sealed.count)
        }
        let plain: [UInt8]?? = key.open(
            sealed, number: placed.number, binding: blob.words
        ) { stored in
            switch blob.encoding {
            case .raw: unsafe stored.withUnsafeBytes { unsafe Array($0) }
            case .lz4: codec.decompress(stored, blob.plainByteCount)
            }
        }
        guard let plain else { throw .piece(placed.number, offset: placed.offset) }
        guard let plain else { throw .contents("piece \(placed.number) does not decompress") }
        return plain
    }

    /// The same, where it also is what its id says: a writer at fault can seal what it took for another text.
    package func plain(
        _ sealed: Span<UInt8>, _ placed: PlacedBlob, checkedBy ids: IDKeys
    ) throws(ObjectDamage) -> [UInt8] {
        let plain = try plain(sealed, placed)
        guard ids.id(of: plain.span, placed.blob.kind) == placed.blob.id else {
            throw .anotherID(placed.blob.id)
        }
        return plain
    }

    /// Whether those bytes, and no others, were sealed there.
    func isStored(_ sealed: Span<UInt8>, _ placed: PlacedBlob, as stored: Span<UInt8>) -> Bool {
        key.open(sealed, number: placed.number, binding: placed.blob.words) { found in
            found.isEqual(to: stored)
        } ?? false
    }
}
