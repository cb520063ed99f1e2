import Disk
import Mesh
import Record
import Testing
import VolumeCore

/// A primary with clients, whose log and disk crash: keeps what clients were promised by replies
/// alone, and looks afterwards whether it is there.
private struct Histories {
    static let volumes = [VolumeID(1), VolumeID(2)]
    static let byteCount = 200_000

    /// What clients were told of one volume.
    struct Told {
        /// The contents after each answered write; the first is the volume when it opened.
        var states: [[UInt8]]
        var promised = 0
        var flushes: [RequestID: Int] = [:]
    }

    var random: SeededRandom
    var exports: Exports<MemoryDisk>
    var log: [Entry] = []
    var durable = 0
    var round = ProposalRound.zero
    var epoch: UInt64 = 1
    var term: UInt64 = 1
    var generations: [VolumeID: ExportGeneration] = [:]
    var told: [VolumeID: Told] = [:]
    var asked: [RequestID: (VolumeID, VolumeRequest)] = [:]
    var lastRequest: UInt64 = 0
    var flushesAnswered = 0

    init(seed: UInt64) throws {
        random = SeededRandom(seed: seed)
        exports = Exports(try Self.core(MemoryDisk()))
        for volume in Self.volumes {
            append(Draft(.command, epoch: Epoch(1), payload: [UInt8(volume.rawValue)]))
        }
        durable = log.count
        try start()
    }

    static func core(_ disk: MemoryDisk) throws -> VolumeCore<MemoryDisk> {
        try VolumeCore(
            disk: disk,
            limits: VolumeLimits(pendingByteCountMax: 90_000, overlayByteCountMax: 80_000))
    }

    mutating func append(_ draft: Draft) {
        log.append(
            draft.sealed(
                at: Position(index: LogIndex(UInt64(log.count + 1)), term: Term(term)),
                group: GroupID(1), time: .zero))
    }

    static func ruled(_ entry: Entry) -> Ruled {
        guard entry.kind == .command, let id = entry.payload.first else {
            return Ruled(entry, .accepted)
        }
        return Ruled(
            entry,
            .created(
                VolumeID(UInt64(id)), name: "v\(id)", byteCount: UInt64(byteCount),
                isSync: id == 1))
    }

    mutating func send(_ event: ExportEvent) throws {
        var effects: [ExportEffect] = []
        try exports.handle(event, at: Instant(nanoseconds: 1), &effects)
        for effect in effects {
            switch effect {
            case .propose(let drafts, let round):
                let first = LogIndex(UInt64(log.count + 1))
                for draft in drafts { append(draft) }
                self.round = round
                try send(.proposed(first: first, count: drafts.count, round: round))
            case .opened(let volume, _, let generation, _): generations[volume] = generation
            case .reply(let id, let reply): heard(id, reply)
            case .refused(let index, let reason): Issue.record("entry \(index): \(reason)")
            default: break
            }
        }
    }

    private mutating func heard(_ id: RequestID, _ reply: VolumeReply) {
        guard let (volume, request) = asked.removeValue(forKey: id) else { return }
        switch (request, reply) {
        case (.flush, .done):
            let count = told[volume]?.flushes[id] ?? 0
            let before = told[volume]?.promised ?? 0
            told[volume]?.promised = max(count, before)
            flushesAnswered += 1
        case (.read(let offset, let count), .data(let data)):
            #expect(
                data == Array((told[volume]?.states.last ?? [])[Int(offset)..<Int(offset) + count]))
        case (.write(let offset, let data, _), .done):
            var state = (told[volume]?.states.last ?? [])
            state.replaceSubrange(Int(offset)..<Int(offset) + data.count, with: data)
            told[volume]?.states.append(state)
        default: Issue.record("\(request) got \(reply)")
        }
    }

    mutating func step() throws {
        switch random.next() % 20 {
        case 0..<8: try ask(change())
        case 8..<11: try ask(.flush)
        case 11..<12: try ask(.read(offset: random.next() % 100_000, byteCount: 90_000))
        case 12..<14:
            durable = max(durable, log.count - Int(random.next() % 4))
            try send(.durable(through: LogIndex(UInt64(durable))))
        case 14..<17: try commit(Int(random.next() % 4))
        case 17: try send(random.chance(1, in: 2) ? .fold : .checkpoint)
        case 18: if random.chance(1, in: 4) { try lose() }
        default: if random.chance(1, in: 5) { try crash() }
        }
    }

    mutating func change() -> VolumeRequest {
        let offset = random.next() % UInt64(Self.byteCount - 20_000)
        let byte = UInt8(truncatingIfNeeded: random.next())
        let count = 1 + Int(random.next() % 20_000)
        return .write(
            offset: offset, (0..<count).map { UInt8(truncatingIfNeeded: $0) &+ byte },
            isDurable: false)
    }

    mutating func ask(_ request: VolumeRequest) throws {
        lastRequest += 1
        let volume = Self.volumes[Int(random.next() % 2)]
        let id = RequestID(ConnectionID(1 + random.next() % 3), lastRequest)
        asked[id] = (volume, request)
        let answered = (told[volume]?.states.count ?? 1) - 1
        if case .flush = request { told[volume]?.flushes[id] = answered }
        try send(.request(id, volume, generations[volume] ?? .none, request))
    }

    mutating func commit(_ count: Int) throws {
        let from = Int(exports.core.applied.rawValue)
        // A majority may hold what this node's own disk doesn't.
        try send(.apply(log[from...].prefix(count).map(Self.ruled)))
    }

    /// Another leader came and went: what no disk held is gone from the log.
    mutating func lose() throws {
        let kept = max(durable, Int(exports.core.applied.rawValue))
        log.removeLast(Int(random.next() % UInt64(log.count - kept + 1)))
        term += 1
        try send(.lost)
    }

    mutating func crash() throws {
        let safe = max(durable, Int(exports.core.applied.rawValue))
        log.removeLast(Int(random.next() % UInt64(log.count - safe + 1)))
        durable = log.count
        var disk = exports.core.disk
        disk.crash(&random)
        exports = Exports(try Self.core(disk))
        if random.chance(1, in: 2) { epoch += 1 }
        term += 1
        try start()
    }

    /// Applies the log, opens, and holds each volume against what clients were told.
    private mutating func start() throws {
        asked = [:]
        try commit(.max)
        try send(.opened(Epoch(epoch), until: .distantFuture))
        for volume in Self.volumes {
            let all = try exports.readCommitted(volume, at: 0, count: Self.byteCount).get()
            if let told = told[volume] {
                let survived = told.states.lastIndex(of: all)
                #expect(try #require(survived) >= told.promised, "volume \(volume)")
            }
            told[volume] = Told(states: [all])
        }
    }
}

@Suite("Exports through crashes")
struct ExportsHistoryTests {
    @Test(arguments: 1...12)
    func `what a flush promised is there after a crash, and no write without those before it`(
        seed: UInt64
    ) throws {
        var histories = try Histories(seed: seed)
        for _ in 0..<400 { try histories.step() }
        try histories.crash()
        #expect(histories.flushesAnswered > 10)
    }
}
