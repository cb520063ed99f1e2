import Mesh
import Record
import SimulatedDisk
import Testing

@testable import VolumeCore

@Suite("Volumes that grow") struct GrowthTests {
    private static let cell: UInt64 = 64 << 10
    private static let generation = ExportGeneration(epoch: Epoch(2), opening: 1)
    private static let id = VolumeID(1)

    /// One volume, its log, and what it should hold.
    private struct Log {
        var core: VolumeCore<SimulatedDisk>
        var bytes: [UInt8]
        private var ruled: [Ruled] = []
        private var number: UInt64 = 0

        init(_ byteCount: UInt64) throws {
            core = try VolumeCore(disk: SimulatedDisk(), limits: Self.limits)
            bytes = []
            try add(.command, .created(id, name: "v", byteCount: byteCount, isSync: true))
            bytes = [UInt8](repeating: 0, count: Int(byteCount))
        }

        private static let limits = VolumeLimits(overlayByteCountMax: 96 << 10)

        private mutating func add(
            _ kind: Entry.Kind, _ ruling: Ruling, _ payload: [UInt8] = []
        ) throws {
            let entry = Draft(kind, epoch: Epoch(2), payload: payload).sealed(
                at: Position(index: LogIndex(UInt64(ruled.count) + 1), term: Term(1)),
                group: GroupID(1), time: .zero)
            ruled.append(Ruled(entry, ruling))
            try apply(ruled[ruled.count - 1])
        }

        private mutating func apply(_ next: Ruled) throws {
            switch next.ruling {
            case .created(let id, let name, let byteCount, _):
                try #require(try core.create(id, name: name, byteCount: byteCount) == nil)
            case .grown(let id, let byteCount):
                try #require(try core.grow(id, to: byteCount) == nil)
            default: _ = try core.apply(next.entry, epoch: Epoch(2))
            }
            if core.applied < next.entry.index { core.skip(next.entry.index) }
        }

        mutating func grow(to byteCount: UInt64) throws {
            bytes += [UInt8](repeating: 0, count: Int(byteCount) - bytes.count)
            try add(.command, .grown(id, byteCount: byteCount))
        }

        mutating func write(_ range: Range<Int>, _ byte: UInt8) throws {
            number += 1
            bytes.replaceSubrange(range, with: [UInt8](repeating: byte, count: range.count))
            let write = VolumeWrite(
                volume: id, offset: UInt64(range.lowerBound), generation: generation,
                number: number, data: bytes[range])
            try add(.write, .accepted, write.encoded)
        }

        /// Power goes: what was written and not synced is there in part.
        mutating func crash(_ random: inout SeededRandom) throws {
            var disk = core.disk
            disk.crash(using: &random)
            let logEnd = LogIndex(UInt64(ruled.count))
            core = try VolumeCore(disk: disk, limits: Self.limits, logEnd: logEnd)
            for next in ruled where next.entry.index > core.applied { try apply(next) }
        }

        mutating func expectWhole(sourceLocation: SourceLocation = #_sourceLocation) throws {
            let read = try core.readCommitted(id, at: 0, count: bytes.count).get()
            #expect(read == bytes, sourceLocation: sourceLocation)
            #expect(core.damagedBlockCount == 0, sourceLocation: sourceLocation)
        }
    }

    @Test func `what is added reads zero, also in the cell that was cut short`() throws {
        var log = try Log(Self.cell + 8_192)
        try log.write(0..<73_728, 5)
        try log.core.checkpoint()
        try log.grow(to: 3 * Self.cell)
        try log.expectWhole()
        try log.write(80_000..<80_100, 6)
        try log.core.checkpoint()
        try log.expectWhole()
    }

    @Test func `to the size that it has, or to less, is no change`() throws {
        var log = try Log(Self.cell)
        #expect(try log.core.grow(Self.id, to: Self.cell) == nil)
        #expect(try log.core.grow(Self.id, to: 4_096) == nil)
        #expect(log.core.list[0].byteCount == Self.cell)
        #expect(try log.core.grow(VolumeID(9), to: Self.cell) == .unknownVolume)
        #expect(try log.core.grow(Self.id, to: 1 << 50) == .oversized)
    }

