package import Mesh
package import Record
package import Sealing

/// What a stretch of an archived log says of itself: consecutive entries, all of them committed, and what it follows.
///
/// docs/formats/repository.md, "Stretches of the log".
package struct Stretch: Hashable, Sendable {
    package static let version: UInt32 = 1
    /// One is closed as soon as its entries have so many bytes.
    package static let byteCountAimed = 4 << 20
    /// Entries are compressed and sealed together up to about so many bytes.
    static let pieceByteCountAimed = 256 << 10
    static let piecesMax = byteCountAimed / pieceByteCountAimed + 2
    /// No stretch is larger.
    package static let byteCountMax = byteCountAimed + 2 * Entry.byteCountMax + (64 << 10)

    package let cluster: ClusterID
    package let group: GroupID
    /// Of the stretch that it follows; of nothing where nobody knows what came before, or nothing did.
    package let predecessor: Digest
    /// The entry before its first.
    package let before: Position
    package let last: Position
    /// The leader's wall time at its last entry.
    package let end: WallTime

    package var first: LogIndex { before.index.next }
}

/// A stretch that is whole, and will never change.
package struct StretchObject: Sendable {
    package let stretch: Stretch
    package let bytes: [UInt8]
    /// Of all its bytes: what its successor calls it.
    package let digest: Digest
    /// By whose key it is sealed.
    package let epoch: KeyEpoch
    private let pieces: [StretchPiece]
    private let key: SealKey

    /// Seals entries that follow each other, of one group; where they don't, that is a bug of the caller. `random` is drawn for it.
    /// Throws where it does not open as it was closed.
    package init(
        sealing entries: [Entry], behind before: Position, after predecessor: Digest,
        cluster: ClusterID, in place: SealedPlace, codec: Codec = .lz4, random: Salt
    ) throws(ObjectDamage) {
        guard let first = entries.first, let last = entries.last else {
            preconditionFailure("a stretch of nothing")
        }
        let stretch = Stretch(
            cluster: cluster, group: first.group, predecessor: predecessor, before: before,
            last: last.position, end: last.time)
        var (stored, pieces): ([UInt8], [StretchPiece]) = ([], [])
        for run in entries.runs(of: Stretch.pieceByteCountAimed) {
            var plain: [UInt8] = []
            for entry in entries[run] { plain += entry.bytes }
            pieces.append(StretchPiece(storing: plain, by: codec, onto: &stored))
        }
        let words = stretch.words(pieces)
        let salt = place.key.salt(random, for: words, Checksum.crc32c(stored))
        let header = place.header(.stretch, salt: salt)
        var bytes = header.encoded
        let key = place.key.key(of: header)
        var start = 0
        for (number, piece) in pieces.enumerated() {
            let end = start + piece.sealedByteCount - SealKey.tagByteCount
            key.seal(
                stored.span.extracting(start..<end), number: UInt32(number), binding: piece.words,
                onto: &bytes)
            start = end
        }
        SealedObject.close(&bytes, words, key: key)
        try self.init(bytes, for: place)
        guard self.stretch == stretch, try self.entries() == entries else {
            throw .contents("it reads as another stretch")
        }
    }

    /// Reads the stretch that `bytes` are, all of them; of its entries none is opened yet.
    package init(_ bytes: [UInt8], for place: SealedPlace) throws(ObjectDamage) {
        guard bytes.count <= Stretch.byteCountMax else { throw .oversized(bytes.count) }
        let header: SealedHeader
        (header, key) = try place.open(bytes, as: .stretch)
        epoch = header.epoch
        let (words, start) = try SealedObject.closing(bytes, of: bytes.count, key: key)
        (stretch, pieces) = try Stretch.parse(words)
        let end = pieces.reduce(SealedHeader.byteCount) { $0 + $1.sealedByteCount }
        let padding = try SealedObject.padding(behind: end, upTo: start)
        try SealedObject.checkPadding(bytes, padding, key: key)
        self.bytes = bytes
        digest = Digest(of: bytes.span)
    }

    /// What was sealed, entry for entry; each was checked to be one, and to follow the one before it.
    package func entries() throws(ObjectDamage) -> [Entry] {
        var (entries, former): ([Entry], Entry?) = ([], nil)
        var start = SealedHeader.byteCount
        for (number, piece) in pieces.enumerated() {
            let sealed = bytes.span.extracting(start..<start + piece.sealedByteCount)
            let damage = ObjectDamage.piece(UInt32(number), offset: start)
            guard let stored = key.open(sealed, number: UInt32(number), binding: piece.words),
                let plain = piece.plain(stored)
            else { throw damage }
            var at = 0
            while at < plain.count {
                let entry: Entry
                do throws(EntryRefused) { entry = try Entry(parsing: plain, at: at) } catch {
                    throw .contents("\(error)")
                }
                try check(entry, behind: former)
                entries.append(entry)
                (former, at) = (entry, at + entry.bytes.count)
            }
            start += piece.sealedByteCount
        }
        guard let former, former.position == stretch.last, former.time == stretch.end else {
            throw .contents("it does not hold the entries that it tells of")
        }
        return entries
    }

    private func check(_ entry: Entry, behind former: Entry?) throws(ObjectDamage) {
        let before = former?.position ?? stretch.before
        guard entry.group == stretch.group, entry.index == before.index.next,
            entry.term >= before.term
        else { throw .contents("\(entry.position) does not follow \(before) in it") }
    }
}

