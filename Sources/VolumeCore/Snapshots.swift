internal import Mesh

/// The snapshots that this replica holds, and what was written over since.
///
/// An old block is kept once, in the newest snapshot of its volume: nothing changed it between an older one and that, unless
/// the older one keeps it itself. So whoever reads a snapshot looks through the newer ones, the next one first, and at last
/// at what is there now.
struct Snapshots: Sendable {
    /// Each is looked through by the older ones, block by block.
    static let countMax = 16

    struct Part: Sendable {
        let name: String
        let byteCount: UInt64
        /// What lies outside was zeros, and is not kept.
        fileprivate(set) var held: CellMap
        fileprivate(set) var kept = KeptBlocks()
        fileprivate(set) var end: SnapshotEnd?

        init(name: String, byteCount: UInt64, held: CellMap) {
            (self.name, self.byteCount, self.held) = (name, byteCount, held)
        }
    }

    struct Layer: Sendable {
        let order: SnapshotOrder
        let index: LogIndex
        fileprivate(set) var parts: [VolumeID: Part]
    }

    /// Where a block of a snapshot is now.
    enum Source: Hashable, Sendable {
        case zeros
        case current
        case kept(layer: Int, KeptBlocks.Place)
    }

    /// The oldest first.
    private(set) var layers: [Layer] = []
    private(set) var ended: [SnapshotInfo] = []
    /// As they were when one last came or went: this is told behind every event.
    private(set) var standing: [SnapshotInfo] = []
    var room: SnapshotRoom

    init(roomByteCount: UInt64) { room = SnapshotRoom(byteCount: roomByteCount) }

    var isEmpty: Bool { layers.isEmpty }

    var list: [SnapshotInfo] {
        layers.map { Self.info($0, nil) } + ended
    }

    private static func info(_ layer: Layer, _ end: SnapshotEnd?) -> SnapshotInfo {
        let volumes = layer.parts.sorted { $0.key < $1.key }
        let kept = layer.parts.values.reduce(0) { $0 + $1.kept.slotCount }
        return SnapshotInfo(
            id: layer.order.id, name: layer.order.name, index: layer.index,
            time: layer.order.time,
            volumes: volumes.map {
                SnapshotInfo.Volume(
                    id: $0.key, name: $0.value.name, byteCount: $0.value.byteCount,
                    end: end ?? $0.value.end)
            }, keptByteCount: UInt64(kept) * BlockSum.blockByteCount, end: end)
    }

    func refusal(of name: String) -> SnapshotRefused? {
        guard room.slotsMax > 0 else { return .notConfigured }
        guard !list.contains(where: { $0.name == name }) else { return .exists(name: name) }
        return layers.count < Self.countMax ? nil : .tooMany(limit: Self.countMax)
    }

    mutating func add(_ order: SnapshotOrder, at index: LogIndex, _ parts: [VolumeID: Part])
        -> SnapshotInfo
    {
        let layer = Layer(order: order, index: index, parts: parts)
        layers.append(layer)
        standing = list
        return Self.info(layer, nil)
    }

    /// The newest one that holds the volume.
    private func keeper(of volume: VolumeID) -> Int? {
        layers.lastIndex { layer in layer.parts[volume].map { $0.end == nil } ?? false }
    }

    func holds(_ volume: VolumeID) -> Bool { keeper(of: volume) != nil }

    /// The first blocks in `range` that have to be kept before they change, at most so many.
    func due(
        _ volume: VolumeID, _ range: Range<UInt64>, countMax: Int
    ) -> Range<UInt64>? {
        guard let keeper = keeper(of: volume), let part = layers[keeper].parts[volume]
        else { return nil }
        let size = BlockSum.blockByteCount
        // What was added since is no part of it.
        let end = (min(range.upperBound, part.byteCount) + size - 1) / size
        var at = range.lowerBound / size
        while at < end {
            let run = part.held.run(at: at * size, in: at * size..<min(end * size, part.byteCount))
            guard run.isSet else {
                at = (run.end + size - 1) / size
                continue
            }
            guard part.kept[at] == nil else {
                at += 1
                continue
            }
            var next = at + 1
            while next < end, next - at < countMax, next * size < run.end, part.kept[next] == nil {
                next += 1
            }
            return at..<next
        }
        return nil
    }

