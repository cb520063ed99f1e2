import Decisions
import Mesh
import Record
import Testing
import VolumeCore
import Wire

@testable import Replay

/// A log as a mesh writes it, deposed primaries' late entries included, and what the volumes are behind each.
private struct History {
    typealias Image = (name: String, bytes: [UInt8])
    private(set) var entries: [Entry] = []
    /// By entry, the first is of before all.
    private(set) var images: [[VolumeID: Image]] = [[:]]
    private var random: SeededRandom
    private var epoch = UInt64(0)
    /// The last write of each volume.
    private(set) var marks: [[VolumeID: (generation: ExportGeneration, number: UInt64)]] = [[:]]
    private var opening = UInt32(1)

    static let regions = ["east", "west"].compactMap(RegionName.init)
    static let beginning = Decisions(seats: [
        Decisions.Seat(node: NodeID(1), region: regions[0]),
        Decisions.Seat(node: NodeID(2), region: regions[1]),
    ])

    init(seed: UInt64, count: Int) {
        random = SeededRandom(seed: seed)
        promote(.firstPrimary)
        command(.raiseLevel(.growth))
        while entries.count < count { happen() }
    }

    private var now: [VolumeID: Image] { images[images.count - 1] }

    private mutating func add(
        _ kind: Entry.Kind, epoch: UInt64, _ payload: [UInt8],
        _ change: (inout [VolumeID: Image], inout [VolumeID: (ExportGeneration, UInt64)]) -> Void
    ) {
        let index = LogIndex(UInt64(entries.count) + 1)
        entries.append(
            Draft(kind, epoch: Epoch(epoch), payload: payload).sealed(
                at: Position(index: index, term: Term(self.epoch + 1)), group: GroupID(1),
                time: WallTime(index.rawValue * 1_000)))
        var (image, mark) = (now, marks[marks.count - 1].mapValues { ($0.generation, $0.number) })
        change(&image, &mark)
        images.append(image)
        marks.append(mark.mapValues { (generation: $0.0, number: $0.1) })
    }

    private mutating func command(
        _ command: Command, epoch: UInt64 = 0,
        _ change: (inout [VolumeID: Image]) -> Void = { _ in }
    ) {
        add(.command, epoch: epoch, command.encoded) { image, _ in change(&image) }
    }

    private mutating func promote(_ warrant: Warrant) {
        epoch += 1
        opening = 1
        command(
            .promote(node: NodeID(1 + epoch % 2), epoch: Epoch(epoch), warrant: warrant))
    }

    private mutating func happen() {
        switch random.next() % 24 {
        case 0:
            // A switchover: the one gives up, the other follows.
            command(.relinquish(epoch: Epoch(epoch)), epoch: 0)
            promote(.relinquished(at: LogIndex(UInt64(entries.count))))
        case 1: create()
        case 2: delete()
        case 3: add(.blank, epoch: epoch, []) { _, _ in }
        case 4: opening += 1
        case 5: grow()
        default: write()
        }
    }

    private mutating func create() {
        let name = "disk-\(random.next() % 3)"
        let byteCount = UInt64(1 + random.next() % 4) * 8_192
        let isFree = !now.values.contains { $0.name == name }
        let id = VolumeID(nextVolume)
        if isFree { nextVolume += 1 }
        command(.createVolume(name: name, byteCount: byteCount, durability: .sync)) { image in
            if isFree { image[id] = (name, [UInt8](repeating: 0, count: Int(byteCount))) }
        }
    }
    private var nextVolume = UInt64(1)

    private mutating func grow() {
        guard let id = now.keys.sorted().randomElement(using: &random), let image = now[id] else {
            return
        }
        // Now and then one that would make it shorter.
        let count = UInt64(image.bytes.count) + 4_096 * (random.next() % 4) - 4_096
        command(.growVolume(id, byteCount: count)) {
            let added = Int(count) - image.bytes.count
            if added > 0 { $0[id]?.bytes += [UInt8](repeating: 0, count: added) }
        }
    }

    private mutating func delete() {
        guard random.next() % 3 == 0, let id = now.keys.sorted().first else { return }
        command(.deleteVolume(id)) { $0[id] = nil }
    }