    /// What a process wrote behind the old end is on the disk when the log makes the volume long once more.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `power may go at any moment`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var log = try Log(4_096 * (1 + random.next() % 40))
        for _ in 0..<60 {
            let length = UInt64(log.bytes.count)
            switch random.next() % 8 {
            case 0 where length < 2 << 20:
                try log.grow(to: length + 4_096 * (1 + random.next() % 40))
            case 1: try log.core.checkpoint()
            case 2: try log.core.fold(bytesMax: 20_000)
            case 3:
                try log.crash(&random)
                try log.expectWhole()
            default:
                let start = random.next() % length
                let end = min(start + 1 + random.next() % 30_000, length)
                try log.write(Int(start)..<Int(end), UInt8(truncatingIfNeeded: random.next()) | 1)
            }
        }
        try log.expectWhole()
    }

    /// Nothing was written to it, and its files are longer all the same.
    @Test func `a checkpoint makes the new length safe`() throws {
        var random = SeededRandom(seed: 3)
        for _ in 0..<10 {
            var log = try Log(4_096)
            try log.core.checkpoint()
            try log.grow(to: 8 << 20)
            try log.core.checkpoint()
            try log.crash(&random)
            let image = log.core.disk.contents(of: VolumeState.image(of: Self.id))
            let sums = log.core.disk.contents(of: VolumeState.sums(of: Self.id))
            #expect(image?.count == 8 << 20 && sums?.count == 2 * 4_096)
            try log.write(5_000_000..<5_000_100, 9)
            try log.core.checkpoint()
            try log.expectWhole()
        }
    }

    /// Beyond 64 GiB cells are longer: one that holds bytes takes others in that held none.
    @Test func `cells get longer with the volume`() throws {
        let (old, new) = (UInt64(64 << 30) - 4_096, UInt64(300 << 30))
        var map = CellMap(byteCount: old)
        #expect(map.cellByteCount == Self.cell)
        map.insert(3 * Self.cell..<4 * Self.cell)
        map.insert(old - 4_096..<old)
        let grown = map.grown(to: new)
        #expect(grown.cellByteCount == 8 * Self.cell)
        let last = old / (8 * Self.cell) * 8 * Self.cell
        #expect(grown.ranges == [0..<8 * Self.cell, last..<last + 8 * Self.cell])
        #expect(
            grown.added(to: map) == [
                0..<3 * Self.cell, 4 * Self.cell..<8 * Self.cell,
                last..<last + 7 * Self.cell, old..<last + 8 * Self.cell,
            ])
        var ring = ChangeRing(knownAbove: .zero)
        ring.note(0..<10, of: old, at: LogIndex(1))
        let changed = ring.grown(to: new).changed(since: .zero, of: new)
        #expect(changed?.ranges == [0..<4 * Self.cell])
    }

    @Test func `an open volume's new length is told, and serves at once`() throws {
        var exports = Exports(try VolumeCore(disk: SimulatedDisk(), limits: VolumeLimits()))
        var effects: [ExportEffect] = []
        func ruled(_ index: UInt64, _ ruling: Ruling) -> Ruled {
            let at = Position(index: LogIndex(index), term: Term(1))
            return Ruled(
                Draft(.command, epoch: Epoch(1)).sealed(at: at, group: GroupID(1), time: .zero),
                ruling)
        }
        let made = Ruling.created(Self.id, name: "v", byteCount: 4_096, isSync: true)
        try exports.handle(.apply([ruled(1, made)]), at: .zero, &effects)
        let end = Instant(nanoseconds: 1_000_000)
        try exports.handle(.opened(Epoch(1), until: end), at: .zero, &effects)
        effects = []
        let grown = Ruling.grown(Self.id, byteCount: 8_192)
        try exports.handle(.apply([ruled(2, grown)]), at: .zero, &effects)
        #expect(effects.contains(.grown(Self.id, byteCount: 8_192)))
        effects = []
        let request = RequestID(ConnectionID(1), 1)
        let opening = try #require(exports.core.list[0].generation)
        try exports.handle(
            .request(request, Self.id, opening, .read(offset: 4_096, byteCount: 4_096)),
            at: .zero, &effects)
        #expect(effects == [.reply(request, .data([UInt8](repeating: 0, count: 4_096)))])
    }
}