/// Some entries that are compressed and sealed together.
private struct StretchPiece: Hashable, Sendable {
    static let rowByteCount = 12
    let encoding: Blob.Encoding
    let plainByteCount: Int
    let sealedByteCount: Int

    init(encoding: Blob.Encoding, plainByteCount: Int, sealedByteCount: Int) {
        (self.encoding, self.plainByteCount) = (encoding, plainByteCount)
        self.sealedByteCount = sealedByteCount
    }

    /// Appends the bytes as they will be sealed.
    init(storing plain: [UInt8], by codec: Codec, onto stored: inout [UInt8]) {
        let start = stored.count
        let encoding = codec.store(plain.span, onto: &stored).encoding
        self.init(
            encoding: encoding, plainByteCount: plain.count,
            sealedByteCount: stored.count - start + SealKey.tagByteCount)
    }

    /// nil where it is not what this tells of.
    func plain(_ stored: [UInt8]) -> [UInt8]? {
        switch encoding {
        case .raw: stored.count == plainByteCount ? stored : nil
        case .lz4: Codec.lz4.decompress(stored.span, plainByteCount)
        }
    }

    var words: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: UInt32(encoding.rawValue))
        bytes.append(littleEndian: UInt32(plainByteCount))
        bytes.append(littleEndian: UInt32(sealedByteCount))
        return bytes
    }

    init(parsing reader: inout ByteReader) throws {
        let encoding = UInt8(exactly: try reader.u32()).flatMap(Blob.Encoding.init)
        let (plain, sealed) = (Int(try reader.u32()), Int(try reader.u32()))
        // The last entry of a piece may be as long as an entry gets.
        let plainMax = Stretch.pieceByteCountAimed + Entry.byteCountMax
        let storedMax = encoding == .raw ? plain : plain - plain / 32 - 1
        guard let encoding, (Entry.headerByteCount...plainMax).contains(plain),
            (1 + SealKey.tagByteCount...storedMax + SealKey.tagByteCount).contains(sealed)
        else { throw ObjectDamage.contents("a piece of it is like no piece") }
        self.init(encoding: encoding, plainByteCount: plain, sealedByteCount: sealed)
    }
}

extension Stretch {
    fileprivate func words(_ pieces: [StretchPiece]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: Self.version)
        bytes.append(name: group)
        bytes.append(littleEndian: [cluster.high, cluster.low])
        predecessor.append(to: &bytes)
        for position in [before, last] {
            bytes.append(name: position.index)
            bytes.append(name: position.term)
        }
        bytes.append(name: end)
        bytes.append(littleEndian: UInt32(pieces.count))
        for piece in pieces { bytes += piece.words }
        return bytes
    }

    fileprivate static func parse(
        _ words: [UInt8]
    ) throws(ObjectDamage) -> (Stretch, [StretchPiece]) {
        try ObjectDamage.reading(orCutOff: "it is cut off") {
            var reader = ByteReader(words)
            let version = try reader.u32()
            guard version == Self.version else { throw ObjectDamage.unknownVersion(version) }
            let group: GroupID = try reader.name()
            let cluster = ClusterID(high: try reader.u64(), low: try reader.u64())
            let predecessor = try Digest(parsing: &reader)
            let (before, last) = (try position(&reader), try position(&reader))
            let end: WallTime = try reader.name()
            guard last.index > before.index, last.term >= before.term else {
                throw ObjectDamage.contents("it ends before it begins")
            }
            let count = Int(try reader.u32())
            guard (1...piecesMax).contains(count) else {
                throw ObjectDamage.contents("it counts \(count) pieces")
            }
            let pieces = try (0..<count).map { _ in try StretchPiece(parsing: &reader) }
            guard
                pieces.reduce(0, { $0 + $1.plainByteCount }) <= byteCountAimed + Entry.byteCountMax
            else { throw ObjectDamage.contents("it holds more than a stretch holds") }
            guard try reader.take(reader.remaining)[...].isZero else {
                throw ObjectDamage.contents("it says more than a stretch says")
            }
            return (
                Stretch(
                    cluster: cluster, group: group, predecessor: predecessor, before: before,
                    last: last, end: end), pieces
            )
        }
    }

    private static func position(_ reader: inout ByteReader) throws -> Position {
        let index: LogIndex = try reader.name()
        let term: Term = try reader.name()
        guard index <= .countMax, term <= .countMax else {
            throw ObjectDamage.contents("it counts what nothing counts")
        }
        return Position(index: index, term: term)
    }
}

extension [Entry] {
    /// Cuts them into runs that have so many bytes, or one entry more.
    fileprivate func runs(of byteCount: Int) -> [Range<Int>] {
        var (runs, start, bytes): ([Range<Int>], Int, Int) = ([], 0, 0)
        for at in indices {
            bytes += self[at].bytes.count
            guard bytes >= byteCount || at == count - 1 else { continue }
            runs.append(start..<at + 1)
            (start, bytes) = (at + 1, 0)
        }
        return runs
    }
}
