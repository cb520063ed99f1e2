import Mesh
import Sealing
import Testing

@testable import Repository

/// Nodes in memory, counting what is asked of them.
struct Nodes: MapNodes {
    struct Missing: Error {}
    var held: [Digest: [UInt8]] = [:]
    var readCount = 0
    var madeCount = 0

    mutating func node(_ id: Digest) throws -> [UInt8] {
        readCount += 1
        guard let plain = held[id] else { throw Missing() }
        return plain
    }

    mutating func add(_ plain: [UInt8]) -> Digest {
        madeCount += 1
        let id = Digest(of: plain.span)
        held[id] = plain
        return id
    }
}

func shape(_ cellCount: Int) throws -> VolumeShape {
    try #require(VolumeShape(byteCount: UInt64(cellCount) << 12, cellByteCount: 4_096))
}

/// What a volume is, without any tree: one slot a cell.
struct FlatMap {
    var slots: [Slot]

    func built(in nodes: inout Nodes) throws -> VolumeMap {
        var builder = MapBuilder(try shape(slots.count))
        var at = 0
        while at < slots.count {
            var count = 1
            if case .stored = slots[at] {
            } else {
                count = slots[at...].prefix { $0 == slots[at] }.count
            }
            try builder.add(slots[at], count: UInt64(count), to: &nodes)
            at += count
        }
        return try builder.finish(in: &nodes)
    }

    static func read(_ map: VolumeMap, _ range: Range<UInt64>, in nodes: inout Nodes) throws
        -> [Slot]
    {
        var (slots, next): ([Slot], UInt64) = ([], range.lowerBound)
        try map.forEach(in: range, nodes: &nodes) { run in
            #expect(run.cells.lowerBound == next)
            next = run.cells.upperBound
            slots += run.cells.map { _ in run.slot }
        }
        return slots
    }
}

extension Slot {
    static func random(_ random: inout SeededRandom) -> Slot {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .hole
        case 1: .zeros
        default:
            .stored(digest([UInt8.random(in: 0...255, using: &random)]))
        }
    }
}

@Suite("Maps of volumes") struct MapTests {
    private static func flat(_ count: Int, _ random: inout SeededRandom) -> FlatMap {
        var slots: [Slot] = []
        while slots.count < count {
            let run = min(
                count - slots.count, [1, 3, 300, 70_000].randomElement(using: &random) ?? 1)
            let slot = Slot.random(&random)
            slots += [Slot](repeating: slot, count: run)
        }
        return FlatMap(slots: slots)
    }

    @Test(arguments: [1, 2, 255, 256, 257, 1_000, 65_535, 65_536, 65_537, 140_000])
    func `a map says of each cell what was told`(count: Int) throws {
        var random = SeededRandom(seed: UInt64(count))
        var nodes = Nodes()
        let flat = Self.flat(count, &random)
        let map = try flat.built(in: &nodes)
        #expect(try FlatMap.read(map, 0..<UInt64(count), in: &nodes) == flat.slots)
        for _ in 0..<20 {
            let low = Int.random(in: 0..<count, using: &random)
            let high = Int.random(in: low..<count, using: &random)
            let read = try FlatMap.read(map, UInt64(low)..<UInt64(high), in: &nodes)
            #expect(read == Array(flat.slots[low..<high]))
        }
    }

