import Mesh
import Testing

@Suite("The shared vocabulary")
struct MeshTests {
    @Test func `the later term is more up to date, then the longer log`() {
        let short = Position(index: LogIndex(3), term: Term(5))
        let long = Position(index: LogIndex(9), term: Term(4))
        #expect(long < short)
        #expect(Position(index: LogIndex(2), term: Term(5)) < short)
    }

    @Test func `instants and intervals saturate instead of trapping`() {
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
        #expect(Instant.zero - .seconds(1) == .zero)
        #expect(Instant.zero.since(.distantFuture) == .zero)
        #expect(Interval(nanoseconds: .max) * 2 == Interval(nanoseconds: .max))
    }

    @Test(arguments: ["us-east-1", "a", "eu2"])
    func `lawful region names`(text: String) { #expect(RegionName(text)?.text == text) }

    @Test(arguments: ["", "1st", "-a", "Us", "a_b", String(repeating: "a", count: 64)])
    func `unlawful region names`(text: String) { #expect(RegionName(text) == nil) }

    @Test func `a cluster id is read as it is written`() {
        let id = ClusterID(high: 0x0123, low: .max)
        #expect(id.description == "0000000000000123ffffffffffffffff")
        #expect(ClusterID(id.description) == id)
        #expect(ClusterID("+000000000000123ffffffffffffffff") == nil)
    }

    @Test func `a reader refuses what is not there`() throws {
        var reader = ByteReader([1, 0, 2, 0, 0, 0, 9])
        #expect(try reader.u16() == 1)
        #expect(try reader.u32() == 2)
        #expect(reader.remaining == 1)
        do {
            _ = try reader.u64()
            Issue.record("8 bytes were read out of 1")
        } catch { #expect((error.wanted, error.remaining) == (8, 1)) }
        #expect(try reader.take(1) == [9])
    }

    @Test func `integers are stored little-endian`() {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: UInt32(0x0403_0201))
        bytes.append(littleEndian: UInt16(0x0605))
        #expect(bytes == [1, 2, 3, 4, 5, 6])
        #expect(bytes.load(at: 1, count: 3) == 0x04_0302)
        bytes.store(0xffff, at: 2, count: 2)
        #expect(bytes == [1, 2, 255, 255, 5, 6])
    }

    @Test func `several words stand as each would alone`() {
        var (together, apart): ([UInt8], [UInt8]) = ([7], [7])
        together.append(littleEndian: [0x0102_0304_0506_0708, .max])
        apart.append(littleEndian: 0x0102_0304_0506_0708 as UInt64)
        apart.append(littleEndian: UInt64.max)
        #expect(together == apart)
    }

    @Test(arguments: 0...20)
    func `the last byte that is not zero is found wherever it stands`(place: Int) {
        var bytes = [UInt8](repeating: 0, count: 21)
        #expect(bytes.lastNonZero(from: 0) == nil)
        bytes[0] = 1
        bytes[place] = 2
        #expect(bytes.lastNonZero(from: 0) == place)
        #expect(bytes.lastNonZero(from: place + 1) == nil)
    }

    @Test(arguments: [0, 1, 7, 63, 64, 65, 200])
    func `bytes are zero unless one of them is not, wherever it stands`(count: Int) {
        // A stray byte on both sides, which is none of theirs.
        var bytes = [9] + [UInt8](repeating: 0, count: count) + [9]
        #expect(bytes[1..<count + 1].isZero)
        for place in 1..<count + 1 {
            bytes[place] = 128
            #expect(!bytes[1..<count + 1].isZero)
            bytes[place] = 0
        }
    }

    @Test func `an array is drained from its beginning, and keeps its room`() {
        var words = ["a", "b", "c", "d"]
        let room = words.capacity
        var drained: [String] = []
        words.drain { drained.append($0) }
        #expect(drained == ["a", "b", "c", "d"])
        #expect(words.isEmpty && words.capacity == room)
    }

    @Test func `the same seed gives the same numbers`() {
        var a = SeededRandom(seed: 42)
        var b = a
        #expect((0..<100).map { _ in a.next() } == (0..<100).map { _ in b.next() })
        var c = SeededRandom(seed: 43)
        #expect(a.next() != c.next())
    }
}
