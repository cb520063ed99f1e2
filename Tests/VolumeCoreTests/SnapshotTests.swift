import Disk
import Mesh
import Record
import SimulatedDisk
import Testing

@testable import VolumeCore

@Suite("Snapshots: volumes as of an index, for as long as there is room") struct SnapshotTests {
    private static let block = BlockSum.blockByteCount

    @Test func `a snapshot holds what there was, and takes room only for what changes`() throws {
        var log = try VolumeLog([1 << 20], roomByteCount: 1 << 20)
        try log.write(1, at: 0, [UInt8](repeating: 1, count: 300_000))
        let writes = log.core.disk.counts.writes
        let taken = try log.snapshot("before").get()
        #expect(log.core.disk.counts.writes == writes)
        #expect(taken.index == log.core.applied && taken.keptByteCount == 0)
        try log.write(1, at: 8_192, [UInt8](repeating: 2, count: 4_096))
        try log.write(1, at: 8_192, [UInt8](repeating: 3, count: 4_096))
        try log.write(1, at: 700_000, [4])
        #expect(log.core.snapshotRoom.usedByteCount == Self.block, "zeros are not kept")
        let then = try log.read(taken.id, 1, 0..<1 << 20)
        #expect(then[..<300_000].allSatisfy { $0 == 1 } && then[300_000...].isZero)
        #expect(try log.contents(1)[8_192] == 3)
    }

    @Test func `an old block is kept once, however many snapshots need it`() throws {
        var log = try VolumeLog([1 << 20], roomByteCount: 1 << 20)
        try log.write(1, at: 0, [UInt8](repeating: 1, count: 16_384))
        let ids = try ["a", "b", "c"].map { try log.snapshot($0).get().id }
        try log.write(1, at: 0, [UInt8](repeating: 2, count: 16_384))
        #expect(log.core.snapshotRoom.usedByteCount == 16_384)
        #expect(log.core.deleteSnapshot("b") == nil)
        #expect(log.core.deleteSnapshot("c") == nil)
        #expect(log.core.snapshotRoom.usedByteCount == 16_384, "the oldest still needs them")
        #expect(try log.read(ids[0], 1, 0..<16_384).allSatisfy { $0 == 1 })
        #expect(try log.readResult(ids[2], 1, 0..<1) == .failure(.unknown))
        #expect(log.core.deleteSnapshot("a") == nil)
        #expect(log.core.snapshotRoom.usedByteCount == 0)
        #expect(log.core.deleteSnapshot("a") == .unknown)
    }

    @Test func `what was zeros in a cell that was given back since is zeros, whoever goes`() throws
    {
        var log = try VolumeLog([1 << 20], roomByteCount: 1 << 20)
        try log.write(1, at: 0, [UInt8](repeating: 0, count: 65_536))
        let old = try log.snapshot("old").get().id
        try log.zero(1, 0..<65_536)
        try log.core.checkpoint()
        _ = try log.snapshot("new").get()
        try log.write(1, at: 0, [UInt8](repeating: 7, count: 65_536))
        #expect(log.core.snapshotRoom.usedByteCount == 0)
        #expect(try log.read(old, 1, 0..<65_536)[...].isZero)
        #expect(log.core.deleteSnapshot("new") == nil)
        #expect(try log.read(old, 1, 0..<65_536)[...].isZero)
    }

    @Test func `a full room takes the oldest snapshot, and the write goes on`() throws {
        var log = try VolumeLog([1 << 20], roomByteCount: 65_536)
        try log.write(1, at: 0, [UInt8](repeating: 1, count: 200_000))
        let old = try log.snapshot("old").get().id
        try log.write(1, at: 0, [UInt8](repeating: 2, count: 40_960))
        let new = try log.snapshot("new").get().id
        try log.write(1, at: 40_960, [UInt8](repeating: 3, count: 40_960))
        let end = SnapshotEnd.roomFull(usedByteCount: 40_960, roomByteCount: 65_536)
        #expect(try log.readResult(old, 1, 0..<1) == .failure(.ended(end)))
        #expect(log.core.snapshotStanding.map(\.name) == ["new", "old"])
        #expect(log.core.snapshotStanding.map(\.end) == [nil, end])
        let held = try log.read(new, 1, 0..<81_920)
        #expect(held[..<40_960].allSatisfy { $0 == 2 } && held[40_960...].allSatisfy { $0 == 1 })
        // More than the room at once: none is left.
        try log.write(1, at: 0, [UInt8](repeating: 4, count: 200_000))
        #expect(log.core.snapshotStanding.allSatisfy { $0.end != nil })
        #expect(try log.contents(1)[199_999] == 4)
        #expect(log.core.deleteSnapshot("old") == nil, "whoever has seen that it ended says so")
        #expect(log.core.snapshotStanding.map(\.name) == ["new"])
    }

