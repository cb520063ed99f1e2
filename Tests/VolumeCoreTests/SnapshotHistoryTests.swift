import Mesh
import Record
import SimulatedDisk
import Testing

@testable import VolumeCore

/// A log that changes volumes while snapshots come and go, and beside it all bytes of each snapshot.
private struct SnapshotModel {
    private struct Known {
        let id: SnapshotID
        let name: String
        var volumes: [VolumeID: [UInt8]]
    }

    private var log: VolumeLog
    private var known: [Known] = []
    private var names = 0
    private(set) var lost = 0
    private(set) var compared = 0

    init(_ random: inout SeededRandom, roomByteCount: UInt64) throws {
        // Only whole blocks can grow.
        let sizes = [
            (1 + random.next() % 200) * 4_096, 1 + random.next() % 300_000,
            (1 + random.next() % 40) * 4_096,
        ]
        log = try VolumeLog(sizes, roomByteCount: roomByteCount)
    }

    mutating func step(_ random: inout SeededRandom) throws {
        switch random.next() % 24 {
        case 0, 1: try take(&random)
        case 2: try delete(&random)
        case 3: try grow(&random)
        case 4 where random.chance(1, in: 12) && log.core.list.count > 1:
            let id = log.core.list[0].id
            try #require(log.core.delete(id) == nil)
            for at in known.indices { known[at].volumes[id] = nil }
        case 5: try compare(&random)
        default: try log.change(&random)
        }
        try noteLosses()
    }

    private mutating func take(_ random: inout SeededRandom) throws {
        guard known.count < 6 else { return }
        names += 1
        var chosen = log.core.list.map(\.id.rawValue)
        let isPart = random.chance(1, in: 3)
        if isPart { chosen = [chosen[Int(random.next() % UInt64(chosen.count))]] }
        let info = try log.snapshot("s\(names)", of: isPart ? chosen : []).get()
        try #require(info.index == log.core.applied)
        var volumes: [VolumeID: [UInt8]] = [:]
        for id in chosen { volumes[VolumeID(id)] = try log.contents(id) }
        known.append(Known(id: info.id, name: info.name, volumes: volumes))
    }

    private mutating func delete(_ random: inout SeededRandom) throws {
        guard !known.isEmpty else { return }
        let gone = known.remove(at: Int(random.next() % UInt64(known.count)))
        try #require(log.core.deleteSnapshot(gone.name) == nil)
    }

    private mutating func grow(_ random: inout SeededRandom) throws {
        let volumes = log.core.list.filter { $0.byteCount % 4_096 == 0 && $0.byteCount < 900_000 }
        guard let one = volumes.randomElement(using: &random) else { return }
        let refused = try log.core.grow(
            one.id, to: one.byteCount + (1 + random.next() % 30) * 4_096)
        try #require(refused == nil)
    }

    /// A room that is full takes the oldest, and no other.
    private mutating func noteLosses() throws {
        let ended = log.core.snapshotStanding.filter { $0.end != nil }
        for info in ended where known.contains(where: { $0.id == info.id }) {
            let held = known.removeFirst()
            if case .roomFull = info.end { lost += 1 }
            // One whose volumes are all deleted may be any.
            if info.end != .volumeDeleted { try #require(held.id == info.id) }
            guard held.id != info.id else { continue }
            known.insert(held, at: 0)
            known.removeAll { $0.id == info.id }
        }
        let room = log.core.snapshotRoom
        try #require(room.usedByteCount <= room.byteCount)
        let kept = log.core.snapshots.list.filter { $0.end == nil }.map(\.keptByteCount)
        try #require(kept.reduce(0, +) == room.usedByteCount, "what is in use is somebody's")
    }

    mutating func compare(_ random: inout SeededRandom) throws {
        for one in known {
            for (volume, then) in one.volumes.sorted(by: { $0.key < $1.key }) {
                let whole = try log.read(one.id, volume.rawValue, 0..<UInt64(then.count))
                // Not the bytes: a failure would show all of them.
                let isSame = whole == then
                try #require(isSame, "\(one.name), volume \(volume)")
                let start = random.next() % UInt64(then.count)
                let end = start + random.next() % (UInt64(then.count) - start + 1)
                let part = try log.read(one.id, volume.rawValue, start..<end)
                let isPartSame = part == Array(then[Int(start)..<Int(end)])
                try #require(isPartSame, "\(one.name), volume \(volume), \(start)..<\(end)")
                compared += 1
            }
        }
    }

    mutating func finish(_ random: inout SeededRandom) throws {
        try compare(&random)
        for one in known { try #require(log.core.deleteSnapshot(one.name) == nil) }
        try #require(log.core.snapshotRoom.usedByteCount == 0)
    }
}

@Suite("Snapshots against a model") struct SnapshotHistoryTests {
    @Test(arguments: 1...24 as ClosedRange<UInt64>)
    func `whatever the log does, each snapshot is what there was at its index`(seed: UInt64) throws
    {
        var random = SeededRandom(seed: seed)
        var model = try SnapshotModel(&random, roomByteCount: 64 << 20)
        for _ in 0..<300 { try model.step(&random) }
        try model.finish(&random)
        #expect(model.lost == 0 && model.compared > 20)
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `in a room that is too small the oldest go, and the others are right`(seed: UInt64) throws
    {
        var random = SeededRandom(seed: seed)
        var model = try SnapshotModel(&random, roomByteCount: (20 + random.next() % 60) * 4_096)
        for _ in 0..<300 { try model.step(&random) }
        try model.finish(&random)
        #expect(model.lost > 0 && model.compared > 0)
    }
}