    mutating func keep(_ place: KeptBlocks.Place, of block: UInt64, _ volume: VolumeID) {
        guard let keeper = keeper(of: volume) else { return }
        layers[keeper].parts[volume]?.kept.keep(place, of: block)
    }

    /// What was kept of a block is not what was written.
    mutating func lose(_ block: UInt64, _ volume: VolumeID, layer: Int) {
        if let slot = layers[layer].parts[volume]?.kept.lose(block) { room.release([slot]) }
    }

    /// The oldest ones go until there is room; false where none is left.
    mutating func makeRoom(for count: Int) -> Bool {
        while !layers.isEmpty, !room.hasRoom(for: count) {
            let end = SnapshotEnd.roomFull(
                usedByteCount: room.usedByteCount, roomByteCount: room.byteCount)
            endLayer(0, end)
        }
        return !layers.isEmpty
    }

    private mutating func endLayer(_ at: Int, _ end: SnapshotEnd) {
        let layer = layers.remove(at: at)
        note(Self.info(layer, end))
        for part in layer.parts.values where part.end == nil { room.release(part.kept) }
        standing = list
    }

    private mutating func note(_ info: SnapshotInfo) {
        ended.append(info)
        ended.removeFirst(max(0, ended.count - Self.countMax))
    }

    mutating func endAll(_ end: SnapshotEnd) { while !layers.isEmpty { endLayer(0, end) } }

    /// A volume goes, with what is kept of it.
    mutating func end(_ volume: VolumeID, _ end: SnapshotEnd) {
        for at in layers.indices {
            guard let part = layers[at].parts[volume], part.end == nil else { continue }
            room.release(part.kept)
            layers[at].parts[volume]?.kept = KeptBlocks()
            layers[at].parts[volume]?.end = end
        }
        while let at = layers.firstIndex(where: { $0.parts.values.allSatisfy { $0.end != nil } }) {
            endLayer(at, end)
        }
        standing = list
    }

    /// An operator needs it no more, or has seen that it ended. False where there is none.
    mutating func delete(_ name: String) -> Bool {
        defer { standing = list }
        if let at = ended.firstIndex(where: { $0.name == name }) {
            ended.remove(at: at)
            return true
        }
        guard let at = layers.firstIndex(where: { $0.order.name == name }) else { return false }
        let layer = layers.remove(at: at)
        for (volume, part) in layer.parts where part.end == nil {
            handDown(part, of: volume, below: at)
        }
        return true
    }

    /// What an older one needs of a part that goes becomes its own.
    private mutating func handDown(_ part: Part, of volume: VolumeID, below end: Int) {
        let isOf: (Layer) -> Bool = { $0.parts[volume].map { $0.end == nil } ?? false }
        guard let older = layers[..<end].lastIndex(where: isOf),
            var heir = layers[older].parts.removeValue(forKey: volume)
        else { return room.release(part.kept) }
        let (held, end) = (heir.held, heir.byteCount)
        let spare = heir.kept.merge(part.kept) { block in
            let offset = block * BlockSum.blockByteCount
            // What was zeros then was not kept when it changed.
            return offset < end && held.holds(offset)
        }
        room.release(spare)
        // What was zeros then, and is not kept, was zeros before.
        for gap in part.held.gaps {
            heir.held.remove(gap.clamped(to: 0..<heir.byteCount))
        }
        layers[older].parts[volume] = heir
    }
}

/// Where to read.
extension Snapshots {
    func layer(
        of id: SnapshotID, _ volume: VolumeID
    ) -> Result<(at: Int, part: Part), SnapshotRefused> {
        guard let at = layers.firstIndex(where: { $0.order.id == id }) else {
            return .failure(ended.first { $0.id == id }?.end.map { .ended($0) } ?? .unknown)
        }
        guard let part = layers[at].parts[volume] else { return .failure(.unknownVolume) }
        return part.end.map { .failure(.ended($0)) } ?? .success((at, part))
    }

    func source(of block: UInt64, _ volume: VolumeID, from layer: Int) -> Source {
        for at in layer..<layers.count {
            guard let part = layers[at].parts[volume], part.end == nil else { continue }
            if let place = part.kept[block] { return .kept(layer: at, place) }
            if !part.held.holds(block * BlockSum.blockByteCount) { return .zeros }
        }
        return .current
    }
}
