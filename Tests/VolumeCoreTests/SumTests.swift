import Disk
import Mesh
import Record
import SimulatedDisk
import Testing

@testable import VolumeCore

/// A volume on a disk that may be hurt, fed by a log of its own.
struct SummedVolume {
    static let id = VolumeID(7)
    static let generation = ExportGeneration(epoch: Epoch(3), opening: 1)
    static let image = VolumeState.image(of: id)
    static let sums = VolumeState.sums(of: id)
    static let limits: VolumeLimits = {
        var limits = VolumeLimits(pendingByteCountMax: 1 << 20, overlayByteCountMax: 1 << 20)
        limits.sumPagesMax = 2
        return limits
    }()

    let byteCount: UInt64
    var core: VolumeCore<SimulatedDisk>
    var log: [Entry] = []
    private var number: UInt64 = 0

    init(byteCount: UInt64 = 256 << 10) throws {
        self.byteCount = byteCount
        core = try VolumeCore(disk: SimulatedDisk(), limits: Self.limits)
        #expect(try core.create(Self.id, name: "a", byteCount: byteCount) == nil)
        try core.checkpoint()
    }

    mutating func write(
        _ range: Range<UInt64>, _ byte: UInt8 = 0, _ operation: VolumeWrite.Operation = .write
    ) throws {
        number += 1
        let data = [UInt8](repeating: byte, count: operation == .write ? range.count : 0)
        let write =
            operation == .write
            ? VolumeWrite(
                volume: Self.id, offset: range.lowerBound, generation: Self.generation,
                number: number, data: data[...])
            : VolumeWrite(
                zeroing: operation, volume: Self.id, offset: range.lowerBound,
                byteCount: UInt32(range.count), keepsAllocated: operation == .zeroes,
                generation: Self.generation, number: number)
        log.append(
            write.draft.sealed(
                at: Position(index: LogIndex(UInt64(log.count + 1)), term: Term(1)),
                group: GroupID(1), time: .zero))
        try replay()
    }

    mutating func replay() throws {
        for entry in log[Int(core.applied.rawValue)...] {
            _ = try core.apply(entry, epoch: Epoch(3))
        }
    }

    mutating func fold() throws { while try core.fold(bytesMax: 1 << 20) > 0 {} }

    mutating func restart(_ hurt: (inout SimulatedDisk) -> Void) throws {
        var disk = core.disk
        hurt(&disk)
        core = try VolumeCore(disk: disk, limits: Self.limits)
        try replay()
    }

    mutating func read(_ range: Range<UInt64>) throws -> Result<[UInt8], VolumeRefused> {
        try core.readCommitted(Self.id, at: range.lowerBound, count: range.count)
    }

    mutating func isAll(_ byte: UInt8, _ range: Range<UInt64>) throws -> Bool {
        try read(range) == .success([UInt8](repeating: byte, count: range.count))
    }

    var damaged: [UInt64] { core.volumes.first?.record.damaged.blocks ?? [] }
}

@Suite("Sums over the images (ADR 8)")
struct SumTests {
    private static let block = BlockSum.blockByteCount

    @Test func `a bit that turned is found, and only its block is not served`() throws {
        for bit in 0..<8 {
            var volume = try SummedVolume()
            try volume.write(0..<8 * Self.block, 5)
            try volume.core.checkpoint()
            try volume.restart {
                $0.flip(SummedVolume.image, at: 3 * 4_096 + 511 * bit, bit: bit)
            }
            #expect(try volume.isAll(5, 0..<3 * Self.block))
            #expect(try volume.read(0..<8 * Self.block) == .failure(.damaged))
            let byte = 3 * Self.block + 9
            #expect(try volume.read(byte..<byte + 1) == .failure(.damaged))
            #expect(try volume.isAll(5, 4 * Self.block..<8 * Self.block))
            #expect(volume.damaged == [3])
        }
    }

