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
        #expect(read.blobs == made.blobs && made.name == Digest(of: made.bytes.span))
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
        for at in made.bytes.indices {
            var hurt = made.bytes
            hurt[at] ^= 0x40
            let wanted: ObjectDamage =
                if at < SealedHeader.byteCount {
                    .header
                } else if let blob = made.blobs.first(where: { $0.range.contains(at) }) {
                    .piece(blob.number, offset: blob.offset)
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
        let other = try pack(cells, place(), salt: 10).pack
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

    /// Sealed by whoever has the key, and no pack all the same.
    @Test func `a list of blobs that no pack has is refused`() throws {
        let place = try place()
        let header = place.header(.pack, salt: try salt(1))
        func refused(_ words: [UInt8]) -> Bool {
            var bytes = header.encoded
            SealedObject.close(&bytes, words, key: place.key.key(of: header))
            do throws(ObjectDamage) { _ = try PackReader(bytes, for: place) } catch {
                if case .contents = error { return true }
            }
            return false
        }
        let id = Digest(of: [1].span)
        func row(_ plain: Int, _ sealed: Int, _ encoding: Blob.Encoding = .raw) -> [UInt8] {
            var bytes: [UInt8] = [1, 0, 0, 0]
            Blob(.cell, id, encoding, plainByteCount: plain, sealedByteCount: sealed)
                .append(to: &bytes)
            return bytes
        }
        #expect(!refused([0, 0, 0, 0]))
        #expect(refused([1, 0, 0, 0]))
        #expect(refused([255, 255, 255, 255]))
        #expect(refused(row(0, 16)))
        #expect(refused(row(100, 116)), "its blob ends where there is none")
        #expect(refused(row(100, 115)))
        #expect(refused(row(100, 116, .lz4)))
        #expect(refused(row(Blob.plainByteCountMax + 1, Blob.plainByteCountMax + 17)))
    }

    @Test func `a pack is full before it outgrows its limits`() throws {
        let place = try place()
        var writer = PackWriter(place.header(.pack, salt: try salt(1)), key: place.key)
        let noise = Plain.noise(Blob.plainByteCountMax, seed: 8)
        while !writer.isFull {
            try writer.add(noise.span, .cell, id: Digest(of: noise.span))
        }
        let made = writer.finish()
        #expect(made.blobs.count == 16 && made.bytes.count <= PackWriter.byteCountMax)
        #expect(try PackReader(made.bytes, for: place).plain(made.blobs[15]) == noise)
        var small = PackWriter(place.header(.pack, salt: try salt(1)), key: place.key)
        while !small.isFull { try small.add([1].span, .cell, id: Digest(of: [1].span)) }
        let full = small.finish()
        #expect(full.blobs.count == PackWriter.blobsMax)
        #expect(try PackReader(full.bytes, for: place).blobs.count == PackWriter.blobsMax)
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
    ]

    @Test(arguments: broken.indices)
    func `is found out, and what it was given lies raw`(at: Int) throws {
        let cells = [Plain.text(4_096), Plain.noise(4_096, seed: 6)]
        let (pack, faults) = try pack(cells, place(), codec: Self.broken[at])
        #expect(faults == (at == 0 ? 2 : 1))
        let read = try PackReader(pack.bytes, for: place())
        #expect(try read.blobs.map { try read.plain($0) } == cells)
        #expect(read.blobs.allSatisfy { $0.blob.encoding == .raw })
    }

    @Test(arguments: [1, 15, 16, 100, 4_096, 70_000])
    func `LZ4 comes back as it was, in no more bytes than allowed`(count: Int) throws {
        let zeros = [UInt8](repeating: 0, count: count)
        for plain in [Plain.text(count), Plain.noise(count, seed: 7), zeros] {
            var block: [UInt8] = [1, 2]
            guard Codec.lz4.compress(plain.span, count, &block) else {
                #expect(block == [1, 2])
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
