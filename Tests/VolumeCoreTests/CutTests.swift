import Mesh
import Record
import SimulatedDisk
import Testing

@testable import VolumeCore

@Suite("Cuts: volumes as of one index, while the log goes on") struct CutTests {
    private typealias Log = VolumeLog

    @Test(arguments: 1...15 as ClosedRange<UInt64>)
    func `whatever the log does meanwhile, a cut gives what there was`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let sizes = [1 + random.next() % 900_000, 1 + random.next() % 300_000]
        var log = try Log(sizes)
        for _ in 0..<60 { try log.change(&random) }
        let before = log.core.applied
        for _ in 0..<Int(random.next() % 30) { try log.change(&random) }
        let then = try [1, 2].map { try log.contents($0) }
        let volumes = try log.core.beginCut(since: before).get().volumes
        #expect(log.core.cutIndex == log.core.applied)
        var found = sizes.map { [UInt8](repeating: 0xee, count: Int($0)) }
        // Everything that may hold anything, piece by piece in any order.
        var left: [(volume: Int, range: Range<UInt64>)] = []
        for (at, volume) in volumes.enumerated() {
            let size = Cut.granuleByteCount
            for start in stride(from: 0, to: volume.byteCount, by: Int(size)) {
                left.append((at, start..<min(start + size, volume.byteCount)))
            }
        }
        left.shuffle(using: &random)
        while let (volume, range) = left.popLast() {
            for _ in 0..<Int(random.next() % 3) { try log.change(&random) }
            let bytes = try log.core.readCut(
                volumes[volume].id, at: range.lowerBound, count: range.count
            ).get()
            found[volume].replaceSubrange(
                Int(range.lowerBound)..<Int(range.upperBound), with: bytes)
        }
        #expect(found[0] == then[0] && found[1] == then[1])
        #expect(log.core.cutKeptBytes == 0, "what was read is not kept")
        for (volume, then) in zip(volumes, then) {
            var rest = then
            for held in volume.allocated {
                let zeros = [UInt8](repeating: 0, count: held.count)
                rest.replaceSubrange(Int(held.lowerBound)..<Int(held.upperBound), with: zeros)
            }
            #expect(rest[...].isZero, "what is not allocated reads zero")
        }
        log.core.endCut()
        #expect(log.core.cutIndex == nil)
    }

    @Test func `what is added to a volume meanwhile is no part of a cut`() throws {
        var log = try Log([69_632])
        try log.write(1, at: 0, [UInt8](repeating: 7, count: 69_632))
        let before = log.core.applied
        let volume = try log.core.beginCut(since: nil).get().volumes[0]
        #expect(try log.core.grow(VolumeID(1), to: 262_144) == nil)
        try log.write(1, at: 60_000, [UInt8](repeating: 8, count: 120_000))
        #expect(volume.byteCount == 69_632)
        let bytes = try log.core.readCut(VolumeID(1), at: 0, count: 69_632).get()
        #expect(bytes.allSatisfy { $0 == 7 })
        let behind = try log.core.readCut(VolumeID(1), at: 81_920, count: 16_384)
        #expect(behind == .failure(.outOfRange))
        log.core.endCut()
        let next = try log.core.beginCut(since: before).get().volumes[0]
        #expect(next.byteCount == 262_144 && next.changed == [0..<180_224])
    }

    @Test func `what changed since an earlier cut is told, and all else is the same`() throws {
        var log = try Log([2 << 20])
        try log.write(1, at: 0, [1])
        let before = log.core.applied
        try log.core.checkpoint()
        try log.write(1, at: 1 << 20, [2])
        let volume = try log.core.beginCut(since: before).get().volumes[0]
        #expect(volume.changed == [1 << 20..<(1 << 20) + (16 << 10)])
        log.core.endCut()
        #expect(try log.core.beginCut(since: nil).get().volumes[0].changed == nil)
    }

    @Test func `longer reads give the same, and each part is given once`() throws {
        var log = try Log([100_000])
        let data = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 / 1_000) }
        try log.write(1, at: 0, data)
        _ = try log.core.beginCut(since: nil).get()
        try log.write(1, at: 40_000, [UInt8](repeating: 0xff, count: 30_000))
        #expect(log.core.cutKeptBytes == 3 * 16_384)
        let id = VolumeID(1)
        #expect(try log.core.readCut(id, at: 0, count: 65_536).get() == Array(data[..<65_536]))
        #expect(log.core.cutKeptBytes == 16_384)
        #expect(
            try log.core.readCut(id, at: 65_536, count: 100_000 - 65_536).get()
                == Array(data[65_536...]))
        #expect(log.core.cutKeptBytes == 0)
        #expect(try log.core.readCut(id, at: 0, count: 16_384) == .failure(.readBefore))
        for (offset, count) in [(1, 16_384), (0, 100), (0, 0), (98_304, 16_384), (0, 1 << 30)] {
            let read = try log.core.readCut(id, at: UInt64(offset), count: count)
            #expect(read == .failure(.outOfRange), "\(offset) \(count)")
        }
    }

    /// A mend, or a write that heals the block, brings bytes of a later index.
    @Test func `what was damaged when it was written over is not given as if it were whole`()
        throws
    {
        var log = try Log([100_000])
        try log.write(1, at: 0, [UInt8](repeating: 5, count: 50_000))
        try log.core.checkpoint()
        log.core.disk.flip("volume-1.image", at: 5_000, bit: 2)
        _ = try log.core.beginCut(since: nil).get()
        let id = VolumeID(1)
        #expect(try log.core.readCut(id, at: 0, count: 16_384) == .failure(.damaged))
        try log.write(1, at: 0, [UInt8](repeating: 6, count: 20_000))
        try log.core.checkpoint()
        #expect(try log.contents(1).first == 6)
        #expect(try log.core.readCut(id, at: 0, count: 16_384) == .failure(.damaged))
        #expect(try log.core.readCut(id, at: 16_384, count: 16_384).get().first == 5)
    }

    @Test func `what can't be kept ends the cut, and takes no more memory`() throws {
        var log = try Log([1 << 20], cutByteCountMax: 40_000)
        try log.write(1, at: 0, [UInt8](repeating: 3, count: 1 << 20))
        _ = try log.core.beginCut(since: nil).get()
        try log.write(1, at: 0, [UInt8](repeating: 4, count: 20_000))
        #expect(log.core.cutKeptBytes == 32_768)
        try log.zero(1, 500_000..<600_000)
        #expect(log.core.cutKeptBytes == 0)
        let read = try log.core.readCut(VolumeID(1), at: 0, count: 16_384)
        #expect(read == .failure(.overrun(byteCountMax: 40_000)))
        log.core.endCut()
        _ = try log.core.beginCut(since: nil).get()
        #expect(try log.core.readCut(VolumeID(1), at: 0, count: 16_384).get().first == 4)
    }

    @Test func `a volume that goes takes what was kept of it along, and a new one is no part`()
        throws
    {
        var log = try Log([200_000, 200_000])
        try log.write(1, at: 0, [1])
        _ = try log.core.beginCut(since: nil).get()
        try log.write(1, at: 0, [2])
        #expect(log.core.cutKeptBytes > 0)
        #expect(log.core.delete(VolumeID(1)) == nil)
        #expect(log.core.cutKeptBytes == 0)
        #expect(try log.core.create(VolumeID(3), name: "new", byteCount: 50_000) == nil)
        for id in [VolumeID(1), VolumeID(3)] {
            let read = try log.core.readCut(id, at: 0, count: 16_384)
            #expect(read == .failure(.unknownVolume(id)))
        }
        #expect(try log.core.readCut(VolumeID(2), at: 0, count: 16_384).get().count == 16_384)
    }

    @Test func `one cut at a time, and none where volumes are not one moment's`() throws {
        var log = try Log([50_000])
        #expect(try log.core.readCut(VolumeID(1), at: 0, count: 16_384) == .failure(.none))
        _ = try log.core.beginCut(since: nil).get()
        #expect(log.core.beginCut(since: nil) == .failure(.underWay(since: log.core.applied)))
        log.core.endCut()
        _ = try log.core.fallBehind(through: LogIndex(1_000))
        #expect(log.core.cutIndex == nil)
        #expect(log.core.beginCut(since: nil) == .failure(.incomplete))
    }

    /// Found by the simulator: the decisions were as of an earlier entry than the volumes.
    @Test func `none behind a restart, until the log was handed in as far as they are`()
        throws
    {
        var log = try Log([50_000])
        for _ in 0..<3 { try log.write(1, at: 0, [1, 2, 3]) }
        try log.core.checkpoint()
        var disk = log.core.disk
        let end = log.core.applied
        var core = try VolumeCore(
            recovering: &disk, limits: log.core.limits, logEnd: log.core.applied)
        #expect(core.applied == end && !core.isReplaying)
        for index in 1...end.rawValue {
            #expect(core.beginCut(since: nil) == .failure(.incomplete))
            core.skip(LogIndex(index))
        }
        #expect(try core.beginCut(since: nil).get().index == end)
    }
}