    @Test func `a block that was written elsewhere does not pass, nor one of another volume`()
        throws
    {
        let bytes = [UInt8](repeating: 9, count: 4_096)
        let all = 0..<4_096
        let here = BlockSum(of: bytes, in: all, volume: VolumeID(7), block: 5)
        #expect(here.passes(bytes, in: all, volume: VolumeID(7), block: 5))
        for block: UInt64 in [0, 4, 6, 5 + 1_024, 1 << 31] {
            #expect(!here.passes(bytes, in: all, volume: VolumeID(7), block: block))
        }
        #expect(!here.passes(bytes, in: all, volume: VolumeID(8), block: 5))
    }

    @Test func `a write that the disk lost is found, as long as the newer sum is there`() throws {
        var volume = try SummedVolume()
        try volume.write(0..<4 * Self.block, 5)
        try volume.core.checkpoint()
        let old = try #require(volume.core.disk.contents(of: SummedVolume.image))
        try volume.write(Self.block..<2 * Self.block, 6)
        try volume.core.checkpoint()
        try volume.restart { $0.plant(old, as: SummedVolume.image) }
        #expect(try volume.read(Self.block..<2 * Self.block) == .failure(.damaged))
        #expect(try volume.isAll(5, 2 * Self.block..<4 * Self.block))
    }

    @Test func `what only a part of an allocated cell holds reads zero elsewhere`() throws {
        var volume = try SummedVolume()
        try volume.write(100..<200, 5)
        try volume.core.checkpoint()
        #expect(try volume.isAll(0, 200..<volume.byteCount))
        #expect(try volume.isAll(5, 100..<200))
        try volume.restart { $0.flip(SummedVolume.image, at: 60_000, bit: 1) }
        #expect(try volume.read(60_000..<60_001) == .failure(.damaged))
    }

    @Test func `whole overwrites, zeroes and trims heal a block, a write of a part does not`()
        throws
    {
        for operation in VolumeWrite.Operation.allCases {
            var volume = try SummedVolume()
            try volume.write(0..<8 * Self.block, 5)
            try volume.core.checkpoint()
            try volume.restart { $0.flip(SummedVolume.image, at: 4_096, bit: 0) }
            try volume.write(Self.block + 5..<Self.block + 9, 6)
            try volume.core.checkpoint()
            #expect(volume.damaged == [1])
            #expect(try volume.read(Self.block..<Self.block + 1) == .failure(.damaged))
            try volume.restart { _ in }
            #expect(volume.damaged == [1])
            // Neither: the sum that passed before the write of a part passes no more.
            try volume.restart { $0.flip(SummedVolume.image, at: 4_096, bit: 0) }
            #expect(try volume.read(Self.block..<Self.block + 1) == .failure(.damaged))
            try volume.write(Self.block..<2 * Self.block, 7, operation)
            try volume.core.checkpoint()
            #expect(volume.damaged.isEmpty)
            let byte: UInt8 = operation == .write ? 7 : 0
            #expect(try volume.isAll(byte, Self.block..<2 * Self.block))
        }
    }

    @Test func `damage past what is noted is found again, and never served`() throws {
        let blocks = UInt64(VolumeLimits.damagedBlocksMax) + 9
        var volume = try SummedVolume(byteCount: blocks * Self.block)
        for start in stride(from: 0, to: blocks * Self.block, by: 512 << 10) {
            try volume.write(start..<min(start + 512 << 10, blocks * Self.block), 5)
        }
        try volume.core.checkpoint()
        try volume.restart { disk in
            for block in 0..<Int(blocks) {
                disk.flip(SummedVolume.image, at: block * 4_096 + block % 4_096, bit: 3)
            }
        }
        for block in 0..<blocks {
            let range = block * Self.block..<(block + 1) * Self.block
            #expect(try volume.read(range) == .failure(.damaged))
        }
        #expect(volume.damaged.count == VolumeLimits.damagedBlocksMax)
    }

