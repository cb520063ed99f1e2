import Disk
import Mesh
import Record
import Testing
import VolumeCore

/// A primary's volume beside a plain array of bytes, on one disk and one log that both crash.
private struct Rig {
    static let byteCount = 300_000
    static let volume = VolumeID(7)

    var random: SeededRandom
    var core: VolumeCore<MemoryDisk>
    var log: [Entry] = []
    var opening: UInt32 = 1
    var client = [UInt8](repeating: 0, count: byteCount)
    var generation: ExportGeneration { ExportGeneration(epoch: Epoch(3), opening: opening) }

    init(seed: UInt64) throws {
        random = SeededRandom(seed: seed)
        core = try VolumeCore(
            disk: MemoryDisk(),
            limits: VolumeLimits(pendingByteCountMax: 200_000, overlayByteCountMax: 150_000))
        try restart(logCount: 0)
    }

    static func make(_ write: VolumeWrite, in bytes: inout [UInt8]) {
        let range = Int(write.range.lowerBound)..<Int(write.range.upperBound)
        let data =
            write.operation == .write
            ? write.data : [UInt8](repeating: 0, count: range.count)[...]
        bytes.replaceSubrange(range, with: data)
    }

    mutating func step() throws {
        switch random.next() % 16 {
        case 0..<7: change()
        case 7..<10: try commit(Int(random.next() % 4))
        case 10: try commit(.max)
        case 11..<13: try look()
        case 13: try core.fold(bytesMax: Int(random.next() % 60_000))
        case 14: #expect(try core.checkpoint() == core.applied)
        default: if random.chance(1, in: 3) { try crash() }
        }
    }

    mutating func change() {
        let offset = Int(random.next() % UInt64(Self.byteCount))
        let longest: UInt64 = random.chance(1, in: 3) ? 200_000 : 9_000
        let count = min(Int(1 + random.next() % longest), Self.byteCount - offset)
        let queued: Queued
        switch random.next() % 4 {
        case 0..<2:
            let byte = UInt8(truncatingIfNeeded: random.next())
            queued = core.queue(
                write: (0..<count).map { UInt8(truncatingIfNeeded: $0) ^ byte },
                to: Self.volume, at: UInt64(offset), generation: generation)
        case 2:
            queued = core.queue(
                .trim, on: Self.volume, at: UInt64(offset), byteCount: UInt32(count),
                generation: generation)
        default:
            queued = core.queue(
                .zeroes, on: Self.volume, at: UInt64(offset), byteCount: UInt32(count),
                keepsAllocated: random.chance(1, in: 2), generation: generation)
        }
        switch queued {
        case .wait: #expect(core.pendingBytes > 0)
        case .refused(let refused): Issue.record("refused: \(refused)")
        case .queued(let writes):
            for write in writes {
                Self.make(write, in: &client)
                log.append(
                    Draft(.write, epoch: Epoch(3), payload: write.encoded).sealed(
                        at: Position(index: LogIndex(UInt64(log.count + 1)), term: Term(1)),
                        group: GroupID(1), time: .zero))
            }
        }
    }

    mutating func commit(_ count: Int) throws {
        let from = Int(core.applied.rawValue)
        for entry in log[from..<min(log.count, count == .max ? .max : from + count)] {
            guard case .applied = try core.apply(entry, epoch: Epoch(3)) else {
                Issue.record("entry \(entry.index) was not applied")
                return
            }
            #expect(core.overlayBytes <= core.limits.overlayByteCountMax)
        }
    }

    mutating func look() throws {
        let offset = Int(random.next() % UInt64(Self.byteCount))
        let count = min(Int(random.next() % 100_000), Self.byteCount - offset)
        let read = try core.read(
            Self.volume, at: UInt64(offset), count: count, generation: generation)
        #expect(try read.get() == Array(client[offset..<offset + count]))
        let extents = try core.extents(
            Self.volume, at: UInt64(offset), byteCount: UInt64(count), generation: generation,
            countMax: 1_000
        ).get()
        #expect(extents.reduce(0) { $0 + $1.byteCount } == UInt64(count))
        var at = offset
        for extent in extents {
            let part = at..<at + Int(extent.byteCount)
            if extent.isHole || extent.isZero { #expect(client[part].allSatisfy { $0 == 0 }) }
            at = part.upperBound
        }
    }

    /// Power is lost: of the log at least what was committed stays, and the rest only in order.
    mutating func crash() throws {
        let committed = Int(core.applied.rawValue)
        let kept = committed + Int(random.next() % UInt64(log.count - committed + 1))
        let checkpointed = core.checkpointed
        var disk = core.disk
        disk.crash(&random)
        core = try VolumeCore(disk: disk, limits: core.limits)
        #expect(core.checkpointed >= checkpointed)
        try restart(logCount: kept)
    }

    private mutating func restart(logCount: Int) throws {
        log.removeLast(log.count - logCount)
        if core.applied == .zero {
            let refused = try core.create(
                Self.volume, name: "disk1", byteCount: UInt64(Self.byteCount))
            #expect(refused == nil)
        }
        try commit(.max)
        client = [UInt8](repeating: 0, count: Self.byteCount)
        for entry in log { Self.make(try VolumeWrite(parsing: entry), in: &client) }
        opening += 1
        #expect(core.open(Self.volume, generation: generation) == nil)
        let all = try core.read(Self.volume, at: 0, count: Self.byteCount, generation: generation)
        #expect(try all.get() == client)
    }
}

@Suite("A volume's bytes through crashes")
struct HistoryTests {
    @Test(arguments: 1...8)
    func `flushed bytes stay, unflushed ones are there whole and in order, zeroed ones read zero`(
        seed: UInt64
    ) throws {
        var rig = try Rig(seed: seed)
        for _ in 0..<250 { try rig.step() }
        try rig.crash()
    }
}
