import Backup
import Mesh
import Repository
import Testing

@Suite("Room for what is restored") struct RoomTests {
    /// 1 GiB as a guest sees it, 40 cells of it written.
    private static func backup() throws -> (reader: BackupReader, map: VolumeMap) {
        var volume = try MemoryVolume(1 << 30)
        for cell in 0..<40 as Range<UInt64> {
            volume.cells[cell * 999] = MemoryVolume.content(cell + 1, 4_096)
        }
        // Zeros take none.
        volume.cells[5] = [UInt8](repeating: 0, count: 4_096)
        let vault = try Rig.vault(MemoryStore())
        let made = try Rig.back(up: volume, vault).manifest
        return (try BackupReader(vault, threads: 2), made.manifest.volumes[0].map)
    }

    @Test func `what is needed is what is written, not what guests see`() throws {
        let (reader, map) = try Self.backup()
        #expect(try reader.storedByteCount(map) == 40 * 4_096)
        let two = Room(2 * 40 * 4_096, in: "here")
        #expect(try reader.roomLacking(for: [map, map], in: two) == nil)
        #expect(try reader.roomLacking(for: [map], besides: 40 * 4_096, in: two) == nil)
    }

    @Test func `what does not fit is told to the byte`() throws {
        let (reader, map) = try Self.backup()
        let tight = Room(2 * 40 * 4_096 - 1, in: "here")
        #expect(try reader.roomLacking(for: [map, map], in: tight) == 2 * 40 * 4_096)
        let besides = try reader.roomLacking(for: [map], besides: 50 * 4_096, in: tight)
        #expect(besides == 90 * 4_096)
        #expect(try reader.roomLacking(for: [], besides: 7, in: Room(6, in: "here")) == 7)
    }

    @Test func `a place that is not there has no room to be asked for`() throws {
        #expect(try Room(in: "/").byteCount > 0)
        #expect(throws: BackupFailure.self) { try Room(in: "/nowhere/at/all") }
    }
}
