import Mesh
import Sealing
import Testing

@testable import Repository

@Suite("Indexes") struct IndexTests {
    private static func location(_ number: Int) -> BlobLocation {
        let blob = Blob(
            .cell, Digest(of: [UInt8(number & 255), UInt8(number >> 8)].span),
            .raw, plainByteCount: 100, sealedByteCount: 116)
        return BlobLocation(
            pack: Digest(of: [UInt8(number % 7)].span),
            placed: PlacedBlob(blob: blob, number: UInt32(number), offset: 96 + 116 * number))
    }

    private static func segment(_ locations: [BlobLocation]) throws -> IndexSegment {
        let place = try place()
        var writer = IndexWriter(place.header(.index, salt: try salt(3)), key: place.key)
        for location in locations.sorted(by: { $0.id < $1.id }) { writer.add(location) }
        return writer.finish()
    }

    @Test(arguments: [0, 1, 511, 512, 513, 3_000])
    func `an index finds what it was told, and nothing else`(count: Int) throws {
        let locations = (0..<count).map(Self.location)
        let segment = try Self.segment(locations)
        #expect(segment.locationCount == count && segment.bytes.count % 4_096 == 0)
        let index = try IndexReader(segment.bytes, for: place())
        #expect(index.blockCount == (count + 511) / 512)
        for location in locations { #expect(try index.location(of: location.id) == location) }
        for number in 0..<300 {
            #expect(try index.location(of: Digest(of: [1, 2, UInt8(number & 255)].span)) == nil)
        }
        let all = try (0..<index.blockCount).flatMap { try index.locations(inBlock: $0) }
        #expect(all.map(\.id) == locations.map(\.id).sorted())
    }

    @Test func `whatever byte turns, nothing is found that was not told`() throws {
        let locations = (0..<20).map(Self.location)
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
        let locations = (0..<1_024).map(Self.location)
        let segment = try Self.segment(locations)
        let byteCount = 512 * BlobLocation.rowByteCount + SealKey.tagByteCount
        let (first, second) = (96..<96 + byteCount, 96 + byteCount..<96 + 2 * byteCount)
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
                if case .contents = error { return true }
            }
            return false
        }
        #expect(!refused([0, 0]))
        #expect(refused([.max, 0]))
        #expect(refused([0, .max]))
        let id = [UInt32](repeating: 7, count: 8)
        #expect(refused([0, 1] + id + [1]), "its block lies nowhere")
        #expect(refused([0, 1] + id + [513]))
        #expect(refused([0, 1] + id + [0]))
        #expect(refused([2_000, 1]), "its names are cut off")
    }
}
