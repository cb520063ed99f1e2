internal import Mesh
internal import Sealing

/// A pack whose bytes are at hand.
package struct PackReader: Sendable {
    package let header: SealedHeader
    package let blobs: [PlacedBlob]
    private let bytes: [UInt8]
    private let key: SealKey

    /// Reads what the pack says of itself; of its blobs none is opened yet.
    package init(_ bytes: [UInt8], for place: SealedPlace) throws(ObjectDamage) {
        guard bytes.count <= PackWriter.byteCountMax else { throw .oversized(bytes.count) }
        (header, key) = try place.open(bytes, as: .pack)
        let (words, end) = try SealedObject.closing(bytes, key: key)
        blobs = try Self.rows(words, end: end)
        self.bytes = bytes
    }

    /// What it holds, byte for byte as it was added.
    package func plain(_ placed: PlacedBlob) throws(ObjectDamage) -> [UInt8] {
        try Self.open(bytes, placed, key: key, codec: .lz4)
    }

    private static func rows(_ words: [UInt8], end: Int) throws(ObjectDamage) -> [PlacedBlob] {
        do {
            var reader = ByteReader(words)
            let count = Int(try reader.u32())
            guard count <= PackWriter.blobsMax else {
                throw ObjectDamage.contents("it counts \(count) blobs")
            }
            var blobs: [PlacedBlob] = []
            blobs.reserveCapacity(count)
            var offset = SealedHeader.byteCount
            for number in 0..<count {
                guard let blob = try Blob(parsing: &reader) else {
                    throw ObjectDamage.contents("its blob \(number) is of no known kind or length")
                }
                blobs.append(PlacedBlob(blob: blob, number: UInt32(number), offset: offset))
                offset += blob.sealedByteCount
            }
            guard offset == end else {
                throw ObjectDamage.contents("its blobs end at \(offset), not at \(end)")
            }
            return blobs
        } catch let damage as ObjectDamage {
            throw damage
        } catch {
            throw .contents("its list of blobs is cut off")
        }
    }

    static func open(
        _ bytes: [UInt8], _ placed: PlacedBlob, key: SealKey, codec: Codec
    ) throws(ObjectDamage) -> [UInt8] {
        let (blob, range) = (placed.blob, placed.range)
        guard range.upperBound <= bytes.count else {
            throw .truncated(wanted: range.upperBound, have: bytes.count)
        }
        let sealed = bytes.span.extracting(range)
        guard let stored = key.open(sealed, number: placed.number, binding: blob.words) else {
            throw .piece(placed.number, offset: placed.offset)
        }
        switch blob.encoding {
        case .raw: return stored
        case .lz4:
            guard let plain = codec.decompress(stored.span, blob.plainByteCount) else {
                throw .contents("piece \(placed.number) does not decompress")
            }
            return plain
        }
    }
}

/// Where an object has to be from, and the key that it has to open with.
package struct SealedPlace: Sendable {
    package let repository: RepositoryID
    package let tenant: TenantID
    package let key: EpochKey

    package init(repository: RepositoryID, tenant: TenantID, key: EpochKey) {
        (self.repository, self.tenant, self.key) = (repository, tenant, key)
    }

    package func header(_ kind: SealedHeader.Kind, salt: Salt) -> SealedHeader {
        SealedHeader(kind, repository: repository, tenant: tenant, key: key, salt: salt)
    }

    func open(_ bytes: [UInt8], as kind: SealedHeader.Kind) throws(ObjectDamage) -> (
        SealedHeader, SealKey
    ) {
        let header = try SealedHeader(parsing: bytes)
        guard header.kind == kind else { throw .anotherKind(header.kind, wanted: kind) }
        guard header.repository == repository else { throw .anotherRepository(header.repository) }
        guard header.tenant == tenant else { throw .anotherTenant(header.tenant) }
        guard header.epoch == key.epoch else { throw .anotherEpoch(header.epoch, have: key.epoch) }
        guard header.keyCheck == key.check else { throw .wrongKey(header.epoch) }
        return (header, key.key(of: header))
    }
}
