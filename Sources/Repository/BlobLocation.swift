internal import Mesh
package import Sealing

/// Where one blob lies.
package struct BlobLocation: Hashable, Sendable {
    static let rowByteCount = Blob.rowByteCount + 12

    package let pack: PackReference
    package let placed: PlacedBlob

    package init(pack: PackReference, placed: PlacedBlob) {
        (self.pack, self.placed) = (pack, placed)
    }

    package var id: Digest { placed.blob.id }
    /// Where it lies sealed in its pack.
    package var range: Range<Int> { placed.range }

    func append(to bytes: inout [UInt8], pack: UInt32) {
        placed.blob.append(to: &bytes)
        bytes.append(littleEndian: pack)
        bytes.append(littleEndian: placed.number)
        bytes.append(littleEndian: UInt32(placed.offset))
    }

    /// nil for what no index says.
    init?(
        parsing reader: inout ByteReader, packs: [PackReference]
    ) throws(ByteReader.Truncated) {
        let blob = try Blob(parsing: &reader)
        let pack = Int(try reader.u32())
        let number = try reader.u32()
        let offset = Int(try reader.u32())
        guard let blob, pack < packs.count, number < PackWriter.blobsMax,
            offset >= SealedHeader.byteCount, offset < PackWriter.byteCountMax
        else { return nil }
        self.init(
            pack: packs[pack], placed: PlacedBlob(blob: blob, number: number, offset: offset))
    }
}

extension PackReference {
    func append(to bytes: inout [UInt8]) {
        name.append(to: &bytes)
        bytes.append(littleEndian: epoch.rawValue)
        bytes += salt.bytes
    }

    init(parsing reader: inout ByteReader) throws {
        name = try Digest(parsing: &reader)
        epoch = KeyEpoch(try reader.u32())
        guard let salt = Salt(try reader.take(Salt.byteCount)) else {
            throw ObjectDamage.contents("a salt is cut off")
        }
        self.salt = salt
    }
}
