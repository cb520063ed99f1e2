import Mesh
import Record
import Testing

@testable import VolumeCore

@Suite("A volume's state that nobody can have written")
struct StateTests {
    private static let lawful: VolumeState = {
        var state = VolumeState()
        (state.sequence, state.applied) = (4, LogIndex(9))
        state.volumes = [1, 2].map { id in
            VolumeState.Record(
                id: VolumeID(id), name: "v\(id)", byteCount: 1 << 20, isSync: true,
                since: LogIndex(2))
        }
        return state
    }()

    /// Encoded as ours would, checksum and all.
    private func isRead(_ spoil: (inout VolumeState) -> Void) -> Bool {
        var state = Self.lawful
        spoil(&state)
        return VolumeState(parsing: state.encoded) != nil
    }

    @Test func `what counts beyond all counting is refused`() {
        #expect(isRead { _ in })
        #expect(!isRead { $0.applied = LogIndex(.max) })
        #expect(!isRead { $0.sequence = .max })
        #expect(!isRead { $0.volumes[0].number = .max })
        #expect(!isRead { $0.volumes[0].changes = ChangeRing(knownAbove: LogIndex(.max)) })
        #expect(
            !isRead {
                $0.resync = .init(phase: .copying, target: LogIndex(.max), wholeByteCount: 0)
            })
    }

    @Test func `volumes out of order, twice or without a name are refused`() {
        #expect(!isRead { $0.volumes.reverse() })
        #expect(!isRead { $0.volumes[1].id = VolumeID(1) })
        #expect(!isRead { $0.volumes[1].name = "" })
        #expect(!isRead { $0.volumes[1].name = String(repeating: "n", count: 256) })
    }

    @Test func `a first release's map with cells that there are not is refused`() {
        let byteCount: UInt64 = 20 * (64 << 10) + 512
        #expect(CellMap(byteCount: byteCount, bits: [0xff, 0xff, 0x1f])?.bits.count == 3)
        #expect(CellMap(byteCount: byteCount, bits: [0xff, 0xff, 0x3f]) == nil)
        #expect(CellMap(byteCount: byteCount, bits: [0xff, 0xff]) == nil)
    }

    @Test func `an opening that nobody can have counted to is damage, whatever its checksum`() {
        for (opening, isLawful) in [(OpeningFile.openingMax, true), (.max, false)] {
            let last = ExportGeneration(epoch: Epoch(3), opening: opening)
            let bytes = OpeningFile(last: last).encoded
            #expect((OpeningFile(parsing: bytes)?.last == last) == isLawful)
        }
    }

    /// A release that knows of no fine cells drops them from what it writes, and is not confused by them in what it reads.
    @Test func `a state without fine changes is read as one that has them`() throws {
        var state = Self.lawful
        state.volumes[0].changes.note(4_096..<8_192, of: 1 << 20, at: LogIndex(5))
        state.volumes[0].changes.close()
        let fine = try #require(VolumeState(parsing: state.encoded))
        #expect(fine.volumes[0].changes == state.volumes[0].changes)
        var bytes = state.encoded
        var behind: [UInt8] = []
        for volume in state.volumes { volume.changes.encode(.fine, into: &behind) }
        bytes.removeLast(behind.count)
        bytes.store(UInt64(bytes.count), at: 4, count: 4)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        let coarse = try #require(VolumeState(parsing: bytes))
        let told = coarse.volumes[0].changes.changed(since: LogIndex(4), of: 1 << 20)
        #expect(told?.ranges == [0..<65_536])
        bytes.append(9)
        bytes.store(UInt64(bytes.count), at: 4, count: 4)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        #expect(VolumeState(parsing: bytes) == nil)
    }

    @Test func `more ranges of changes than are kept are refused before their maps are made`() {
        var state = Self.lawful
        state.volumes.removeLast()
        var bytes = state.encoded
        #expect(VolumeState(parsing: bytes) == state)
        bytes[bytes.count - 1] = UInt8(ChangeRing.rangesMax + 1)
        for through in 3..<UInt64(ChangeRing.rangesMax + 4) {
            bytes.append(littleEndian: through)
            bytes.append(littleEndian: UInt32(0))
        }
        bytes.store(UInt64(bytes.count), at: 4, count: 4)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        #expect(VolumeState(parsing: bytes) == nil)
    }

    @Test func `a message of a resync names an index that a log can have`() throws {
        for (index, isLawful) in [(LogIndex.countMax, true), (LogIndex(.max), false)] {
            let ask = ResyncMessage.askManifest(since: index, id: .none, offset: 0)
            #expect(((try? ResyncMessage(parsing: ask.encoded)) == ask) == isLawful)
        }
    }
}
