internal import Mesh
package import Sealing

/// A pack that is whole, and will never change.
package struct Pack: Sendable {
    /// The digest of all its bytes: whoever has no key can still tell whether it is whole.
    package let name: Digest
    package let bytes: [UInt8]
    package let blobs: [PlacedBlob]
}

/// Puts a pack together. Each blob is opened again and compared before it counts: what can't be read
/// back is found while the source is still there (restic #4523).
package struct PackWriter {
    /// Packs are closed as soon as they have so many bytes.
    package static let byteCountAimed = 16 << 20
    package static let blobsMax = 1 << 16
    /// No pack is larger.
    static let byteCountMax =
        byteCountAimed + Blob.plainByteCountMax + blobsMax * Blob.rowByteCount + (64 << 10)

    /// How often what the codec made was not what it was made from; each such blob lies raw.
    package private(set) var codecFaultCount = 0
    private var bytes: [UInt8]
    private var blobs: [PlacedBlob] = []
    /// What the codec makes lies here, so that not every blob takes memory anew.
    private var room: [UInt8] = []
    private let key: SealKey
    private let codec: Codec

    /// `header` has to be of kind pack, with a salt that was drawn for this pack.
    package init(_ header: SealedHeader, key: EpochKey, codec: Codec = .lz4) {
        invariant(header.kind == .pack, "a pack has a pack's header")
        invariant(header.keyCheck == key.check, "a pack's key is the one its header tells")
        self.key = key.key(of: header)
        self.codec = codec
        bytes = []
        bytes.reserveCapacity(Self.byteCountAimed + (2 << 20))
        bytes += header.encoded
    }

    package var isEmpty: Bool { blobs.isEmpty }
    package var isFull: Bool {
        bytes.count >= Self.byteCountAimed || blobs.count >= Self.blobsMax
    }

    /// Adds what `id` names. A full pack and a plain text that is empty or too long are bugs of the
    /// caller.
    package mutating func add(_ plain: Span<UInt8>, _ kind: Blob.Kind, id: Digest)
        throws(ObjectDamage)
    {
        invariant(!isFull, "a full pack takes no more")
        invariant(
            (1...Blob.plainByteCountMax) ~= plain.count, "a blob of \(plain.count) bytes")
        // Less than a 32nd gained is not worth the time at a restore.
        let most = plain.count - plain.count / 32 - 1
        var squeezed: [UInt8] = []
        swap(&squeezed, &room)
        defer { swap(&squeezed, &room) }
        squeezed.removeAll(keepingCapacity: true)
        if most > 0, codec.compress(plain, most, &squeezed) {
            if try seal(squeezed.span, of: plain, kind, id, .lz4) { return }
            codecFaultCount += 1
        }
        guard try seal(plain, of: plain, kind, id, .raw) else {
            throw .piece(UInt32(blobs.count), offset: bytes.count)
        }
    }

    /// False, and nothing added, where it does not come back as it was.
    private mutating func seal(
        _ stored: Span<UInt8>, of plain: Span<UInt8>, _ kind: Blob.Kind, _ id: Digest,
        _ encoding: Blob.Encoding
    ) throws(ObjectDamage) -> Bool {
        let blob = Blob(
            kind, id, encoding, plainByteCount: plain.count,
            sealedByteCount: stored.count + SealKey.tagByteCount)
        let placed = PlacedBlob(blob: blob, number: UInt32(blobs.count), offset: bytes.count)
        key.seal(stored, number: placed.number, binding: blob.words, onto: &bytes)
        guard let back = try? PackReader.open(bytes, placed, key: key, codec: codec),
            back.isEqual(to: plain)
        else {
            bytes.removeLast(bytes.count - placed.offset)
            return false
        }
        blobs.append(placed)
        return true
    }

    package consuming func finish() -> Pack {
        var words: [UInt8] = []
        words.reserveCapacity(4 + blobs.count * Blob.rowByteCount)
        words.append(littleEndian: UInt32(blobs.count))
        for placed in blobs { placed.blob.append(to: &words) }
        SealedObject.close(&bytes, words, key: key)
        return Pack(name: Digest(of: bytes.span), bytes: bytes, blobs: blobs)
    }
}

extension [UInt8] {
    func isEqual(to other: Span<UInt8>) -> Bool {
        unsafe withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { theirs in
                unsafe mine.count == theirs.count && mine.elementsEqual(theirs)
            }
        }
    }
}