    @Test func `more pages of sums than there is room for are written and read again`() throws {
        var volume = try SummedVolume(byteCount: 40 << 20)
        for place in 0..<10 as Range<UInt64> {
            try volume.write(place << 22..<place << 22 + Self.block, UInt8(place) + 1)
            try volume.fold()
        }
        for place in 0..<10 as Range<UInt64> {
            #expect(try volume.isAll(UInt8(place) + 1, place << 22..<place << 22 + Self.block))
        }
        #expect(volume.damaged.isEmpty)
    }

    @Test func `an image of a release without sums is taken as it is, and summed as it is written`()
        throws
    {
        var volume = try SummedVolume()
        try volume.write(0..<volume.byteCount, 5)
        try volume.core.checkpoint()
        let bytes = try #require(volume.newestState)
        var state = try #require(VolumeState(parsing: bytes))
        state.sequence += 2
        try volume.restart { disk in
            disk.plant(state.encoded(as: .unsummed), as: VolumeState.slots[Int(state.sequence % 2)])
            try? disk.remove(SummedVolume.sums)
        }
        #expect(try volume.isAll(5, 0..<volume.byteCount))
        try volume.write(70_000..<70_001, 6)
        try volume.core.checkpoint()
        try volume.restart { disk in
            disk.flip(SummedVolume.image, at: 70_010, bit: 0)
            disk.flip(SummedVolume.image, at: 140_000, bit: 0)
        }
        #expect(try volume.read(70_000..<70_001) == .failure(.damaged))
        #expect(try volume.read(140_000..<140_001) == .success([4]))
    }

    @Test func `without its sums a volume is not opened`() throws {
        let volume = try SummedVolume()
        var disk = volume.core.disk
        try disk.remove(SummedVolume.sums)
        #expect(throws: VolumeRecoveryRefused.self) { try VolumeCore(disk: disk) }
    }
}

extension SummedVolume {
    var newestState: [UInt8]? {
        VolumeState.slots.compactMap { core.disk.contents(of: $0) }
            .max { $0.load(at: 16, count: 8) < $1.load(at: 16, count: 8) }
    }
}

@Suite("Sums through power cuts (ADR 8)")
struct SumCrashTests {
    /// Random writes of every size, folds and checkpoints; power cuts that keep any sectors. Without a
    /// fault of the disk nothing may be damaged, and all bytes are what the log says.
    @Test(arguments: 1...24 as ClosedRange<UInt64>)
    func `behind any cut the replay makes images and sums agree`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var volume = try SummedVolume(byteCount: 200_000)
        var model = [UInt8](repeating: 0, count: 200_000)
        for step in 0..<300 {
            switch random.next() % 16 {
            case 0..<10:
                let start = random.next() % 200_000
                let isShort = random.chance(3, in: 4)
                let end = min(start + 1 + random.next() % (isShort ? 3_000 : 90_000), 200_000)
                // Many hit the same few blocks, between one checkpoint and the next.
                let shift = random.chance(1, in: 2) ? start / 12_288 * 12_288 : 0
                let range = start - shift..<end - shift
                let byte = UInt8(truncatingIfNeeded: step)
                let operations: [VolumeWrite.Operation] = [.write, .write, .zeroes, .trim]
                let operation = operations[Int(random.next() % 4)]
                try volume.write(range, byte, operation)
                let value = operation == .write ? byte : 0
                for at in range { model[Int(at)] = value }
            case 10..<13: _ = try volume.core.fold(bytesMax: Int(random.next() % 8_000))
            case 13: try volume.core.checkpoint()
            default:
                let kept = SimulatedDisk.Kept.allCases[Int(random.next() % 5)]
                try volume.restart { $0.crash(keeping: kept, using: &random) }
                #expect(try volume.read(0..<200_000) == .success(model))
            }
        }
        try volume.core.checkpoint()
        #expect(try volume.read(0..<200_000) == .success(model))
        #expect(volume.damaged.isEmpty)
    }
}
