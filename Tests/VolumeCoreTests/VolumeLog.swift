import Mesh
import Record
import SimulatedDisk
import Testing

@testable import VolumeCore

/// Volumes that a log changes.
struct VolumeLog {
    private static let generation = ExportGeneration(epoch: Epoch(2), opening: 1)

    var core: VolumeCore<SimulatedDisk>
    private var numbers: [VolumeID: UInt64] = [:]
    var lastID: UInt64 = 0

    init(
        _ sizes: [UInt64], cutByteCountMax: Int = 64 << 20, roomByteCount: UInt64 = 0,
        atOnceMax: UInt64 = 256 << 20
    ) throws {
        var limits = VolumeLimits(overlayByteCountMax: 96 << 10)
        limits.cutByteCountMax = cutByteCountMax
        limits.snapshotRoomByteCount = roomByteCount
        limits.snapshotByteCountAtOnceMax = atOnceMax
        core = try VolumeCore(disk: SimulatedDisk(), limits: limits)
        for (at, size) in sizes.enumerated() {
            let refused = try core.create(
                VolumeID(UInt64(at) + 1), name: "v\(at)", byteCount: size)
            try #require(refused == nil)
        }
    }

    mutating func apply(_ write: (_ number: UInt64) -> VolumeWrite) throws {
        let made = write(0)
        let number = numbers[made.volume, default: 0] + 1
        numbers[made.volume] = number
        let entry = Draft(.write, epoch: Epoch(2), payload: write(number).encoded).sealed(
            at: Position(index: core.applied.next, term: Term(1)), group: GroupID(1),
            time: .zero)
        let applied = try core.apply(entry, epoch: Epoch(2))
        try #require(applied == .applied(made.volume, Self.generation, number: number))
    }

    mutating func write(_ volume: UInt64, at offset: UInt64, _ data: [UInt8]) throws {
        let most = VolumeWrite.dataByteCountMax
        for start in stride(from: 0, to: data.count, by: most) {
            try apply {
                VolumeWrite(
                    volume: VolumeID(volume), offset: offset + UInt64(start),
                    generation: Self.generation, number: $0, data: data[start...].prefix(most))
            }
        }
    }

    mutating func zero(
        _ volume: UInt64, _ range: Range<UInt64>, keepsAllocated: Bool = false
    ) throws {
        try apply {
            VolumeWrite(
                zeroing: keepsAllocated ? .zeroes : .trim, volume: VolumeID(volume),
                offset: range.lowerBound, byteCount: UInt32(range.count),
                keepsAllocated: keepsAllocated, generation: Self.generation, number: $0)
        }
    }

    mutating func contents(_ volume: UInt64) throws -> [UInt8] {
        let id = VolumeID(volume)
        let count = try #require(core.list.first { $0.id == id }?.byteCount)
        return try core.readCommitted(id, at: 0, count: Int(count)).get()
    }

    mutating func change(_ random: inout SeededRandom) throws {
        let volumes = core.list
        let one = volumes[Int(random.next() % UInt64(volumes.count))]
        let start = random.next() % one.byteCount
        let count = min(1 + random.next() % 40_000, one.byteCount - start)
        let range = start..<start + count
        switch random.next() % 8 {
        case 0: try zero(one.id.rawValue, range)
        case 1: try zero(one.id.rawValue, range, keepsAllocated: true)
        case 2: try core.checkpoint()
        case 3: _ = try core.fold(bytesMax: 20_000)
        default:
            let byte = UInt8(truncatingIfNeeded: random.next())
            let data = [UInt8](repeating: byte, count: Int(count))
            try write(one.id.rawValue, at: start, data)
        }
    }
}