    private mutating func write() {
        guard let id = now.keys.sorted().randomElement(using: &random), let image = now[id] else {
            return create()
        }
        let isStale = epoch > 1 && random.chance(1, in: 6)
        let writer = isStale ? epoch - 1 : epoch
        let generation = ExportGeneration(epoch: Epoch(writer), opening: isStale ? 9 : opening)
        let last = marks[marks.count - 1][id]
        let next = last?.generation == generation ? (last?.number ?? 0) + 1 : 1
        // Now and then one that is there already, one too early, or one behind the end.
        let number = [next, next, next, next, next, next, max(next, 2) - 1, next + 1][
            Int(random.next() % 8)]
        let isOut = random.chance(1, in: 12)
        let start = random.next() % UInt64(image.bytes.count)
        let count = min(1 + random.next() % 6_000, UInt64(image.bytes.count) - start)
        let offset = isOut ? UInt64(image.bytes.count) - 1 : start
        let byteCount = isOut ? 2 : count
        let isOlder = (last?.generation ?? .none) > generation
        let passes = !isStale && !isOut && !isOlder && number == next
        let kind = random.next() % 5
        let fill: UInt8 = kind < 2 ? 0 : UInt8(truncatingIfNeeded: random.next() | 1)
        let data = [UInt8](repeating: fill, count: Int(byteCount))
        let write =
            kind < 2
            ? VolumeWrite(
                zeroing: kind == 0 ? .trim : .zeroes, volume: id, offset: offset,
                byteCount: UInt32(byteCount), keepsAllocated: kind == 1, generation: generation,
                number: number)
            : VolumeWrite(
                volume: id, offset: offset, generation: generation, number: number, data: data[...])
        add(.write, epoch: writer, write.encoded) { image, mark in
            guard passes else { return }
            image[id]?.bytes.replaceSubrange(Int(offset)..<Int(offset) + Int(byteCount), with: data)
            mark[id] = (generation, number)
        }
    }
}

@Suite("Replays") struct ReplayTests {
    private struct Images {
        var images: [VolumeID: [UInt8]] = [:]

        mutating func carryOut(_ deed: Replay.Deed?, _ replay: Replay) throws {
            switch deed {
            case nil: break
            case .write(let id, let offset, let data):
                images[id]?.replaceSubrange(Int(offset)..<Int(offset) + data.count, with: data)
            case .zero(let id, let range):
                let zeros = [UInt8](repeating: 0, count: range.count)
                images[id]?.replaceSubrange(
                    Int(range.lowerBound)..<Int(range.upperBound), with: zeros)
            case .delete(let id): images[id] = nil
            case .grow(let id, let byteCount):
                let added = Int(byteCount) - (images[id]?.count ?? 0)
                images[id]? += [UInt8](repeating: 0, count: added)
            case .create(let id):
                let byteCount = try #require(replay.volumes[id]?.byteCount)
                images[id] = [UInt8](repeating: 0, count: Int(byteCount))
            }
        }
    }

    /// The decisions as of each entry, by whom an agent has them made.
    private static func decided(_ entries: [Entry]) throws -> [Decisions] {
        var replay = Replay(behind: .zero, History.beginning, [:])
        return try [History.beginning]
            + entries.map { entry in
                _ = try replay.apply(entry)
                return replay.decisions
            }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `from any entry to any later one it makes what the replicas have`(seed: UInt64) throws {
        let history = History(seed: seed, count: 300)
        let decided = try Self.decided(history.entries)
        var random = SeededRandom(seed: seed)
        for _ in 0..<4 {
            let begin = Int(random.next() % 200)
            let position = begin == 0 ? .zero : history.entries[begin - 1].position
            var volumes: [VolumeID: Replay.Volume] = [:]
            var images = Images()
            for (id, image) in history.images[begin] {
                let mark = history.marks[begin][id]
                volumes[id] = Replay.Volume(
                    name: image.name, byteCount: UInt64(image.bytes.count),
                    generation: mark?.generation ?? .none, number: mark?.number ?? 0)
                images.images[id] = image.bytes
            }
            // As a backup has them.
            let state = try Decisions(parsing: decided[begin].encoded)
            var replay = Replay(behind: position, state, volumes)
            for at in begin..<history.entries.count {
                try images.carryOut(try replay.apply(history.entries[at]), replay)
                let wanted = history.images[at + 1]
                try #require(images.images == wanted.mapValues(\.bytes), "entry \(at + 1)")
                try #require(replay.volumes.mapValues(\.name) == wanted.mapValues(\.name))
            }
        }
    }

    @Test func `an entry that does not come next is refused`() throws {
        let history = History(seed: 1, count: 20)
        var replay = Replay(behind: .zero, History.beginning, [:])
        #expect(throws: ReplayRefused.self) { try replay.apply(history.entries[1]) }
        _ = try replay.apply(history.entries[0])
        #expect(throws: ReplayRefused.self) { try replay.apply(history.entries[0]) }
        #expect(replay.position == history.entries[0].position)
    }

    @Test func `what this release does not know ends it with the entry's number`() throws {
        var replay = Replay(behind: .zero, History.beginning, [:])
        let entry = Draft(.command, epoch: .zero, payload: [255, 255, 255]).sealed(
            at: Position(index: LogIndex(1), term: Term(1)), group: GroupID(1), time: .zero)
        let refused = #expect(throws: ReplayRefused.self) { try replay.apply(entry) }
        #expect(refused == .unknown(LogIndex(1)))
    }
}
