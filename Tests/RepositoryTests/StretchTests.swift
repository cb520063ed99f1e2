import Mesh
import Record
import Sealing
import Testing

@testable import Repository

@Suite("Stretches of the log") struct StretchTests {
    private static let cluster = ClusterID(high: 5, low: 6)
    private static let before = Position(index: LogIndex(70), term: Term(4))

    private static func entry(
        _ index: UInt64, term: UInt64 = 4, time: UInt64? = nil, group: UInt64 = 3,
        _ payload: [UInt8] = []
    ) -> Entry {
        Draft(.write, epoch: Epoch(2), payload: payload).sealed(
            at: Position(index: LogIndex(index), term: Term(term)), group: GroupID(group),
            time: WallTime(time ?? index * 10))
    }

    /// Such as fill several pieces: some shrink, one is as long as an entry gets.
    private static let some: [Entry] = [
        entry(71), entry(72, Plain.text(3_000)), entry(73, term: 6, Plain.noise(300_000, seed: 1)),
        entry(74, term: 6, Plain.noise(Entry.payloadByteCountMax, seed: 2)),
        entry(75, term: 7, Plain.text(40)),
    ]

    private static func made(
        _ entries: [Entry] = some, after: [UInt8] = []
    ) throws -> StretchObject {
        try StretchObject(
            sealing: entries, behind: before, after: digest(after), cluster: cluster, in: place(),
            random: salt(1))
    }

    @Test func `a stretch gives back what it was made of`() throws {
        for entries in [Self.some, [Self.some[0]]] {
            let made = try Self.made(entries, after: [9])
            let read = try StretchObject(made.bytes, for: place())
            #expect(try read.entries().map(\.bytes) == entries.map(\.bytes))
            #expect(read.stretch == made.stretch && read.digest == digest(made.bytes))
            #expect(read.stretch.first == LogIndex(71) && read.stretch.before == Self.before)
            #expect(read.stretch.last == entries.last?.position)
            #expect(read.stretch.predecessor == digest([9]) && read.stretch.cluster == Self.cluster)
            #expect(made.bytes.count % 4_096 == 0)
        }
    }

    @Test func `whatever byte turns or is missing, it is no stretch`() throws {
        let bytes = try Self.made([Self.some[0], Self.some[1]]).bytes
        for at in bytes.indices {
            var turned = bytes
            turned[at] ^= 1 << UInt8(at % 8)
            #expect(throws: ObjectDamage.self) {
                try StretchObject(turned, for: place()).entries()
            }
        }
        for count in stride(from: 0, to: bytes.count, by: 97) {
            #expect(throws: ObjectDamage.self) {
                try StretchObject(Array(bytes[..<count]), for: place()).entries()
            }
        }
    }

    @Test func `what a codec made wrong lies raw, and comes back`() throws {
        let faulty = Codec(
            compress: { plain, _, bytes in
                bytes += [1, 2, 3]
                return true
            }, decompress: Codec.lz4.decompress)
        let made = try StretchObject(
            sealing: Self.some, behind: Self.before, after: digest([]), cluster: Self.cluster,
            in: place(), codec: faulty, random: salt(1))
        #expect(try StretchObject(made.bytes, for: place()).entries() == Self.some)
    }

    @Test func `entries that don't follow each other make none`() throws {
        let first = Self.entry(71)
        for entries in [
            [Self.entry(72)], [first, Self.entry(73)], [first, first],
            [first, Self.entry(72, term: 3)],
            [first, Self.entry(72, group: 4)], [Self.entry(71, term: 3)],
        ] {
            #expect(throws: ObjectDamage.self) { try Self.made(entries) }
        }
    }

    @Test func `the largest lawful one is not too large to be read`() throws {
        var entries: [Entry] = []
        var byteCount = 0
        // Each of another length, and none shrinks.
        let noise = Plain.noise(Entry.payloadByteCountMax, seed: 3)
        while byteCount < Stretch.byteCountAimed {
            let index = 71 + UInt64(entries.count)
            entries.append(Self.entry(index, Array(noise.dropLast(Int(index)))))
            byteCount += entries[entries.count - 1].bytes.count
        }
        let made = try Self.made(entries)
        #expect(try StretchObject(made.bytes, for: place()).entries() == entries)
    }
}
