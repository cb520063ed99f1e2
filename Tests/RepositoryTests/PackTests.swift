import Mesh
import Record
import Sealing
import Testing

@testable import Repository

@Suite("Packs") struct PackTests {
    static let plain = [
        Plain.text(16_384), Plain.noise(16_384, seed: 1), [7], Plain.text(100),
        Plain.noise(3_000, seed: 2), Plain.text(Blob.plainByteCountMax),
    ]

    @Test func `what was put in comes out, and in no more room than it needs`() throws {
        let made = try pack(Self.plain, place()).pack
        let read = try PackReader(made.bytes, for: place())
        #expect(read.blobs == made.blobs && made.reference.name == digest(made.bytes))
        #expect(try read.blobs.map { try read.plain($0) } == Self.plain)
        #expect(read.blobs.map(\.blob.encoding) == [.lz4, .raw, .raw, .lz4, .raw, .lz4])
        #expect(made.bytes.count % 4_096 == 0)
        #expect(read.blobs[1].blob.sealedByteCount == 16_384 + 16)
    }

    @Test func `an empty pack is one`() throws {
        #expect(try PackReader(pack([], place()).pack.bytes, for: place()).blobs == [])
    }

    /// Bits rot in every region of a pack (B6): each is found, and nothing else comes out.
    @Test func `whatever byte turns, what comes out is what went in or nothing`() throws {
        let plain = [Plain.text(300), Plain.noise(200, seed: 3)]
        let made = try pack(plain, place()).pack
        let closing = try SealedObject.closingStart(made.bytes, of: made.bytes.count)
        for at in made.bytes.indices {
            var hurt = made.bytes
            hurt[at] ^= 0x40
            let wanted: ObjectDamage =
                if at < SealedHeader.byteCount {
                    .header
                } else if let blob = made.blobs.first(where: { $0.range.contains(at) }) {
                    .piece(blob.number, offset: blob.offset)
                } else if at < closing {
                    .piece(SealedObject.paddingNumber, offset: made.blobs[1].range.upperBound)
                } else {
                    .end
                }
            #expect(throws: wanted, "byte \(at)") {
                let read = try PackReader(hurt, for: place())
                for blob in read.blobs { _ = try read.plain(blob) }
            }
        }
    }

    @Test func `wherever it is cut off, it is refused`() throws {
        let made = try pack([Plain.text(300)], place()).pack
        for count in 0..<made.bytes.count {
            #expect(throws: ObjectDamage.self) {
                try PackReader(Array(made.bytes[..<count]), for: place())
            }
        }
        #expect(throws: ObjectDamage.self) { try PackReader(made.bytes + [0], for: place()) }
        let count = PackWriter.byteCountMax + 1
        #expect(throws: ObjectDamage.oversized(count)) {
            try PackReader([UInt8](repeating: 0, count: count), for: place())
        }
    }

    /// B3: a blob of another pack, or at another place of its own, is none.
    @Test func `a blob is bound to its pack, its place and its name`() throws {
        let cells = [Plain.noise(500, seed: 4), Plain.noise(500, seed: 5)]
        let made = try pack(cells, place()).pack
        let other = try pack(cells, place(), random: 10).pack
        let (first, second) = (made.blobs[0].range, made.blobs[1].range)
        var swapped = made.bytes
        swapped.replaceSubrange(first, with: made.bytes[second])
        var foreign = made.bytes
        foreign.replaceSubrange(first, with: other.bytes[first])
        for bytes in [swapped, foreign] {
            let read = try PackReader(bytes, for: place())
            #expect(throws: ObjectDamage.piece(0, offset: SealedHeader.byteCount)) {
                try read.plain(read.blobs[0])
            }
        }
        let read = try PackReader(made.bytes, for: place())
        let blob = read.blobs[0].blob
        let renamed = PlacedBlob(
            blob: Blob(
                .node, blob.id, blob.encoding, plainByteCount: blob.plainByteCount,
                sealedByteCount: blob.sealedByteCount), number: 0, offset: read.blobs[0].offset)
        #expect(throws: ObjectDamage.self) { try read.plain(renamed) }
        var end = made.bytes
        end.replaceSubrange(second.upperBound..., with: other.bytes[second.upperBound...])
        #expect(throws: ObjectDamage.end) { try PackReader(end, for: place()) }
    }

    @Test func `a wrong key is told from damage`() throws {
        let bytes = try pack([[1, 2, 3]], place()).pack.bytes
        func refusal(_ place: SealedPlace) -> ObjectDamage? {
            do throws(ObjectDamage) { _ = try PackReader(bytes, for: place) } catch { return error }
            return nil
        }
        #expect(refusal(try place()) == nil)
        #expect(refusal(try place(2)) == .wrongKey(.first))
        #expect(refusal(try place(epoch: 2)) == .anotherEpoch(.first, have: KeyEpoch(2)))
        #expect(refusal(try place(tenant: 3)) == .anotherTenant(TenantID(high: 1, low: 2)))
        let elsewhere = SealedPlace(
            repository: RepositoryID(high: 5, low: 5), tenant: TenantID(high: 1, low: 2),
            key: try place().key)
        #expect(refusal(elsewhere) == .anotherRepository(RepositoryID(high: 1, low: 2)))
    }

    @Test func `an object of another kind or version is refused`() throws {
        let place = try place()
        let index = place.header(.index, salt: try salt(1))
        var bytes = index.encoded
        SealedObject.close(&bytes, [0, 0, 0, 0], key: place.key.key(of: index))
        #expect(throws: ObjectDamage.anotherKind(.index, wanted: .pack)) {
            try PackReader(bytes, for: place)
        }
        var header = place.header(.pack, salt: try salt(1)).encoded
        header[8] = 2
        header.removeLast(4)
        header.append(littleEndian: Checksum.crc32c(header))
        #expect(throws: ObjectDamage.unknownVersion(2)) { try SealedHeader(parsing: header) }
    }

    /// Sealed by whoever has the key, and no pack all the same: each blob opens, only what is said of it is wrong.
    @Test func `a list of blobs that no pack has is refused`() throws {
        let place = try place()
        let header = place.header(.pack, salt: try salt(1))
        let key = place.key.key(of: header)
        func refusal(_ rows: [[UInt8]], count: UInt32? = nil) -> ObjectDamage? {
            var (bytes, words): ([UInt8], [UInt8]) = (header.encoded, [])
            words.append(littleEndian: count ?? UInt32(rows.count))
            for (number, row) in rows.enumerated() {
                let stored = [UInt8](repeating: 7, count: Int(row.load(at: 36, count: 4)) - 16)
                key.seal(stored.span, number: UInt32(number), binding: row, onto: &bytes)
                words += row
            }
            SealedObject.close(&bytes, words, key: key)
            do throws(ObjectDamage) {
                _ = try PackReader(bytes, for: place)
                return nil
            } catch { return error }
        }
        let id = digest([1])
        func row(_ plain: Int, _ sealed: Int, kind: UInt8 = 1, encoding: UInt8 = 0) -> [UInt8] {
            var bytes: [UInt8] = []
            id.append(to: &bytes)
            bytes.append(littleEndian: UInt32(plain))
            bytes.append(littleEndian: UInt32(sealed))
            return bytes + [kind, encoding, 0, 0]
        }
        #expect(refusal([]) == nil)
        #expect(refusal([row(100, 116), row(100, 115, encoding: 1)]) == nil)
        let unlawful = ObjectDamage.contents("its blob 0 is of no known kind or length")
        for row in [
            row(0, 16), row(100, 115), row(100, 117), row(100, 116, encoding: 1),
            row(100, 16, encoding: 1), row(100, 116, kind: 0), row(100, 116, kind: 4),
            row(100, 116, encoding: 2), row(100, 116).dropLast() + [1],
            row(Blob.plainByteCountMax + 1, Blob.plainByteCountMax + 17),
        ] {
            #expect(refusal([row]) == unlawful)
        }
        #expect(refusal([], count: .max) == .contents("it counts 4294967295 blobs"))
        #expect(
            refusal([row(100, 116)], count: 2)
                == .contents("its blob 1 is of no known kind or length"))
        #expect(refusal([row(5_000, 5_016)], count: 0) != nil)
        var far = [row(100, 116)]
        far[0][36] = 255
        #expect(refusal(far) == unlawful)
    }

    @Test func `a blob that reaches behind its pack is refused`() throws {
        let made = try pack([[1]], place()).pack
        let read = try PackReader(made.bytes, for: place())
        let far = PlacedBlob(blob: made.blobs[0].blob, number: 0, offset: made.bytes.count)
        let refused = ObjectDamage.truncated(wanted: made.bytes.count + 17, have: made.bytes.count)
        #expect(throws: refused) { try read.plain(far) }
    }

    @Test func `a pack is full before it outgrows its limits`() throws {
        let place = try place()
        var writer = PackWriter(in: place)
        let noise = Plain.noise(Blob.plainByteCountMax, seed: 8)
        let id = digest(noise)
        while !writer.isFull { writer.add(noise.span, .cell, id: id) }
        let made = try writer.finish(random: salt(1))
        #expect(made.blobs.count == 16 && made.bytes.count <= PackWriter.byteCountMax)
        #expect(try PackReader(made.bytes, for: place).plain(made.blobs[15]) == noise)
        var small = PackWriter(in: place)
        while !small.isFull { small.add([1].span, .cell, id: id) }
        let full = try small.finish(random: salt(1))
        #expect(full.blobs.count == PackWriter.blobsMax)
        #expect(try PackReader(full.bytes, for: place).blobs.count == PackWriter.blobsMax)
    }

    @Test func `a writer that made a pack makes the next one as if it were the first`() throws {
        let place = try place()
        var writer = PackWriter(in: place)
        var room: [UInt8] = []
        for (number, plain) in [[Plain.noise(5_000, seed: 1)], [Plain.text(90), [1]], [[2]]]
            .enumerated()
        {
            for plain in plain { writer.add(plain.span, .cell, id: digest(plain)) }
            // The memory of a pack that is needed no more.
            let lay = unsafe room.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
            let made = try writer.finish(random: salt(UInt8(number)), in: &room)
            let lies = unsafe made.bytes.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
            #expect(number == 0 || lies == lay)
            let alone = try pack(plain, place, random: UInt8(number)).pack
            #expect(made.bytes == alone.bytes && made.blobs == alone.blobs)
            #expect(writer.isEmpty && !writer.isFull && writer.codecFaultCount == 0)
            room = made.bytes
        }
    }

    @Test func `a writer that met faults of a codec counts those of its next pack anew`() throws {
        let deaf = Codec(
            compress: { plain, _, bytes in
                bytes.append(1)
                return true
            }, decompress: { _, count in Plain.text(count) })
        var writer = PackWriter(in: try place(), codec: deaf)
        writer.add(Plain.noise(100, seed: 4).span, .cell, id: digest([1]))
        #expect(writer.codecFaultCount == 1)
        _ = try writer.finish(random: salt(1))
        #expect(writer.codecFaultCount == 0 && writer.isEmpty)
    }

    /// B2: an agent that was rolled back, or cloned, draws what it drew before.
    @Test func `the same random bytes make another key for another text`() throws {
        let texts = [
            [Plain.text(400)], [Plain.noise(400, seed: 1)], [Plain.text(400), [1]],
            [[1], Plain.text(400)], [Plain.text(401)],
        ]
        let packs = try texts.map { try pack($0, place()).pack }
        #expect(Set(packs.map(\.reference.salt)).count == texts.count)
        let again = try pack(texts[0], place()).pack
        #expect(again.bytes == packs[0].bytes)
        #expect(try pack(texts[0], place(), random: 8).pack.reference.salt != again.reference.salt)
        // With the same ids, lengths and kinds what the codec made may still be another text.
        let noise = Plain.noise(100, seed: 2)
        let other = Codec(
            compress: { _, _, bytes in
                bytes += noise
                return true
            }, decompress: { _, count in Plain.text(count) })
        let usual = Codec(
            compress: { _, _, bytes in
                bytes += noise.reversed()
                return true
            }, decompress: { _, count in Plain.text(count) })
        var salts: Set<Salt> = []
        for codec in [other, usual] {
            var writer = PackWriter(in: try place(), codec: codec)
            writer.add(Plain.text(400).span, .cell, id: digest([1]))
            // What LZ4 can't take apart is no pack; its salt shows all the same.
            if let pack = try? writer.finish(random: salt(3)) { salts.insert(pack.reference.salt) }
        }
        #expect(salts.count == 2)
    }

    @Test func `one blob opens with what an index says of its pack`() throws {
        let made = try pack(Self.plain, place()).pack
        let opener = try BlobOpener(made.reference, in: place())
        for (placed, plain) in zip(made.blobs, Self.plain) {
            let sealed = Array(made.bytes[placed.range])
            #expect(try opener.plain(sealed.span, placed) == plain)
            let short = Array(sealed.dropLast())
            #expect(throws: ObjectDamage.truncated(wanted: sealed.count, have: short.count)) {
                try opener.plain(short.span, placed)
            }
        }
        #expect(throws: ObjectDamage.anotherEpoch(.first, have: KeyEpoch(2))) {
            try BlobOpener(made.reference, in: place(epoch: 2))
        }
    }

    /// B8: an index that is lost is made again from the packs' ends.
    @Test func `a pack's first and last bytes tell what it holds`() throws {
        let made = try pack(Self.plain, place()).pack
        let head = Array(made.bytes.prefix(SealedHeader.byteCount))
        func directory(_ count: Int) throws -> PackDirectory {
            try PackDirectory(
                head: head, tail: made.bytes.suffix(count), of: made.bytes.count, for: place())
        }
        #expect(try directory(4_096).blobs == made.blobs)
        #expect(throws: ObjectDamage.truncated(wanted: 4_096, have: 100)) { try directory(100) }
        #expect(throws: ObjectDamage.self) { try directory(15) }
    }

    /// B17: what an id names and what was stored under it are not the same where the text changed between.
    @Test func `a text under another's id is found`() throws {
        let ids = try #require(Secret([UInt8](repeating: 5, count: 32)).map { IDKeys($0) })
        let (right, wrong) = (Plain.text(50), Plain.text(51))
        var writer = PackWriter(in: try place())
        let id = ids.id(of: right.span, .cell)
        for text in [right, wrong] { writer.add(text.span, .cell, id: id) }
        let made = try writer.finish(random: salt(1))
        let read = try PackReader(made.bytes, for: place())
        #expect(try read.plain(read.blobs[0], checkedBy: ids) == right)
        #expect(throws: ObjectDamage.anotherID(id)) {
            try read.plain(read.blobs[1], checkedBy: ids)
        }
    }

    /// B4: what is seen of an object is its length in blocks.
    @Test func `no length of what is in a pack shows`() throws {
        for count in stride(from: 1, to: 9_000, by: 37) {
            let made = try pack([Plain.noise(count, seed: 1)], place()).pack
            let start = try SealedObject.closingStart(made.bytes, of: made.bytes.count)
            #expect(start % 4_096 == 0 && made.bytes.count % 4_096 == 0)
            let read = try PackReader(made.bytes, for: place())
            #expect(try read.plain(read.blobs[0]).count == count)
        }
    }
}

