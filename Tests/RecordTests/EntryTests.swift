import CChecksum
import Mesh
import Record
import Testing

@Suite("One record, on disk as on the wire")
struct EntryTests {
    private func sample(payload: [UInt8] = Array(0..<200)) -> Entry {
        Draft(.write, epoch: Epoch(7), session: SessionID(8), sequence: 9, payload: payload)
            .sealed(
                at: Position(index: LogIndex(11), term: Term(3)), group: GroupID(2),
                time: WallTime(12))
    }

    @Test func `what was sealed is read back, field by field`() throws {
        let entry = sample()
        let read = try Entry(parsing: [1, 2, 3] + entry.bytes + [4], at: 3)
        #expect(read == entry)
        #expect(read.bytes == entry.bytes)
        #expect(read.position == Position(index: LogIndex(11), term: Term(3)))
        #expect((read.kind, read.group) == (.write, GroupID(2)))
        #expect((read.epoch, read.time) == (Epoch(7), WallTime(12)))
        #expect((read.session, read.sequence) == (SessionID(8), 9))
        #expect(Array(read.payload) == Array(0..<200))
    }

    @Test func `one flipped bit in any byte is refused`() {
        let entry = sample(payload: Array(0..<40))
        for byte in entry.bytes.indices {
            for bit in 0..<8 {
                var bytes = entry.bytes
                bytes[byte] ^= 1 << bit
                #expect(throws: EntryRefused.self) { try Entry(parsing: bytes) }
            }
        }
    }

    @Test func `a cut record is short, not damaged`() {
        let entry = sample()
        for count in 0..<entry.bytes.count {
            #expect {
                try Entry(parsing: Array(entry.bytes.prefix(count)))
            } throws: { error in
                if case .short = error as? EntryRefused { true } else { false }
            }
        }
    }

    @Test func `a claimed length beyond the limit is refused before it is believed`() {
        var bytes = sample().bytes
        bytes.store(UInt64(UInt32.max), at: 4, count: 4)
        #expect(throws: EntryRefused.byteCount(.max)) { try Entry(parsing: bytes) }
    }

    @Test(arguments: [16, 24])
    func `a record beyond where any log comes is refused, though its checksum is right`(at: Int)
        throws
    {
        var bytes = sample().bytes
        bytes.store(LogIndex.countMax.rawValue, at: at, count: 8)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        #expect(try Entry(parsing: bytes).bytes == bytes)
        bytes.store(.max, at: at, count: 8)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        #expect {
            try Entry(parsing: bytes)
        } throws: { error in
            if case .position = error as? EntryRefused { true } else { false }
        }
    }

    @Test func `unknown versions and kinds are named`() {
        var bytes = sample().bytes
        bytes[10] = 9
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        #expect(throws: EntryRefused.unknownVersion(9)) { try Entry(parsing: bytes) }
        bytes = sample().bytes
        bytes.store(777, at: 8, count: 2)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        #expect(throws: EntryRefused.unknownKind(777)) { try Entry(parsing: bytes) }
    }

    @Test func `the checksum is CRC-32C of RFC 3720`() {
        #expect(Checksum.crc32c(Array("123456789".utf8)) == 0xe306_9283)
        #expect(Checksum.crc32c([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    }

    @Test func `the fast checksum equals the portable one and can be continued`() {
        var random = SeededRandom(seed: 1)
        // Beyond 300: three streams over short parts, over long ones, over both and a rest.
        let long = [383, 384, 385, 768, 1_000, 4_031, 4_032, 4_033, 4_096, 9_001, 70_000]
        for count in Array(0..<300) + long {
            let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let portable = unsafe bytes.withUnsafeBytes {
                unsafe holdfast_crc32c_portable(0, $0.baseAddress, $0.count)
            }
            #expect(Checksum.crc32c(bytes) == portable)
            let middle = count / 2
            let first = Checksum.crc32c(bytes, in: 0..<middle)
            #expect(Checksum.crc32c(bytes, in: middle..<count, seed: first) == portable)
        }
    }
}