    @Test func `who goes back writes over all of it, and needs room only for what is not kept yet`()
        throws
    {
        var log = try VolumeLog([1 << 20], roomByteCount: 65_536)
        try log.write(1, at: 0, (0..<400_000).map { UInt8(truncatingIfNeeded: $0 / 999) })
        let id = try log.snapshot("before").get().id
        try log.write(1, at: 100_000, [UInt8](repeating: 0xee, count: 30_000))
        try log.write(1, at: 900_000, [1, 2, 3])
        let then = try log.read(id, 1, 0..<1 << 20)
        for start in stride(from: 0, to: 1 << 20, by: 50_000) {
            let part = then[start..<min(start + 50_000, 1 << 20)]
            if part.isZero {
                try log.zero(1, UInt64(start)..<UInt64(part.endIndex))
            } else {
                try log.write(1, at: UInt64(start), Array(part))
            }
        }
        #expect(try log.contents(1) == then)
        #expect(try log.read(id, 1, 0..<1 << 20) == then)
        #expect(log.core.snapshotRoom.usedByteCount == 8 * Self.block)
    }

    @Test func `a disk that does not take what is to be kept ends snapshots, and no write`() throws
    {
        var log = try VolumeLog([1 << 20], roomByteCount: 1 << 20)
        try log.write(1, at: 0, [UInt8](repeating: 1, count: 40_960))
        try log.core.checkpoint()
        let id = try log.snapshot("a").get().id
        log.core.disk.failingWrite = log.core.disk.counts.writes + 1
        try log.write(1, at: 0, [UInt8](repeating: 2, count: 4_096))
        guard case .failure(.ended(.roomFailed)) = try log.readResult(id, 1, 0..<1) else {
            Issue.record("\(try log.readResult(id, 1, 0..<1))")
            return
        }
        #expect(try log.contents(1)[0] == 2)
        _ = log.core.deleteSnapshot("a")
        let again = try log.snapshot("a").get().id
        try log.write(1, at: 4_096, [UInt8](repeating: 3, count: 4_096))
        #expect(try log.read(again, 1, 4_096..<8_192).allSatisfy { $0 == 1 })
    }

    @Test func `kept bytes that rot are not given, and no others are harmed`() throws {
        var log = try VolumeLog([1 << 20], roomByteCount: 1 << 20)
        try log.write(1, at: 0, [UInt8](repeating: 1, count: 16_384))
        let id = try log.snapshot("a").get().id
        try log.write(1, at: 0, [UInt8](repeating: 2, count: 16_384))
        log.core.disk.flip(SnapshotRoom.name, at: 5_000, bit: 3)
        let bad = try (0..<4).map { block in
            try log.readResult(id, 1, UInt64(block) * 4_096..<UInt64(block + 1) * 4_096)
        }.enumerated().filter { $0.element.isFailure }
        let at = UInt64(bad.first?.offset ?? 0) * 4_096
        #expect(bad.map(\.element) == [.failure(.damaged(at: at))])
    }

    @Test func `what was damaged when it was written over is not given as if it were whole`()
        throws
    {
        var log = try VolumeLog([100_000], roomByteCount: 1 << 20)
        try log.write(1, at: 0, [UInt8](repeating: 5, count: 50_000))
        try log.core.checkpoint()
        log.core.disk.flip("volume-1.image", at: 5_000, bit: 2)
        let id = try log.snapshot("a").get().id
        #expect(try log.readResult(id, 1, 0..<8_192) == .failure(.damaged(at: 0)))
        try log.write(1, at: 0, [UInt8](repeating: 6, count: 20_000))
        #expect(try log.contents(1)[5_000] == 6)
        #expect(try log.readResult(id, 1, 4_096..<8_192) == .failure(.damaged(at: 4_096)))
        #expect(try log.read(id, 1, 0..<4_096).allSatisfy { $0 == 5 })
        #expect(try log.read(id, 1, 8_192..<50_000).allSatisfy { $0 == 5 })
    }

    @Test func `a volume that goes ends its part, and the snapshot with the last of them`() throws {
        var log = try VolumeLog([100_000, 100_000], roomByteCount: 1 << 20)
        try log.write(2, at: 0, [UInt8](repeating: 5, count: 50_000))
        let id = try log.snapshot("a").get().id
        try log.write(2, at: 0, [UInt8](repeating: 6, count: 50_000))
        #expect(log.core.delete(VolumeID(2)) == nil)
        #expect(log.core.snapshotRoom.usedByteCount == 0)
        #expect(try log.readResult(id, 2, 0..<1) == .failure(.ended(.volumeDeleted)))
        #expect(try log.read(id, 1, 0..<1) == [0])
        #expect(log.core.delete(VolumeID(1)) == nil)
        #expect(log.core.snapshotStanding.map(\.end) == [.volumeDeleted])
    }

