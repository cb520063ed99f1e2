import Disk
import Mesh
import SimulatedDisk
import Testing

/// A file as two images, what a reader sees and what is on the platter: what the simulated disk keeps
/// once instead.
private struct TwoImages {
    static let sector = SimulatedDisk.sectorByteCount

    var current: [UInt8] = []
    var durable: [UInt8] = []
    var dirty: Set<Int> = []
    var isResized = false

    mutating func put(_ bytes: [UInt8], at offset: Int) {
        guard !bytes.isEmpty else { return }
        let have = current.count
        let end = offset + bytes.count
        if end > have {
            isResized = true
            current += [UInt8](repeating: 0, count: end - have)
        }
        current.replaceSubrange(offset..<end, with: bytes)
        dirty.formUnion(min(offset, have) / Self.sector...(end - 1) / Self.sector)
    }

    mutating func resize(to count: Int) {
        guard count < current.count else {
            return put([UInt8](repeating: 0, count: count - current.count), at: current.count)
        }
        current.removeLast(current.count - count)
        isResized = true
    }

    mutating func sync() {
        isResized = false
        durable.removeLast(max(0, durable.count - current.count))
        durable += [UInt8](repeating: 0, count: current.count - durable.count)
        write(dirty)
        dirty = []
    }

    mutating func crash(_ isKept: () -> Bool) {
        if isResized && isKept() {
            durable.removeLast(max(0, durable.count - current.count))
            durable += [UInt8](repeating: 0, count: current.count - durable.count)
        }
        write(Set(dirty.sorted().filter { _ in isKept() }))
        self = TwoImages(current: durable, durable: durable)
    }

    private mutating func write(_ sectors: Set<Int>) {
        for sector in sectors {
            let end = min((sector + 1) * Self.sector, durable.count, current.count)
            let start = min(sector * Self.sector, end)
            durable.replaceSubrange(start..<end, with: current[start..<end])
        }
    }
}

@Suite struct SimulatedDiskTests {
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `A disk that keeps only what differs on its platter does what two images do`(seed: UInt64)
        throws
    {
        var random = SeededRandom(seed: seed)
        var disk = SimulatedDisk()
        disk.plant([], as: "file")
        var file = try disk.open("file", create: false)
        var model = TwoImages()
        for _ in 0..<60 {
            let offset = Int(random.next() % 6_000)
            let count = Int(random.next() % 3_000)
            let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() | 1) }
            switch random.next() % 10 {
            case 0, 1, 2, 3:
                try disk.write(file, at: UInt64(offset), [bytes])
                model.put(bytes, at: offset)
            case 4:
                try disk.resize(file, to: UInt64(offset))
                model.resize(to: offset)
            case 5:
                try disk.deallocate(file, UInt64(offset)..<UInt64(offset + count))
                let end = min(offset + count, model.current.count)
                model.put([UInt8](repeating: 0, count: max(0, end - offset)), at: offset)
            case 6:
                try disk.sync(file)
                model.sync()
            case 7:
                disk.failingSync = disk.counts.syncs + 1
                #expect(throws: DiskError.self) { try disk.sync(file) }
                model.dirty = []
            case 8 where offset < model.current.count:
                disk.flip("file", at: offset, bit: 3)
                model.current[offset] ^= 8
                if offset < model.durable.count { model.durable[offset] ^= 8 }
            case 9:
                var other = random
                let kept = SimulatedDisk.Kept.allCases.randomElement(using: &random) ?? .half
                _ = SimulatedDisk.Kept.allCases.randomElement(using: &other)
                let share: (UInt64, UInt64) =
                    switch kept {
                    case .nothing: (0, 1)
                    case .few: (1, 8)
                    case .half: (1, 2)
                    case .most: (7, 8)
                    case .everything: (1, 1)
                    }
                disk.crash(keeping: kept, using: &random)
                model.crash { other.chance(share.0, in: share.1) }
                file = try disk.open("file", create: false)
            default: break
            }
            #expect(disk.contents(of: "file") == model.current)
        }
        // Once more: what is on the platter shows only behind a crash.
        disk.crash(keeping: .nothing, using: &random)
        #expect(disk.contents(of: "file") == model.durable)
    }
}
