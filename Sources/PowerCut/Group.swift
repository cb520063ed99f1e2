internal import Disk
internal import Mesh
internal import Record
internal import SimulatedDisk
internal import VolumeCore

/// What the other members hold: the committed log, volumes that a replica can be made from, and beside
/// them the volumes as plain bytes, worked out from the entries by nothing of VolumeCore's.
struct Group: Sendable {
    static let id = GroupID(3)
    /// Two cells and a part of one, so that a piece may be a part of a cell; a volume may grow from there.
    static let volumeByteCount = 3 * (64 << 10) - 4_096
    static let grain = 4_096
    static let grainsMax = 100
    static let volumesMax = 3

    /// From index 1 on.
    private(set) var log: [Entry] = []
    private(set) var source: Exports<SimulatedDisk>
    private(set) var volumes: [VolumeID: [UInt8]] = [:]
    /// The next volume's; an id is never given out twice.
    private var nextVolume: UInt64 = 1

    init(limits: VolumeLimits) throws {
        source = Exports(try VolumeCore(disk: SimulatedDisk(), limits: limits))
    }

    var committed: LogIndex { log.last?.index ?? .zero }

    mutating func commit(_ entry: Entry) throws {
        invariant(entry.index == committed.next, "\(entry.position) behind \(committed)")
        log.append(entry)
        try apply(Self.rule(entry))
        var effects: [ExportEffect] = []
        try source.handle(.apply([Self.rule(entry)]), at: .zero, &effects)
        for case .refused(let index, let reason) in effects {
            invariant(false, "entry \(index) changed nothing: \(reason)")
        }
    }

    mutating func checkpoint() throws -> Position {
        var effects: [ExportEffect] = []
        try source.handle(.checkpoint, at: .zero, &effects)
        return log.last?.position ?? .zero
    }

    mutating func answer(_ message: ResyncMessage, at now: Instant) throws -> [ResyncMessage] {
        var effects: [ExportEffect] = []
        try source.handle(.heard(message, from: NodeID(1)), at: now, &effects)
        return effects.compactMap { if case .send(let answer, _) = $0 { answer } else { nil } }
    }

    private mutating func apply(_ ruled: Ruled) throws {
        switch ruled.ruling {
        case .nothing: break
        case .created(let id, _, _, _):
            volumes[id] = [UInt8](repeating: 0, count: Self.volumeByteCount)
            nextVolume = max(nextVolume, id.rawValue + 1)
        case .deleted(let id): volumes[id] = nil
        case .grown(let id, let byteCount):
            let added = Int(byteCount) - (volumes[id]?.count ?? 0)
            volumes[id]? += [UInt8](repeating: 0, count: added)
        case .accepted:
            let write = try VolumeWrite(parsing: ruled.entry)
            let range = Int(write.range.lowerBound)..<Int(write.range.upperBound)
            let zeros = [UInt8](repeating: 0, count: range.count)[...]
            volumes[write.volume]?.replaceSubrange(
                range, with: write.operation == .write ? write.data : zeros)
        }
    }

    /// What the decisions would make of it.
    static func rule(_ entry: Entry) -> Ruled {
        switch entry.kind {
        case .write: return Ruled(entry, .accepted)
        case .command:
            let id = VolumeID(entry.payload.last.map(UInt64.init) ?? 0)
            if entry.payload.count == 3 {
                let grains = UInt64(entry.payload[entry.payload.startIndex + 1])
                return Ruled(entry, .grown(id, byteCount: grains * UInt64(grain)))
            }
            guard entry.payload.count == 1 else { return Ruled(entry, .deleted(id)) }
            let byteCount = UInt64(volumeByteCount)
            return Ruled(
                entry, .created(id, name: "v\(id)", byteCount: byteCount, isSync: true))
        case .blank, .membership, .stream: return Ruled(entry, .nothing)
        }
    }
}

extension Group {
    /// What comes next behind `tail`, which follows what is committed.
    func draw(behind tail: [Entry], _ random: inout SeededRandom) throws -> Draft {
        let isQuiet = !tail.contains { $0.kind == .command }
        let known = volumes.keys.sorted()
        switch random.next() % 24 {
        case 0 where isQuiet && volumes.count < Self.volumesMax && nextVolume < 255,
            _ where isQuiet && volumes.isEmpty:
            return Draft(.command, epoch: Epoch(1), payload: [UInt8(nextVolume)])
        case 1 where isQuiet && known.count > 1:
            return Draft(.command, epoch: Epoch(1), payload: [0, UInt8(known[0].rawValue)])
        case 2 where isQuiet && !known.isEmpty:
            let id = known[Int(random.next() % UInt64(known.count))]
            let grains = (volumes[id]?.count ?? 0) / Self.grain + Int(1 + random.next() % 20)
            guard grains <= Self.grainsMax else { break }
            return Draft(
                .command, epoch: Epoch(1), payload: [1, UInt8(grains), UInt8(id.rawValue)])
        case 3: return Draft(.membership, epoch: Epoch(1), payload: [7])
        default: break
        }
        // A volume of the tail may go again with it, or is going.
        guard isQuiet, !known.isEmpty else { return Draft(.blank, epoch: Epoch(1), payload: []) }
        let id = known[Int(random.next() % UInt64(known.count))]
        return try write(id, behind: tail, &random).draft
    }

    private func write(
        _ id: VolumeID, behind tail: [Entry], _ random: inout SeededRandom
    ) throws -> VolumeWrite {
        let number = try number(of: id, behind: tail)
        let generation = ExportGeneration(epoch: Epoch(1), opening: 1)
        let length = UInt64(volumes[id]?.count ?? 0)
        let offset = random.next() % length
        let isLong = random.chance(1, in: 8)
        let longest: UInt64 = isLong ? 80_000 : 3_000
        let count = min(1 + random.next() % longest, length - offset)
        let operation: [VolumeWrite.Operation] = [.write, .write, .write, .zeroes, .trim]
        let drawn = operation[Int(random.next() % 5)]
        guard drawn != .write else {
            let byte = UInt8(truncatingIfNeeded: random.next())
            let data = (0..<min(Int(count), 3_000)).map { UInt8(truncatingIfNeeded: $0) ^ byte }
            return VolumeWrite(
                volume: id, offset: offset, generation: generation, number: number,
                data: data[...])
        }
        return VolumeWrite(
            zeroing: drawn, volume: id, offset: offset, byteCount: UInt32(count),
            keepsAllocated: drawn == .zeroes, generation: generation, number: number)
    }

    private func number(of id: VolumeID, behind tail: [Entry]) throws -> UInt64 {
        // From the back: the last write of a volume is never far.
        for entry in tail.reversed() + log.reversed() where entry.kind == .write {
            let write = try VolumeWrite(parsing: entry)
            if write.volume == id { return write.number + 1 }
        }
        return 1
    }
}
