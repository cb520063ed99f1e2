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

/// What a volume is, without any tree: one slot a cell.
struct FlatMap {
    var slots: [Slot]

    func built(in nodes: inout Nodes) throws -> VolumeMap {
        var builder = MapBuilder(cellCount: UInt64(slots.count))
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
            .stored(Digest(of: [UInt8.random(in: 0...255, using: &random)].span))
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
                default: Int.random(in: 1...500, using: &random)
                }
            let old = flat
            flat.slots = Array(flat.slots.prefix(count))
            flat.slots += [Slot](repeating: .hole, count: count - flat.slots.count)
            let cells = Set((0..<20).map { _ in Int.random(in: 0..<count, using: &random) })
                .sorted()
            let changes = cells.map { CellChange(UInt64($0), Slot.random(&random)) }
            for change in changes { flat.slots[Int(change.cell)] = change.slot }
            let changed = try map.changed(changes, cellCount: UInt64(count), in: &nodes)
            #expect(try changed == flat.built(in: &nodes))
            #expect(
                try Self.changes(from: map, to: changed, in: &nodes) == flat.changes(since: old))
            map = changed
        }
    }

    private static func changes(
        from old: VolumeMap, to new: VolumeMap, in nodes: inout Nodes
    ) throws -> [CellChange] {
        var changes: [CellChange] = []
        try new.forEachChange(since: old, nodes: &nodes) { run in
            changes += run.cells.map { CellChange($0, run.slot) }
        }
        return changes
    }

    /// 16 million cells are 256 GiB: what an incremental reads and makes is what lies above a change.
    @Test func `one change costs one node of each level`() throws {
        var nodes = Nodes()
        var builder = MapBuilder(cellCount: 1 << 24)
        try builder.add(.zeros, count: 1 << 24, to: &nodes)
        let zeros = try builder.finish(in: &nodes)
        #expect(zeros.top == .zeros && nodes.madeCount == 0)
        let id = Digest(of: [1].span)
        let one = try zeros.changed(
            [CellChange(9_999_999, .stored(id))], cellCount: 1 << 24, in: &nodes)
        #expect(nodes.madeCount == 3 && nodes.readCount == 0)
        let two = try one.changed(
            [CellChange(10_000_000, .zeros), CellChange(10_000_001, .hole)], cellCount: 1 << 24,
            in: &nodes)
        #expect(nodes.madeCount == 6 && nodes.readCount == 3)
        nodes.readCount = 0
        #expect(try Self.changes(from: one, to: two, in: &nodes) == [CellChange(10_000_001, .hole)])
        #expect(nodes.readCount == 6)
        let same = try two.changed([], cellCount: 1 << 24, in: &nodes)
        #expect(same == two && nodes.readCount == 6)
    }

    /// What both are without is no change, whatever is on top of either.
    @Test func `volumes of different sizes are compared cell by cell`() throws {
        var nodes = Nodes()
        let small = FlatMap(slots: [Slot](repeating: .zeros, count: 256))
        let large = FlatMap(slots: small.slots + [Slot](repeating: .hole, count: 70_000))
        let (a, b) = (try small.built(in: &nodes), try large.built(in: &nodes))
        #expect(try Self.changes(from: a, to: b, in: &nodes) == [])
        #expect(try Self.changes(from: b, to: a, in: &nodes) == [])
        let none = VolumeMap.empty(cellCount: 100_000)
        #expect(try Self.changes(from: a, to: none, in: &nodes).map(\.cell) == Array(0..<256))
        #expect(try Self.changes(from: none, to: a, in: &nodes).map(\.cell) == Array(0..<256))
        #expect(try Self.changes(from: .empty(cellCount: 1), to: none, in: &nodes) == [])
    }

    @Test func `a node that none of ours can be is refused`() throws {
        let id = Digest(of: [1].span)
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
        let map = VolumeMap(cellCount: 300, top: .stored(Digest(of: [9].span)))
        #expect(throws: Nodes.Missing.self) { try FlatMap.read(map, 0..<300, in: &nodes) }
    }
}

extension FlatMap {
    func changes(since old: FlatMap) -> [CellChange] {
        slots.enumerated().compactMap { at, slot in
            slot == (at < old.slots.count ? old.slots[at] : .hole)
                ? nil : CellChange(UInt64(at), slot)
        }
    }
}
