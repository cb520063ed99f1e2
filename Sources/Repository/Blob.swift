internal import Mesh
package import Sealing

/// One piece of a pack: what it is, what it is called, and how it lies there.
package struct Blob: Hashable, Sendable {
    /// Each kind has ids of its own: no guest's disk can hold what is taken for a node.
    package enum Kind: UInt8, Sendable, CaseIterable {
        /// A cell of a volume.
        case cell = 1
        /// A node of a volume's map.
        case node = 2
        /// A piece of a file or of a stream.
        case piece = 3
    }

    package enum Encoding: UInt8, Sendable {
        case raw = 0
        case lz4 = 1
    }

    package static let plainByteCountMax = 1 << 20
    static let rowByteCount = 44

    package let kind: Kind
    package let id: Digest
    package let encoding: Encoding
    package let plainByteCount: Int
    /// Its tag included.
    package let sealedByteCount: Int

    /// What is bound to its seal.
    var words: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.rowByteCount)
        append(to: &bytes)
        return bytes
    }

    func append(to bytes: inout [UInt8]) {
        id.append(to: &bytes)
        bytes.append(littleEndian: UInt32(plainByteCount))
        bytes.append(littleEndian: UInt32(sealedByteCount))
        bytes.append(contentsOf: [kind.rawValue, encoding.rawValue, 0, 0])
    }

    init(
        _ kind: Kind, _ id: Digest, _ encoding: Encoding, plainByteCount: Int, sealedByteCount: Int
    ) {
        (self.kind, self.id, self.encoding) = (kind, id, encoding)
        (self.plainByteCount, self.sealedByteCount) = (plainByteCount, sealedByteCount)
    }

    /// nil for what no pack holds.
    init?(parsing reader: inout ByteReader) throws(ByteReader.Truncated) {
        id = try Digest(parsing: &reader)
        plainByteCount = Int(try reader.u32())
        sealedByteCount = Int(try reader.u32())
        let kind = Kind(rawValue: try reader.u8())
        let encoding = Encoding(rawValue: try reader.u8())
        let rest = try reader.u16()
        guard let kind, let encoding, rest == 0, (1...Self.plainByteCountMax) ~= plainByteCount
        else { return nil }
        let stored = sealedByteCount - SealKey.tagByteCount
        let isLawful =
            switch encoding {
            case .raw: stored == plainByteCount
            case .lz4: (1..<plainByteCount) ~= stored
            }
        guard isLawful else { return nil }
        (self.kind, self.encoding) = (kind, encoding)
    }
}

/// A blob's number in its pack, and where it begins.
package struct PlacedBlob: Hashable, Sendable {
    package let blob: Blob
    package let number: UInt32
    package let offset: Int
    var range: Range<Int> { offset..<offset + blob.sealedByteCount }
}