    @Test func `one request that takes too much away ends the snapshots of its volume alone`()
        throws
    {
        var log = try VolumeLog([1 << 20, 4_096], roomByteCount: 1 << 20, atOnceMax: 65_536)
        try log.write(1, at: 0, [UInt8](repeating: 5, count: 200_000))
        let id = try log.snapshot("a").get().id
        try log.zero(1, 0..<65_536)
        #expect(try log.read(id, 1, 0..<200_000).allSatisfy { $0 == 5 })
        try log.zero(1, 65_536..<200_000)
        let end = SnapshotEnd.tooMuchAtOnce(byteCountMax: 65_536)
        #expect(try log.readResult(id, 1, 0..<1) == .failure(.ended(end)))
        #expect(try log.read(id, 2, 0..<1) == [0])
    }

    @Test func `a replica that copies anew has none, and says so`() throws {
        var log = try VolumeLog([100_000], roomByteCount: 1 << 20)
        try log.core.checkpoint()
        try log.write(1, at: 0, [1])
        let id = try log.snapshot("a").get().id
        #expect(try log.core.fallBehind(through: LogIndex(900)))
        #expect(try log.readResult(id, 1, 0..<1) == .failure(.ended(.resynced)))
        #expect(log.snapshot("b") == .failure(.incomplete))
    }

    @Test func `a restart leaves nothing of the room`() throws {
        var log = try VolumeLog([100_000], roomByteCount: 1 << 20)
        try log.write(1, at: 0, [UInt8](repeating: 1, count: 50_000))
        _ = try log.snapshot("a").get()
        try log.write(1, at: 0, [UInt8](repeating: 2, count: 50_000))
        try log.core.checkpoint()
        #expect(log.core.disk.contents(of: SnapshotRoom.name)?.isEmpty == false)
        let again = try VolumeCore(disk: log.core.disk)
        #expect(again.disk.contents(of: SnapshotRoom.name) == nil)
        #expect(again.snapshotStanding.isEmpty)
    }

    @Test func `a room that nobody needs is given back`() throws {
        var log = try VolumeLog([100_000], roomByteCount: 1 << 20)
        try log.write(1, at: 0, [UInt8](repeating: 1, count: 50_000))
        for name in ["a", "b"] {
            _ = try log.snapshot(name).get()
            try log.write(1, at: 0, [UInt8](repeating: 2, count: 50_000))
        }
        try log.core.yieldSnapshots()
        #expect(log.core.disk.contents(of: SnapshotRoom.name) == [])
        #expect(log.core.snapshotStanding.map(\.end) == [.fileSystemFull, .fileSystemFull])
        _ = try log.snapshot("c").get()
        try log.write(1, at: 0, [UInt8](repeating: 3, count: 50_000))
        #expect(log.core.deleteSnapshot("c") == nil)
        try log.core.tidyRoom()
        #expect(log.core.disk.contents(of: SnapshotRoom.name) == [])
    }

    @Test func `what can't be held is refused, and says why`() throws {
        var none = try VolumeLog([4_096])
        #expect(none.snapshot("a") == .failure(.notConfigured))
        var log = try VolumeLog([4_096], roomByteCount: 1 << 20)
        #expect(log.snapshot("x", of: [7]) == .failure(.unknownVolume))
        for at in 0..<Snapshots.countMax { _ = try log.snapshot("\(at)").get() }
        #expect(log.snapshot("3") == .failure(.exists(name: "3")))
        #expect(log.snapshot("x") == .failure(.tooMany(limit: Snapshots.countMax)))
        let id = try #require(log.core.snapshotStanding.first).id
        #expect(try log.readResult(id, 1, 0..<4_097) == .failure(.outOfRange))
        #expect(try log.readResult(id, 7, 0..<1) == .failure(.unknownVolume))
    }
}

extension Result {
    var isFailure: Bool {
        if case .failure = self { true } else { false }
    }
}

extension VolumeLog {
    mutating func snapshot(
        _ name: String, of volumes: [UInt64] = []
    ) -> Result<SnapshotInfo, SnapshotRefused> {
        lastID += 1
        return core.takeSnapshot(
            SnapshotOrder(
                id: SnapshotID(lastID), name: name, time: .zero,
                volumes: Set(volumes.map { VolumeID($0) })))
    }

    mutating func readResult(
        _ id: SnapshotID, _ volume: UInt64, _ range: Range<UInt64>
    ) throws -> Result<[UInt8], SnapshotRefused> {
        try core.readSnapshot(id, VolumeID(volume), range)
    }

    mutating func read(
        _ id: SnapshotID, _ volume: UInt64, _ range: Range<UInt64>
    ) throws -> [UInt8] {
        try readResult(id, volume, range).get()
    }
}
