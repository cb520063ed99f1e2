import Mesh
import Sealing
import Testing

@testable import Repository

@Suite("Indexes") struct IndexTests {
    private static func location(_ number: Int) throws -> BlobLocation {
        let blob = Blob(
            .cell, digest([UInt8(number & 255), UInt8(number >> 8 & 255)]),
            .raw, plainByteCount: 100, sealedByteCount: 116)
        return BlobLocation(
            pack: try reference(UInt8(number % 7)),
            placed: PlacedBlob(blob: blob, number: UInt32(number), offset: 96 + 116 * number))
    }

    private static func segment(_ locations: [BlobLocation]) throws -> IndexSegment {
        var writer = IndexWriter(in: try place())
        for location in locations.sorted(by: { $0.id < $1.id }) { writer.add(location) }
        return try writer.finish(random: salt(3))
    }

    @Test(arguments: [0, 1, 511, 512, 513, 3_000])
    func `an index finds what it was told, and nothing else`(count: Int) throws {
        let locations = try (0..<count).map { try Self.location($0) }
        let segment = try Self.segment(locations)
        #expect(segment.locationCount == count && segment.bytes.count % 4_096 == 0)
        let index = try IndexReader(segment.bytes, for: place())
        #expect(index.blockCount == (count + 511) / 512)
        for location in locations { #expect(try index.location(of: location.id) == location) }
        for number in 0..<300 {
            #expect(try index.location(of: digest([1, 2, UInt8(number & 255)])) == nil)
        }
        let all = try (0..<index.blockCount).flatMap { try index.locations(inBlock: $0) }
        #expect(all.map(\.id) == locations.map(\.id).sorted())
    }

    @Test func `whatever byte turns, nothing is found that was not told`() throws {
        let locations = try (0..<20).map { try Self.location($0) }
        let segment = try Self.segment(locations)
        for at in segment.bytes.indices {
            var hurt = segment.bytes
            hurt[at] ^= 1
            #expect(throws: ObjectDamage.self, "byte \(at)") {
                try IndexReader(hurt, for: place()).location(of: locations[0].id)
            }
        }
    }

    @Test func `a block of another index, or at another place, opens nowhere`() throws {
        let locations = try (0..<1_024).map { try Self.location($0) }
        let segment = try Self.segment(locations)
        let (first, second) = (IndexBlock.place(0..<512), IndexBlock.place(512..<1_024))
        var swapped = segment.bytes
        swapped.replaceSubrange(first, with: segment.bytes[second])
        swapped.replaceSubrange(second, with: segment.bytes[first])
        let index = try IndexReader(swapped, for: place())
        for block in 0..<2 {
            #expect(throws: ObjectDamage.self) { try index.locations(inBlock: block) }
        }
    }

    /// Sealed by whoever has the key, and no index all the same.
    @Test func `a directory that no index has is refused`() throws {
        let place = try place()
        let header = place.header(.index, salt: try salt(1))
        func refused(_ words: [UInt32]) -> Bool {
            var (bytes, plain): ([UInt8], [UInt8]) = (header.encoded, [])
            for word in words { plain.append(littleEndian: word) }
            SealedObject.close(&bytes, plain, key: place.key.key(of: header))
            do throws(ObjectDamage) { _ = try IndexReader(bytes, for: place) } catch {
                return true
            }
            return false
        }
        #expect(!refused([0, 0]))
        #expect(refused([.max, 0]))
        #expect(refused([0, .max]))
        let (id, pack) = ([UInt32](repeating: 7, count: 8), [UInt32](repeating: 7, count: 17))
        #expect(refused([1] + pack + [1] + id), "its block lies nowhere")
        #expect(refused([1] + pack + [600] + id + id), "two blocks of one id")
        #expect(refused([60] + pack + [1]), "its packs are cut off")
        #expect(refused([0, 262_144] + id), "its blocks are cut off")
        #expect(refused([0, 0] + [UInt32](repeating: 0, count: 16) + [1]), "it goes on")
    }

