internal import CCompression
internal import Mesh
internal import Record
package import Sealing

/// A pack that is whole, and will never change.
package struct Pack: Sendable {
    package let reference: PackReference
    package let bytes: [UInt8]
    package let blobs: [PlacedBlob]
}

/// What is needed to find a pack and to open one blob of it.
package struct PackReference: Hashable, Sendable {
    static let byteCount = Digest.byteCount + 4 + Salt.byteCount

    /// The digest of all its bytes: whoever has no key can still tell whether it is whole.
    package let name: Digest
    package let epoch: KeyEpoch
    package let salt: Salt

    package init(name: Digest, epoch: KeyEpoch, salt: Salt) {
        (self.name, self.epoch, self.salt) = (name, epoch, salt)
    }
}

/// Puts a pack together.
///
/// Nothing is sealed before all is there, and the salt depends on all of it: an agent that was rolled
/// back, or cloned, and draws the same random bytes again uses no key for two different texts.
package struct PackWriter: ~Copyable {
    /// Packs are closed as soon as they have so many bytes.
    package static let byteCountAimed = 16 << 20
    package static let blobsMax = 1 << 16
    /// No pack is larger.
    package static let byteCountMax =
        byteCountAimed + Blob.plainByteCountMax + blobsMax * (Blob.rowByteCount + 1) + (64 << 10)

    /// How often what the codec made was not what it was made from; each such blob lies raw.
    package private(set) var codecFaultCount = 0
    /// What will be sealed, one behind the other.
    private var stored: [UInt8] = []
    private var blobs: [PlacedBlob] = []
    private let place: SealedPlace
    private let codec: Codec

    private let aim: Int

    /// Takes no more once it has `aim` bytes.
    package init(
        in place: SealedPlace, codec: Codec = .lz4, aiming aim: Int = Self.byteCountAimed
    ) {
        invariant(aim <= Self.byteCountAimed, "no pack of more than \(Self.byteCountAimed) bytes")
        (self.place, self.codec, self.aim) = (place, codec, aim)
    }

    package var isEmpty: Bool { blobs.isEmpty }
    package var isFull: Bool { end >= aim || blobs.count >= Self.blobsMax }
    private var end: Int { blobs.last?.range.upperBound ?? SealedHeader.byteCount }

    /// Adds what `id` names. A full pack and a plain text that is empty or too long are bugs of the
    /// caller.
    package mutating func add(_ plain: Span<UInt8>, _ kind: Blob.Kind, id: Digest) {
        invariant(!isFull, "a full pack takes no more")
        if blobs.isEmpty { stored.reserveCapacity(aim + Blob.plainByteCountMax) }
        invariant((1...Blob.plainByteCountMax) ~= plain.count, "a blob of \(plain.count) bytes")
        let start = stored.count
        let (encoding, isFaulty) = codec.store(plain, onto: &stored)
        if isFaulty { codecFaultCount += 1 }
        let blob = Blob(
            kind, id, encoding, plainByteCount: plain.count,
            sealedByteCount: stored.count - start + SealKey.tagByteCount)
        blobs.append(PlacedBlob(blob: blob, number: UInt32(blobs.count), offset: end))
    }

    /// Seals what was added, and is empty again. `random` is drawn for this pack. Throws where the pack does not open as it
    /// was closed; what it held is to be read again then.
    package mutating func finish(random: Salt) throws(ObjectDamage) -> Pack {
        var room: [UInt8] = []
        return try finish(random: random, in: &room)
    }

    /// The pack takes the memory of `room`, such as that of a pack that is needed no more, and leaves nothing there: to have the
    /// system clear as much for each costs more than to seal it. It is of use only where nothing else refers to it.
    package mutating func finish(
        random: Salt, in room: inout [UInt8]
    ) throws(ObjectDamage) -> Pack {
        defer {
            stored.removeAll(keepingCapacity: true)
            (blobs, codecFaultCount) = ([], 0)
        }
        var words: [UInt8] = []
        words.reserveCapacity(4 + blobs.count * Blob.rowByteCount)
        words.append(littleEndian: UInt32(blobs.count))
        for placed in blobs { placed.blob.append(to: &words) }
        let header = place.header(
            .pack, salt: place.key.salt(random, for: words, Checksum.crc32c(stored)))
        var bytes: [UInt8] = []
        swap(&bytes, &room)
        bytes.removeAll(keepingCapacity: true)
        seal(words, header, onto: &bytes)
        try check(bytes)
        let reference = PackReference(
            name: Digest(of: bytes.span), epoch: header.epoch, salt: header.salt)
        return Pack(reference: reference, bytes: bytes, blobs: blobs)
    }

    private borrowing func seal(
        _ words: [UInt8], _ header: SealedHeader, onto bytes: inout [UInt8]
    ) {
        let key = place.key.key(of: header)
        bytes.reserveCapacity(end + words.count + 3 * SealedObject.blockByteCount)
        bytes += header.encoded
        forEachStored { placed, stored in
            key.seal(stored, number: placed.number, binding: placed.blob.words, onto: &bytes)
        }
        SealedObject.close(&bytes, words, key: key)
    }

    /// Takes the pack apart as a restore would.
    private borrowing func check(_ bytes: [UInt8]) throws(ObjectDamage) {
        let read = try PackReader(bytes, for: place)
        guard read.blobs == blobs else { throw .contents("it lists other blobs than it holds") }
        var bad: PlacedBlob?
        forEachStored { placed, stored in
            if !read.isStored(placed, as: stored) { bad = bad ?? placed }
        }
        if let bad { throw .piece(bad.number, offset: bad.offset) }
    }

    private borrowing func forEachStored(_ body: (PlacedBlob, Span<UInt8>) -> Void) {
        var start = 0
        for placed in blobs {
            let end = start + placed.blob.sealedByteCount - SealKey.tagByteCount
            body(placed, stored.span.extracting(start..<end))
            start = end
        }
    }
}

extension Span<UInt8> {
    func isEqual(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        return unsafe withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { theirs in
                guard let a = mine.baseAddress, let b = theirs.baseAddress else { return true }
                return unsafe holdfast_are_equal(a, b, mine.count)
            }
        }
    }
}