/// B1: a codec that gives back something else is caught while the source is still there.
@Suite("A codec that lies") struct CodecTests {
    private static let broken: [Codec] = [
        // Its output does not decode.
        Codec(
            compress: { _, _, bytes in
                bytes += [0xff, 0xff, 0xff]
                return true
            }, decompress: Codec.lz4.decompress),
        // It decodes to something else.
        Codec(
            compress: { plain, most, bytes in
                var copy = unsafe plain.withUnsafeBytes { unsafe Array($0) }
                copy[copy.count - 1] ^= 1
                return Codec.lz4.compress(copy.span, most, &bytes)
            }, decompress: Codec.lz4.decompress),
        // It is longer than it may be.
        Codec(
            compress: { plain, _, bytes in
                Codec.lz4.compress(plain, plain.count + 100, &bytes)
            }, decompress: Codec.lz4.decompress),
    ]

    @Test(arguments: broken.indices)
    func `is found out, and what it was given lies raw`(at: Int) throws {
        let cells = [Plain.text(4_096), Plain.noise(4_096, seed: 6)]
        let (pack, faults) = try pack(cells, place(), codec: Self.broken[at])
        #expect(faults == [2, 1, 1][at])
        let read = try PackReader(pack.bytes, for: place())
        #expect(try read.blobs.map { try read.plain($0) } == cells)
        #expect(read.blobs[1].blob.encoding == .raw)
        #expect((read.blobs[0].blob.encoding == .raw) == (at < 2))
    }

    @Test(arguments: [1, 15, 16, 100, 4_096, 70_000])
    func `LZ4 comes back as it was, in no more bytes than allowed`(count: Int) throws {
        let zeros = [UInt8](repeating: 0, count: count)
        for (plain, shrinks) in [
            (Plain.text(count), count >= 100), (Plain.noise(count, seed: 7), false),
            (zeros, count >= 100),
        ] {
            var block: [UInt8] = [1, 2]
            guard Codec.lz4.compress(plain.span, count, &block) else {
                #expect(block == [1, 2] && !shrinks)
                continue
            }
            #expect(block.count - 2 <= count && block.starts(with: [1, 2]))
            let made = Array(block[2...])
            #expect(Codec.lz4.decompress(made.span, count) == plain)
            #expect(Codec.lz4.decompress(made.span, count + 1) == nil)
            #expect(Codec.lz4.decompress(made.span, count - 1) == nil)
            #expect(Codec.lz4.decompress(Array(made.dropLast()).span, count) == nil)
        }
    }
}
