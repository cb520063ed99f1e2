import Disk
import Mesh
import Record
import SimulatedDisk
import Testing

@testable import VolumeCore

/// A source and a replica on disks that crash, a log that both read, and mail between them that a
/// test loses, doubles or delays.
struct Pair {
    static let source = NodeID(1)
    static let replica = NodeID(2)

    var random: SeededRandom
    var log: [Ruled] = []
    /// The log begins behind this index for the replica.
    var base = LogIndex.zero
    var a: Exports<SimulatedDisk>
    var b: Exports<SimulatedDisk>
    var toA: [ResyncMessage] = []
    var toB: [ResyncMessage] = []
    /// Handed to the replica and not answered `.applied` yet.
    var handed = LogIndex.zero
    var isWaiting = false
    var now = Instant(nanoseconds: 1)
    var volumes: [VolumeID] = []
    var numbers: [VolumeID: UInt64] = [:]
    private var lengths: [VolumeID: UInt64] = [:]
    /// What the replica said of itself last.
    var standing: ResyncStanding??
    var completions = 0
    var copied: UInt64 = 0
    static let cell: UInt64 = 64 << 10
    let byteCount: UInt64

    static func limits(_ piece: Int) -> VolumeLimits {
        var limits = VolumeLimits(pendingByteCountMax: 1 << 20, overlayByteCountMax: 40 << 10)
        limits.resync.pieceByteCountMax = piece
        limits.resync.windowByteCountMax = 3 * piece
        limits.resync.progressByteCount = UInt64(4 * piece)
        limits.resync.askTimeout = .milliseconds(100)
        return limits
    }

    init(seed: UInt64, cells: UInt64 = 6, piece: Int = 64 << 10) throws {
        random = SeededRandom(seed: seed)
        byteCount = cells * Self.cell - 4_096
        a = Exports(try VolumeCore(disk: SimulatedDisk(), limits: Self.limits(piece)))
        b = Exports(try VolumeCore(disk: SimulatedDisk(), limits: Self.limits(piece)))
    }

    // MARK: The log

    mutating func append(_ ruling: Ruling, _ draft: Draft = Draft(.command, epoch: Epoch(1))) throws
    {
        let at = Position(index: LogIndex(UInt64(log.count + 1)), term: Term(1))
        log.append(Ruled(draft.sealed(at: at, group: GroupID(1), time: .zero), ruling))
        _ = try giveA(.apply([log[log.count - 1]]))
    }

    mutating func create() throws {
        let id = VolumeID(UInt64(numbers.count + 1))
        volumes.append(id)
        numbers[id] = 0
        try append(.created(id, name: "v\(id)", byteCount: byteCount, isSync: true))
    }

    func length(of id: VolumeID) -> UInt64 { lengths[id] ?? byteCount }

    mutating func grow(_ id: VolumeID, by count: UInt64) throws {
        lengths[id] = length(of: id) + count
        try append(.grown(id, byteCount: length(of: id)))
    }

    mutating func delete(_ id: VolumeID) throws {
        volumes.removeAll { $0 == id }
        try append(.deleted(id))
    }

    mutating func write(
        _ id: VolumeID, _ range: Range<UInt64>, _ operation: VolumeWrite.Operation = .write
    ) throws {
        if operation == .write, range.count > 512 << 10 {
            let middle = range.lowerBound + (512 << 10)
            try write(id, range.lowerBound..<middle)
            return try write(id, middle..<range.upperBound)
        }
        numbers[id, default: 0] += 1
        let (generation, number) = (ExportGeneration(epoch: Epoch(1), opening: 1), numbers[id] ?? 0)
        let byte = UInt8(truncatingIfNeeded: random.next()) | 1
        let write =
            operation == .write
            ? VolumeWrite(
                volume: id, offset: range.lowerBound, generation: generation, number: number,
                data: [UInt8](repeating: byte, count: range.count)[...])
            : VolumeWrite(
                zeroing: operation, volume: id, offset: range.lowerBound,
                byteCount: UInt32(range.count), keepsAllocated: operation == .zeroes,
                generation: generation, number: number)
        try append(.accepted, write.draft)
    }

    mutating func change() throws {
        switch random.next() % 40 {
        case 0 where volumes.count < 4: return try create()
        case 1 where volumes.count > 1:
            return try delete(volumes[Int(random.next() % UInt64(volumes.count))])
        default: break
        }
        guard !volumes.isEmpty else { return try create() }
        let id = volumes[Int(random.next() % UInt64(volumes.count))]
        let byteCount = length(of: id)
        if random.chance(1, in: 20), byteCount < 24 * Self.cell {
            return try grow(id, by: (1 + random.next() % 30) * 4_096)
        }
        let offset = random.next() % (byteCount / 512) * 512
        let longest: UInt64 = random.chance(1, in: 6) ? 3 * Self.cell : 9_000
        let end = min(offset + 512 + random.next() % longest / 512 * 512, byteCount)
        let operation: [VolumeWrite.Operation] = [.write, .write, .write, .zeroes, .trim]
        try write(id, offset..<end, operation[Int(random.next() % 5)])
    }