    /// The same, one level deeper.
    @Test func `rows that no index has are refused`() throws {
        let (place, salt) = (try place(), try salt(1))
        func refusal(_ rows: [[UInt8]], filter: UInt8 = 255) -> ObjectDamage? {
            let header = place.header(.index, salt: salt)
            let key = place.key.key(of: header)
            var (bytes, words): ([UInt8], [UInt8]) = (header.encoded, [])
            let plain = rows.flatMap { $0 }
            key.seal(plain.span, number: 0, binding: [], onto: &bytes)
            words.append(littleEndian: UInt32(1))
            guard let pack = try? reference(1) else { return nil }
            pack.append(to: &words)
            words.append(littleEndian: UInt32(rows.count))
            words += rows[0].prefix(Digest.byteCount)
            words += [UInt8](
                repeating: filter, count: IDFilter.byteCount(of: rows.count))
            SealedObject.close(&bytes, words, key: key)
            do throws(ObjectDamage) {
                let index = try IndexReader(bytes, for: place)
                _ = try index.locations(inBlock: 0)
                return nil
            } catch { return error }
        }
        func row(_ number: Int, pack: UInt32 = 0, offset: Int? = nil) throws -> [UInt8] {
            let location = try Self.location(number)
            var bytes: [UInt8] = []
            let placed = PlacedBlob(
                blob: location.placed.blob, number: location.placed.number,
                offset: offset ?? location.placed.offset)
            BlobLocation(pack: location.pack, placed: placed).append(to: &bytes, pack: pack)
            return bytes
        }
        let two = try [row(1), row(2)].sorted { $0.lexicographicallyPrecedes($1) }
        #expect(refusal(two) == nil)
        let unlawful = ObjectDamage.contents("block 0 says what no index says")
        #expect(refusal(two.reversed()) == unlawful)
        #expect(refusal([two[0], two[0]]) == unlawful)
        #expect(try refusal([row(1, pack: 1)]) == unlawful)
        #expect(try refusal([row(1, offset: 95)]) == unlawful)
        #expect(try refusal([row(1, offset: PackWriter.byteCountMax)]) == unlawful)
        #expect(try refusal([row(1 << 16)]) == unlawful)
        #expect(refusal(two, filter: 0) == unlawful, "its filter knows of none")
    }

    @Test func `a filter lets pass what is in it, and of the rest about one in 300`() {
        var filter = IDFilter(idsMax: 10_000)
        func id(_ number: Int) -> Digest {
            digest([UInt8(number & 255), UInt8(number >> 8 & 255), UInt8(number >> 16)])
        }
        for number in 0..<10_000 { filter.insert(id(number)) }
        #expect((0..<10_000).allSatisfy { filter.mayHold(id($0)) })
        let passed = (10_000..<110_000).count { filter.mayHold(id($0)) }
        #expect(passed < 500)
        #expect(IDFilter(filter.bytes, idsMax: 10_000) == filter)
        #expect(IDFilter(filter.bytes, idsMax: 9_000) == nil)
    }

    /// A look-up fetches a segment's two ends once, and then one block.
    @Test func `a segment's ends are enough to know which block has to be fetched`() throws {
        let locations = try (0..<1_500).map { try Self.location($0) }
        let bytes = try Self.segment(locations).bytes
        let head = Array(bytes.prefix(SealedHeader.byteCount))
        #expect(throws: ObjectDamage.self) {
            try IndexDirectory(
                head: head, tail: Array(bytes.suffix(100)), of: bytes.count, for: place())
        }
        let tail = Array(bytes.suffix(16_384))
        let directory = try IndexDirectory(
            head: head, tail: tail, of: bytes.count, for: place())
        #expect(directory.blockCount == 3 && directory.locationCount == 1_500)
        for location in locations {
            let block = try #require(directory.block(of: location.id))
            let sealed = bytes.span.extracting(directory.range(ofBlock: block))
            let found = try directory.locations(inBlock: block, sealed)
            #expect(found.location(of: location.id) == location)
        }
        #expect(throws: ObjectDamage.self) {
            try directory.locations(inBlock: 0, bytes.span.extracting(0..<100))
        }
    }

    /// Two agents that met the same cell at once have both stored it.
    @Test func `of two blobs with one id the first counts`() throws {
        let (one, id) = (try Self.location(1), try Self.location(1).id)
        let other = BlobLocation(pack: try reference(6), placed: one.placed)
        let segment = try Self.segment([one, other, try Self.location(2)])
        let index = try IndexReader(segment.bytes, for: place())
        #expect(try index.location(of: id) == one && segment.locationCount == 2)
    }
}
