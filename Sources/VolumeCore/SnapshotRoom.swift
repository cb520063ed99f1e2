internal import Disk
internal import Mesh

/// The file in which what was written over is kept for snapshots: slots of a block each, in no order. It holds nothing that
/// outlives its process, so it is never synced.
struct SnapshotRoom: Sendable {
    static let name = "snapshots.room"
    /// So much of it is given back at once when nobody needs it any more: more would keep clients waiting.
    private static let shrinkSlots: UInt32 = 65_536

    let slotsMax: Int
    private var file: FileHandle?
    /// Slots from here on were never used since the room was empty.
    private var fresh: UInt32 = 0
    private var free: [UInt32] = []
    /// Of snapshots that went: their slots are free, and are counted once they are needed.
    private var dead: [KeptBlocks.Shard] = []
    private(set) var used = 0
    /// How long the file is.
    private var slotsInFile: UInt32 = 0

    init(byteCount: UInt64) {
        slotsMax = Int(min(byteCount / BlockSum.blockByteCount, UInt64(UInt32.max - 1)))
    }

    var byteCount: UInt64 { UInt64(slotsMax) * BlockSum.blockByteCount }
    var usedByteCount: UInt64 { UInt64(used) * BlockSum.blockByteCount }
    func hasRoom(for count: Int) -> Bool { used + count <= slotsMax }

    mutating func open<D: Disk>(_ disk: inout D) throws(DiskError) {
        if file == nil { file = try disk.open(Self.name, create: true) }
    }

    mutating func close<D: Disk>(_ disk: inout D) {
        if let file { disk.close(file) }
        self = SnapshotRoom(byteCount: byteCount)
    }

    private mutating func slot() -> UInt32 {
        while free.isEmpty, let shard = dead.popLast() {
            for place in shard.values where !place.isLost { free.append(place.slot) }
        }
        used += 1
        if let slot = free.popLast() { return slot }
        invariant(fresh < slotsMax, "slot \(fresh) of \(slotsMax)")
        defer { fresh += 1 }
        return fresh
    }

    mutating func release(_ slots: [UInt32]) {
        free += slots
        used -= slots.count
    }

    mutating func release(_ kept: KeptBlocks) {
        dead += kept.shards.filter { !$0.isEmpty }
        used -= kept.slotCount
    }

    /// Keeps whole blocks, of which the last may be shorter. There has to be room for them. Gives each its slot.
    mutating func write<D: Disk>(
        _ bytes: [UInt8], _ disk: inout D
    ) throws(DiskError) -> [UInt32] {
        guard let file else { throw DiskError(.write, Self.name, .missing) }
        let size = Int(BlockSum.blockByteCount)
        let slots = (0..<(bytes.count + size - 1) / size).map { _ in slot() }
        var first = 0
        while first < slots.count {
            var end = first + 1
            while end < slots.count, slots[end] == slots[end - 1] + 1 { end += 1 }
            let (from, to) = (first * size, min(end * size, bytes.count))
            let part = first == 0 && end == slots.count ? bytes : Array(bytes[from..<to])
            try disk.write(file, at: UInt64(slots[first]) * UInt64(size), [part])
            slotsInFile = max(slotsInFile, slots[end - 1] + 1)
            first = end
        }
        return slots
    }

    mutating func read<D: Disk>(
        _ slot: UInt32, count: Int, _ disk: inout D
    ) throws(DiskError) -> [UInt8] {
        guard let file else { throw DiskError(.read, Self.name, .missing) }
        return try disk.read(file, at: UInt64(slot) * BlockSum.blockByteCount, count: count)
    }

    /// Nothing is kept any more: the file gets shorter, at once or a step at a time.
    mutating func shrink<D: Disk>(atOnce: Bool, _ disk: inout D) throws(DiskError) {
        guard used == 0, let file else { return }
        (fresh, free, dead) = (0, [], [])
        guard slotsInFile > 0 else { return }
        slotsInFile = atOnce ? 0 : slotsInFile - min(slotsInFile, Self.shrinkSlots)
        try disk.resize(file, to: UInt64(slotsInFile) * BlockSum.blockByteCount)
    }
}