    // MARK: The two

    mutating func giveA(_ event: ExportEvent) throws -> [ExportEffect] {
        var effects: [ExportEffect] = []
        try a.handle(event, at: now, &effects)
        for case .send(let message, let to) in effects where to == Self.replica {
            if case .piece(_, _, let bytes?) = message { copied += UInt64(bytes.count) }
            toB.append(try ResyncMessage(parsing: message.encoded))
        }
        return effects
    }

    @discardableResult
    mutating func giveB(_ event: ExportEvent) throws -> [ExportEffect] {
        var effects: [ExportEffect] = []
        try b.handle(event, at: now, &effects)
        for effect in effects {
            switch effect {
            case .send(let message, _): toA.append(try ResyncMessage(parsing: message.encoded))
            case .applied(let index): (handed, isWaiting) = (index, false)
            case .resync(let standing, _):
                if case .some(.some) = self.standing, standing == nil { completions += 1 }
                self.standing = .some(standing)
            case .wantsCheckpoint: try giveB(.checkpoint)
            default: break
            }
        }
        return effects
    }

    /// Hands some more of the log to the replica, as Raft does: one batch, then its answer.
    mutating func follow(_ count: Int = 20) throws {
        guard !isWaiting else { return }
        let rest = log[Int(handed.rawValue)...].prefix(count)
        guard !rest.isEmpty else { return }
        isWaiting = true
        try giveB(.apply(Array(rest)))
    }

    /// The replica takes a base, as far as the source has checkpointed.
    mutating func forget() throws {
        _ = try giveA(.checkpoint)
        guard a.core.checkpointed > handed else { return }
        (base, handed, isWaiting) = (a.core.checkpointed, a.core.checkpointed, false)
        try giveB(.behind(base))
    }

    mutating func mail() throws {
        let (a, b) = (toA, toB)
        (toA, toB) = ([], [])
        for message in a { _ = try giveA(.heard(message, from: Self.replica)) }
        for message in b { try giveB(.heard(message, from: Self.source)) }
    }

    mutating func tick() throws {
        now = now + .milliseconds(20)
        try giveB(.pull(from: Self.source))
    }

    /// Power is lost at the replica.
    mutating func crash() throws {
        var disk = b.core.disk
        disk.crash(using: &random)
        b = Exports(try VolumeCore(disk: disk, limits: b.core.limits))
        (handed, isWaiting, toB) = (base, false, [])
        standing = b.core.isResyncing ? .some(.some(Self.some)) : nil
        try giveB(.behind(base))
    }
    static let some = ResyncStanding(isCopying: true, missingByteCount: 1, wholeByteCount: 1)

    /// Until the replica is one again.
    mutating func finish() throws {
        for _ in 0..<4_000 where b.core.isResyncing || handed.rawValue < UInt64(log.count) {
            try tick()
            try mail()
            try follow()
        }
    }

    /// A volume full of bytes, of which the first piece is asked for and not here yet.
    mutating func beginCopying() throws -> VolumeID {
        try create()
        try write(volumes[0], 0..<byteCount)
        try forget()
        try tick()
        try mail()
        try mail()
        return volumes[0]
    }

    // MARK: What must hold

    func bytes(_ core: VolumeCore<SimulatedDisk>, _ id: VolumeID) throws -> [UInt8] {
        var core = core
        return try core.readCommitted(id, at: 0, count: Int(length(of: id))).get()
    }

    func expectEqual(sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(!b.core.isResyncing, sourceLocation: sourceLocation)
        #expect(a.core.applied == b.core.applied, sourceLocation: sourceLocation)
        #expect(a.core.list == b.core.list, sourceLocation: sourceLocation)
        for id in volumes {
            let isEqual = try bytes(a.core, id) == bytes(b.core, id)
            #expect(isEqual, "volume \(id) differs", sourceLocation: sourceLocation)
        }
        for volume in b.core.volumes {
            let record = a.core.volumes.first { $0.id == volume.id }?.record
            #expect(record?.generation == volume.record.generation, sourceLocation: sourceLocation)
            #expect(record?.number == volume.record.number, sourceLocation: sourceLocation)
        }
    }
}