    /// restore(full + k increments) = restore(full at k), for maps: also where the volume shrinks and
    /// grows again (B16).
    @Test(arguments: 0..<12 as Range<UInt64>)
    func `a map that was changed is the one that would have been built`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var nodes = Nodes()
        var flat = Self.flat(Int.random(in: 1...3_000, using: &random), &random)
        var map = try flat.built(in: &nodes)
        for round in 0..<8 {
            let count =
                switch round % 4 {
                case 0: flat.slots.count
                case 1: Int.random(in: 1...flat.slots.count, using: &random)
                case 2: Int.random(in: 1...100_000, using: &random)
                default: [256, 500, 65_536, 65_537].randomElement(using: &random) ?? 1
                }
            let least = Int.random(in: 0...min(count, flat.slots.count), using: &random)
            let old = flat
            flat.slots = Array(flat.slots.prefix(Bool.random(using: &random) ? least : count))
            let kept = flat.slots.count
            flat.slots += [Slot](repeating: .hole, count: count - kept)
            let runs = Self.runs(count, &random)
            for run in runs {
                for cell in run.cells { flat.slots[Int(cell)] = run.slot }
            }
            let change = VolumeChange(
                runs, shape: try shape(count), byteCountMin: UInt64(min(kept, count)) << 12)
            let changed = try map.changed(change, in: &nodes)
            #expect(try changed == flat.built(in: &nodes))
            #expect(
                try Self.changes(from: map, to: changed, in: &nodes) == flat.changes(since: old))
            map = changed
        }
    }

    /// Some of them long, none of them touching what another one says.
    private static func runs(_ count: Int, _ random: inout SeededRandom) -> [CellRun] {
        var runs: [CellRun] = []
        var next = UInt64(0)
        while runs.count < 20 {
            next += UInt64.random(in: 0..<UInt64(max(1, count / 8)), using: &random)
            guard next < count else { break }
            let slot = Slot.random(&random)
            let most = [1, 10, 300, 70_000].randomElement(using: &random) ?? 1
            let isStored = if case .stored = slot { true } else { false }
            let end = isStored ? next + 1 : min(next + UInt64(most), UInt64(count))
            runs.append(CellRun(next..<end, slot))
            next = end
        }
        return runs
    }

    private static func changes(
        from old: VolumeMap, to new: VolumeMap, in nodes: inout Nodes
    ) throws -> [CellRun] {
        var changes: [CellRun] = []
        try new.forEachChange(since: old, nodes: &nodes) { run in
            changes += run.cells.map { CellRun($0..<$0 + 1, run.slot) }
        }
        return changes
    }

    /// 16 million cells are 64 GiB here: what an incremental reads and makes is what lies above a change.
    @Test func `one change costs one node of each level`() throws {
        var nodes = Nodes()
        let shape = try shape(1 << 24)
        var builder = MapBuilder(shape)
        try builder.add(.zeros, count: 1 << 24, to: &nodes)
        let zeros = try builder.finish(in: &nodes)
        #expect(zeros.top == .zeros && nodes.madeCount == 0)
        func changed(_ map: VolumeMap, _ runs: [CellRun]) throws -> VolumeMap {
            let change = VolumeChange(runs, shape: shape, byteCountMin: shape.byteCount)
            return try map.changed(change, in: &nodes)
        }
        let one = try changed(
            zeros, [CellRun(9_999_999..<10_000_000, .stored(digest([1])))])
        #expect(nodes.madeCount == 3 && nodes.readCount == 0)
        let runs = [
            CellRun(10_000_000..<10_000_001, .zeros), CellRun(10_000_001..<10_000_002, .hole),
        ]
        let two = try changed(one, runs)
        #expect(nodes.madeCount == 6 && nodes.readCount == 3)
        nodes.readCount = 0
        #expect(try Self.changes(from: one, to: two, in: &nodes) == [runs[1]])
        #expect(nodes.readCount == 6)
        #expect(try changed(two, []) == two && nodes.readCount == 6)
        #expect(try Self.changes(from: two, to: two, in: &nodes) == [] && nodes.readCount == 6)
        // A tebibyte trimmed is one slot, not as many as it has cells.
        nodes.madeCount = 0
        let none = try changed(two, [CellRun(0..<1 << 24, .hole)])
        #expect(none.top == .hole && nodes.madeCount == 0)
    }

    /// A node that can't be read is no loss where nothing of it stays; over a slow link it costs nothing.
    @Test func `a node of which all cells have changed is not read`() throws {
        var nodes = Nodes()
        let full = FlatMap(slots: (0..<600).map { .stored(digest([UInt8($0 & 255)])) })
        let old = try full.built(in: &nodes)
        func runs(_ cells: Range<UInt64>) -> [CellRun] {
            cells.map { CellRun($0..<$0 + 1, .stored(digest([1, UInt8($0 & 255)]))) }
        }
        for (cells, reads) in [(256..<512, 1), (512..<600, 1), (0..<600, 0), (255..<512, 2)] {
            let cells = UInt64(cells.lowerBound)..<UInt64(cells.upperBound)
            nodes.readCount = 0
            let change = VolumeChange(
                runs(cells), shape: old.shape, byteCountMin: old.shape.byteCount)
            let new = try old.changed(change, in: &nodes)
            #expect(nodes.readCount == reads, "\(cells)")
            var wanted = full
            for run in runs(cells) { wanted.slots[Int(run.cells.lowerBound)] = run.slot }
            #expect(try new == wanted.built(in: &nodes))
        }
        // One cell is left of the second leaf: that has to be read.
        nodes.readCount = 0
        let change = VolumeChange(
            runs(256..<511), shape: old.shape, byteCountMin: old.shape.byteCount)
        _ = try old.changed(change, in: &nodes)
        #expect(nodes.readCount == 2)
    }

    /// What lies behind the end it had meanwhile is gone (B16).
    @Test func `a volume that shrank and grew again between two backups has holes there`() throws {
        var nodes = Nodes()
        let full = FlatMap(slots: (0..<300).map { .stored(digest([UInt8($0 & 255)])) })
        let old = try full.built(in: &nodes)
        let change = VolumeChange([], shape: old.shape, byteCountMin: 100 << 12)
        let new = try old.changed(change, in: &nodes)
        let read = try FlatMap.read(new, 0..<300, in: &nodes)
        #expect(read == full.slots[..<100] + [Slot](repeating: .hole, count: 200))
    }

    /// A volume of which little is left is cut off at once, however large it was.
    @Test func `cutting a volume off costs one node of each level`() throws {
        var nodes = Nodes()
        let large = try #require(VolumeShape(byteCount: 1 << 52, cellByteCount: 4_096))
        let cell = CellRun(0..<1, .stored(digest([1])))
        let far = CellRun(UInt64(1 << 39)..<UInt64((1 << 39) + 1), .stored(digest([2])))
        let all = VolumeChange([cell, far], shape: large, byteCountMin: large.byteCount)
        let old = try VolumeMap(large, top: .hole).changed(all, in: &nodes)
        nodes.readCount = 0
        let cut = VolumeShape(byteCount: 1 << 40, cellByteCount: 4_096)
        let change = VolumeChange([], shape: try #require(cut), byteCountMin: 1 << 40)
        let new = try old.changed(change, in: &nodes)
        #expect(nodes.readCount <= 2 * VolumeShape.levelsMax)
        let same = VolumeChange([], shape: large, byteCountMin: 1 << 40)
        let grown = try old.changed(same, in: &nodes)
        #expect(nodes.readCount <= 4 * VolumeShape.levelsMax)
        for map in [new, grown] {
            #expect(try FlatMap.read(map, 0..<2, in: &nodes) == [cell.slot, .hole])
        }
        #expect(
            try FlatMap.read(grown, UInt64(1 << 39)..<UInt64((1 << 39) + 1), in: &nodes) == [.hole])
    }

    /// The end lies within a cell: what is left of that is another one.
    @Test func `a cell that was cut stays where it changed, and all behind it goes`() throws {
        var nodes = Nodes()
        let old = try FlatMap(slots: (0..<10).map { .stored(digest([$0])) }).built(in: &nodes)
        let rest = CellRun(4..<5, .stored(digest([99])))
        for count in [(4 << 12) + 1, (5 << 12) - 1] as [UInt64] {
            let change = VolumeChange([rest], shape: old.shape, byteCountMin: count)
            let read = try FlatMap.read(old.changed(change, in: &nodes), 3..<7, in: &nodes)
            #expect(read == [.stored(digest([3])), rest.slot, .hole, .hole])
        }
        let none = VolumeChange([], shape: old.shape, byteCountMin: 0)
        #expect(try old.changed(none, in: &nodes).top == .hole)
    }

    @Test func `a large volume begins with larger cells`() {
        #expect(VolumeShape(new: 256 << 30)?.cellByteCount == 16 << 10)
        #expect(VolumeShape(new: (256 << 30) + 1)?.cellByteCount == 64 << 10)
        #expect(VolumeShape(new: 0) == nil)
    }

    @Test func `a volume no map can tell of is refused`() {
        #expect(VolumeShape(byteCount: 0, cellByteCount: 4_096) == nil)
        #expect(VolumeShape(byteCount: 1, cellByteCount: 4_096)?.cellCount == 1)
        #expect(VolumeShape(byteCount: 4_097, cellByteCount: 4_096)?.cellCount == 2)
        for cell in [0, 1, 2_048, 5_000, 12_288, 2 << 20] as [UInt64] {
            #expect(VolumeShape(byteCount: 1 << 30, cellByteCount: cell) == nil)
        }
        #expect(VolumeShape(byteCount: 1 << 60, cellByteCount: 4_096)?.level == 5)
        #expect(VolumeShape(byteCount: (1 << 60) + 1, cellByteCount: 4_096) == nil)
        #expect(VolumeShape(byteCount: .max, cellByteCount: 4_096) == nil)
        #expect(VolumeShape(byteCount: .max, cellByteCount: 1 << 20)?.level == 5)
    }

    @Test func `maps of other cells are not compared`() throws {
        var nodes = Nodes()
        let other = try #require(VolumeShape(byteCount: 1 << 20, cellByteCount: 8_192))
        let (one, two) = (VolumeMap(try shape(256), top: .hole), VolumeMap(other, top: .hole))
        #expect(throws: CellsDiffer(byteCounts: [4_096, 8_192])) {
            try one.forEachChange(since: two, nodes: &nodes) { _ in }
        }
    }

    @Test func `runs of holes and zeros are told at once`() throws {
        var nodes = Nodes()
        let id = Slot.stored(digest([1]))
        let flat = FlatMap(
            slots: [id, id] + [Slot](repeating: .zeros, count: 700) + [.hole, .hole, id])
        var runs: [CellRun] = []
        let map = try flat.built(in: &nodes)
        try map.forEach(in: 0..<705, nodes: &nodes) { runs.append($0) }
        #expect(
            runs == [
                CellRun(0..<1, id), CellRun(1..<2, id), CellRun(2..<702, .zeros),
                CellRun(702..<704, .hole), CellRun(704..<705, id),
            ])
    }

    /// What both are without is no change, whatever is on top of either.
    @Test func `volumes of different sizes are compared cell by cell`() throws {
        var nodes = Nodes()
        let small = FlatMap(slots: [Slot](repeating: .zeros, count: 256))
        let large = FlatMap(slots: small.slots + [Slot](repeating: .hole, count: 70_000))
        let (a, b) = (try small.built(in: &nodes), try large.built(in: &nodes))
        #expect(try Self.changes(from: a, to: b, in: &nodes) == [])
        #expect(try Self.changes(from: b, to: a, in: &nodes) == [])
        let none = VolumeMap(try shape(100_000), top: .hole)
        #expect(
            try Self.changes(from: a, to: none, in: &nodes).map(\.cells.lowerBound)
                == Array(0..<256))
        #expect(
            try Self.changes(from: none, to: a, in: &nodes).map(\.cells.lowerBound)
                == Array(0..<256))
        #expect(try Self.changes(from: VolumeMap(shape(1), top: .hole), to: none, in: &nodes) == [])
    }

    @Test func `a node that none of ours can be is refused`() throws {
        let id = digest([1])
        let slots = [.stored(id), .zeros] + [Slot](repeating: .hole, count: 254)
        let bytes = MapNode(level: 1, slots: slots).encoded
        #expect(try MapNode(parsing: bytes, level: 1).slots == slots)
        var unknown = bytes
        unknown[4] |= 0xc0
        let holes = [UInt8](repeating: 0, count: 68)
        for (bytes, level) in [
            (bytes, 0), (bytes + [0], 1), (Array(bytes.dropLast()), 1), (unknown, 1), (holes, 0),
            ([], 0),
        ] {
            #expect(throws: ObjectDamage.self) { try MapNode(parsing: bytes, level: level) }
        }
    }

    @Test func `a map whose node is gone says so`() throws {
        var nodes = Nodes()
        let map = VolumeMap(try shape(300), top: .stored(digest([9])))
        #expect(throws: Nodes.Missing.self) { try FlatMap.read(map, 0..<300, in: &nodes) }
    }
}

extension FlatMap {
    func changes(since old: FlatMap) -> [CellRun] {
        slots.enumerated().compactMap { at, slot in
            slot == (at < old.slots.count ? old.slots[at] : .hole)
                ? nil : CellRun(UInt64(at)..<UInt64(at) + 1, slot)
        }
    }
}
