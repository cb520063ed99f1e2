import Disk
import Mesh
import Record
import Testing
import VolumeCore

/// Exports beside a log that commits only when told.
private struct Node {
    static let sync = VolumeID(1)
    static let async = VolumeID(2)
    static let byteCount: UInt64 = 64 << 10

    var exports: Exports<MemoryDisk>
    var log: [Entry] = []
    var proposed: [Draft] = []
    var round = ProposalRound.zero
    var generations: [VolumeID: ExportGeneration] = [:]
    var now = Instant(nanoseconds: 10)
    var lastRequest: UInt64 = 0
    var epoch = Epoch(3)

    init(pending: Int = 1 << 20, byteCount: UInt64 = byteCount) throws {
        exports = Exports(
            try VolumeCore(
                disk: MemoryDisk(), limits: VolumeLimits(pendingByteCountMax: pending)))
        for (id, name) in [(Self.sync, "s"), (Self.async, "a")] {
            _ = try commit(
                .created(id, name: name, byteCount: byteCount, isSync: id == Self.sync))
        }
    }

    mutating func send(_ event: ExportEvent) throws -> [ExportEffect] {
        var effects: [ExportEffect] = []
        try exports.handle(event, at: now, &effects)
        for effect in effects {
            switch effect {
            case .propose(let drafts, let round):
                proposed += drafts
                self.round = round
            case .opened(let volume, _, let generation, _): generations[volume] = generation
            case .ended(let volume, _): generations[volume] = nil
            default: break
            }
        }
        return effects
    }

    /// Appends an entry that is no write of a volume and applies it with all before it.
    mutating func commit(_ ruling: Ruling) throws -> [ExportEffect] {
        append(Draft(.command, epoch: epoch))
        return try send(.apply([Ruled(log[log.count - 1], ruling)]))
    }

    private mutating func append(_ draft: Draft) {
        log.append(
            draft.sealed(
                at: Position(index: LogIndex(UInt64(log.count + 1)), term: Term(1)),
                group: GroupID(1), time: .zero))
    }

    /// Gives what was proposed its place in the log.
    mutating func place() throws -> [ExportEffect] {
        let (first, count) = (LogIndex(UInt64(log.count + 1)), proposed.count)
        for draft in proposed { append(draft) }
        proposed = []
        return try send(.proposed(first: first, count: count, round: round))
    }

    /// Commits the next `count` entries of the log.
    mutating func commit(_ count: Int = .max) throws -> [ExportEffect] {
        _ = try place()
        let from = Int(exports.core.applied.rawValue)
        let entries = log[from...].prefix(count).map { Ruled($0, .accepted) }
        return try send(.apply(entries))
    }

    mutating func open(until: UInt64 = 1_000) throws {
        _ = try send(.opened(epoch, until: Instant(nanoseconds: until)))
    }

    mutating func ask(
        _ request: VolumeRequest, of volume: VolumeID = sync, by connection: UInt64 = 1,
        under generation: ExportGeneration? = nil
    ) throws -> (id: RequestID, effects: [ExportEffect]) {
        lastRequest += 1
        let id = RequestID(ConnectionID(connection), lastRequest)
        let generation = generation ?? generations[volume] ?? .none
        return (id, try send(.request(id, volume, generation, request)))
    }

    mutating func reply(to request: VolumeRequest, of volume: VolumeID = sync) throws
        -> VolumeReply?
    {
        let (id, effects) = try ask(request, of: volume)
        return effects.reply(to: id)
    }
}

extension [ExportEffect] {
    fileprivate func reply(to id: RequestID) -> VolumeReply? {
        for case .reply(id, let reply) in self { return reply }
        return nil
    }
    fileprivate var drafts: [Draft] {
        var found: [Draft] = []
        for case .propose(let drafts, _) in self { found += drafts }
        return found
    }
}

private func write(_ byte: UInt8, at offset: UInt64 = 0, isDurable: Bool = false) -> VolumeRequest {
    .write(offset: offset, [byte], isDurable: isDurable)
}
private let readFirst = VolumeRequest.read(offset: 0, byteCount: 1)

@Suite("Who is served, and when who waits is answered")
struct ExportsTests {
    @Test func `a write is answered at once, seen by reads, and proposed under the epoch`() throws {
        var node = try Node()
        try node.open()
        let (id, effects) = try node.ask(write(7))
        #expect(effects.reply(to: id) == .done)
        let drafts = effects.drafts
        #expect(drafts.map(\.kind) == [.write])
        #expect(drafts.map(\.epoch) == [Epoch(3)])
        #expect(try node.reply(to: readFirst) == .data([7]))
    }

    @Test func `a sync volume's flush waits for the commit of all answered before it`() throws {
        var node = try Node()
        try node.open()
        _ = try node.ask(write(1))
        _ = try node.ask(write(2, at: 1), by: 2)
        let (flush, effects) = try node.ask(.flush, by: 3)
        #expect(effects.reply(to: flush) == nil)
        _ = try node.ask(write(3, at: 2))
        _ = try node.place()
        #expect(try node.send(.durable(through: LogIndex(99))).reply(to: flush) == nil)
        #expect(try node.commit(1).reply(to: flush) == nil)
        #expect(try node.commit(1).reply(to: flush) == .done)
    }

    @Test func `an async volume's flush waits for the node's own log and no longer`() throws {
        var node = try Node()
        try node.open()
        _ = try node.ask(write(1), of: Node.async)
        _ = try node.ask(write(1), of: Node.sync)
        _ = try node.ask(write(2), of: Node.async)
        let flush = try node.ask(.flush, of: Node.async).id
        _ = try node.place()
        #expect(try node.send(.durable(through: LogIndex(4))).reply(to: flush) == nil)
        #expect(try node.send(.durable(through: LogIndex(5))).reply(to: flush) == .done)
    }

    @Test func `an async volume's flush is answered whether place or durability is told first`()
        throws
    {
        var node = try Node()
        try node.open()
        let (id, effects) = try node.ask(write(1, isDurable: true), of: Node.async)
        #expect(effects.reply(to: id) == nil)
        #expect(try node.send(.durable(through: LogIndex(3))).reply(to: id) == nil)
        #expect(try node.place().reply(to: id) == .done)
    }

    @Test func `a commit counts for an async volume as well`() throws {
        var node = try Node()
        try node.open()
        let id = try node.ask(write(1, isDurable: true), of: Node.async).id
        #expect(try node.commit().reply(to: id) == .done)
    }

    @Test func `with nothing pending a flush is answered at once`() throws {
        var node = try Node()
        try node.open()
        #expect(try node.reply(to: .flush) == .done)
        _ = try node.ask(write(1))
        _ = try node.commit()
        #expect(try node.reply(to: .flush) == .done)
    }

    /// Named by number: describing two megabytes of argument takes longer than the test.
    private static var durableChanges: [VolumeRequest] {
        let long = [UInt8](repeating: 1, count: 2 * VolumeWrite.dataByteCountMax)
        return [
            write(9, isDurable: true),
            .zeroes(offset: 0, byteCount: 9, keepsAllocated: true, isDurable: true),
            .trim(offset: 0, byteCount: 9, isDurable: true),
            .write(offset: 5, long, isDurable: true),
        ]
    }

    @Test(arguments: 0..<4)
    func `a durable change is answered once all of it is committed`(place: Int) throws {
        let change = Self.durableChanges[place]
        var node = try Node(pending: 8 << 20, byteCount: 3 << 20)
        try node.open()
        let (id, effects) = try node.ask(change)
        let count = effects.drafts.count
        _ = try node.ask(write(1))
        #expect(try node.commit(count - 1).reply(to: id) == nil)
        #expect(try node.commit(1).reply(to: id) == .done)
    }

    @Test func `with the lease lapsed nothing is served until it is renewed`() throws {
        var node = try Node()
        try node.open(until: 100)
        node.now = Instant(nanoseconds: 99)
        #expect(try node.reply(to: write(5)) == .done)
        node.now = Instant(nanoseconds: 100)
        let (read, first) = try node.ask(readFirst)
        let (change, second) = try node.ask(write(6))
        let (flush, third) = try node.ask(.flush)
        #expect((first + second + third).isEmpty)
        #expect(try node.send(.leased(until: Instant(nanoseconds: 100))).isEmpty)
        let effects = try node.send(.leased(until: Instant(nanoseconds: 101)))
        #expect(effects.reply(to: read) == .data([5]))
        #expect(effects.reply(to: change) == .done)
        #expect(effects.reply(to: flush) == nil)
        #expect(effects.drafts.count == 1)
    }

    @Test func `a lease never gets shorter`() throws {
        var node = try Node()
        try node.open(until: 100)
        _ = try node.send(.leased(until: Instant(nanoseconds: 50)))
        #expect(node.exports.leaseEnds == Instant(nanoseconds: 100))
    }

    @Test func `past the pending bound changes wait in order, while reads pass`() throws {
        var node = try Node(pending: 10_000)
        try node.open()
        let long = VolumeRequest.write(
            offset: 0, [UInt8](repeating: 1, count: 9_000), isDurable: false)
        #expect(try node.reply(to: long) == .done)
        let (second, effects) = try node.ask(long)
        let (short, more) = try node.ask(write(2))
        #expect((effects + more).isEmpty)
        #expect(try node.reply(to: readFirst) == .data([1]))
        let after = try node.commit()
        #expect(after.reply(to: second) == .done)
        #expect(after.reply(to: short) == .done)
        #expect(try node.reply(to: readFirst) == .data([2]))
    }

    @Test func `no more requests wait than the bound allows`() throws {
        var node = try Node()
        try node.open(until: 1)
        for _ in 0..<VolumeLimits.requestsWaitingMax { _ = try node.ask(.flush) }
        #expect(try node.send(.leased(until: Instant(nanoseconds: 1))).isEmpty)
        #expect(try node.reply(to: .flush) == .refused(.overloaded))
    }

    @Test func `closing refuses all that waits, and the generation is never served again`() throws {
        var node = try Node(pending: 1)
        try node.open()
        _ = try node.ask(write(1))
        let flush = try node.ask(.flush).id
        let change = try node.ask(write(2)).id
        let old = try #require(node.generations[Node.sync])
        let effects = try node.send(.closed)
        #expect(effects.reply(to: flush) == .refused(.closed))
        #expect(effects.reply(to: change) == .refused(.closed))
        #expect(effects.contains(.ended(Node.sync, old)))
        #expect(effects.contains { if case .ended(Node.async, _) = $0 { true } else { false } })
        #expect(node.exports.core.pendingBytes == 0)

        try node.open()
        let (id, refusal) = try node.ask(readFirst, under: old)
        #expect(refusal.reply(to: id) == .refused(.closed))
        #expect(try node.reply(to: readFirst) == .data([0]))
        #expect(try #require(node.generations[Node.sync]) > old)
    }

    @Test func `a process that restarts in its epoch opens a generation it never gave out`() throws
    {
        var node = try Node()
        try node.open()
        let old = try #require(node.generations[Node.sync])
        var random = SeededRandom(seed: 1)
        var disk = node.exports.core.disk
        disk.crash(&random)
        node.exports = Exports(try VolumeCore(disk: disk))
        for (place, ruled) in node.log.enumerated() {
            let id = place == 0 ? Node.sync : Node.async
            let created = Ruling.created(
                id, name: "v\(id)", byteCount: Node.byteCount, isSync: true)
            _ = try node.send(.apply([Ruled(ruled, created)]))
        }
        try node.open()
        #expect(try #require(node.generations[Node.sync]) > old)
    }

    @Test func `a damaged file of openings is refused and not guessed`() throws {
        var node = try Node()
        try node.open()
        var disk = node.exports.core.disk
        let file = try #require(disk.names["volumes.opening"])
        disk.files[file].bytes[17] ^= 1
        #expect(throws: VolumeRecoveryRefused.damaged("volumes.opening")) {
            try VolumeCore(disk: disk)
        }
    }

    @Test func `draining refuses new requests, finishes those taken, and says so once`() throws {
        var node = try Node()
        try node.open()
        _ = try node.ask(write(1))
        let flush = try node.ask(.flush).id
        #expect(try node.send(.drain).isEmpty)
        #expect(try node.reply(to: readFirst) == .refused(.closed))
        let effects = try node.commit()
        #expect(effects.reply(to: flush) == .done)
        #expect(effects.filter { $0 == .drained }.count == 1)
        #expect(try node.send(.drain).isEmpty)
    }

    @Test func `draining a node with nothing to finish is done at once`() throws {
        var node = try Node()
        try node.open()
        #expect(try node.send(.drain) == [.drained])
    }

    @Test func `a volume made while acting opens at once, a deleted one ends first`() throws {
        var node = try Node()
        try node.open()
        _ = try node.commit(.created(VolumeID(9), name: "n", byteCount: 4_096, isSync: true))
        #expect(try node.reply(to: write(4), of: VolumeID(9)) == .done)
        let flush = try node.ask(.flush, of: VolumeID(9)).id
        let generation = try #require(node.generations[VolumeID(9)])
        let effects = try node.commit(.deleted(VolumeID(9)))
        #expect(effects.reply(to: flush) == .refused(.closed))
        #expect(effects.contains(.ended(VolumeID(9), generation)))
        #expect(try node.reply(to: readFirst, of: VolumeID(9)) == .refused(.unknownVolume))
        #expect(!node.exports.core.list.contains { $0.id == VolumeID(9) })
    }

    @Test func `a node that does not act opens nothing and refuses`() throws {
        var node = try Node()
        #expect(try node.reply(to: readFirst) == .refused(.closed))
        #expect(node.generations.isEmpty)
    }

    @Test func `entries that the decisions refused, and those of no epoch, write nothing`() throws {
        var node = try Node()
        try node.open()
        let draft = try node.ask(write(8)).effects.drafts[0]
        _ = try node.send(.closed)
        let position = { Position(index: LogIndex($0), term: Term(1)) }
        let refused = draft.sealed(at: position(3), group: GroupID(1), time: .zero)
        _ = try node.send(.apply([Ruled(refused, .nothing)]))
        let payload = Array(refused.payload)
        let nobodys = Draft(.write, epoch: .zero, payload: payload).sealed(
            at: position(4), group: GroupID(1), time: .zero)
        #expect(
            try node.send(.apply([Ruled(nobodys, .accepted)]))
                == [.refused(LogIndex(4), .staleEpoch(.zero)), .applied(LogIndex(4))])
        #expect(try node.exports.readCommitted(Node.sync, at: 0, count: 1).get() == [0])
    }

    @Test func `entries applied before are passed over`() throws {
        var node = try Node()
        _ = try node.commit(.deleted(Node.async))
        let again = Ruled(
            node.log[1], .created(Node.async, name: "a", byteCount: 4_096, isSync: true))
        #expect(try node.send(.apply([again])) == [.applied(LogIndex(2))])
        #expect(node.exports.core.list.map(\.id) == [Node.sync])
    }

    @Test func `a connection that went away gets no replies, and its answered writes stay`() throws
    {
        var node = try Node(pending: 1)
        try node.open()
        _ = try node.ask(write(1), by: 1)
        let (own, other) = (try node.ask(.flush, by: 1).id, try node.ask(.flush, by: 2).id)
        let queued = try node.ask(write(2), by: 1).id
        _ = try node.send(.cancelled(ConnectionID(1)))
        let effects = try node.commit()
        #expect(effects.reply(to: own) == nil)
        #expect(effects.reply(to: queued) == nil)
        #expect(effects.reply(to: other) == .done)
        #expect(try node.reply(to: readFirst) == .data([1]))
    }

    @Test func `lost drafts are proposed again in order, and stale tidings of them ignored`() throws
    {
        var node = try Node()
        try node.open()
        for byte: UInt8 in 1...3 { _ = try node.ask(write(byte), of: Node.async) }
        let flush = try node.ask(.flush, of: Node.async).id
        let (first, round) = (node.proposed, node.round)
        let again = try node.send(.lost)
        #expect(again.drafts == first)
        #expect(
            try node.send(.proposed(first: LogIndex(3), count: 3, round: round)).isEmpty)
        #expect(try node.send(.durable(through: LogIndex(5))).reply(to: flush) == nil)
        _ = try node.send(.durable(through: LogIndex(2)))
        node.proposed = first + again.drafts
        // Both rounds commit after all: each write counts once.
        let effects = try node.commit()
        #expect(effects.reply(to: flush) == .done)
        #expect(node.exports.core.pendingBytes == 0)
        #expect(try node.reply(to: readFirst, of: Node.async) == .data([3]))
    }

    @Test func `whether a volume is sync survives a checkpoint`() throws {
        var node = try Node()
        #expect(try node.send(.checkpoint) == [.checkpointed(LogIndex(2))])
        let list = try VolumeCore(disk: node.exports.core.disk).list
        #expect(list.map(\.isSync) == [true, false])
    }

    @Test func `a slice folded leaves less for the checkpoint and changes no byte`() throws {
        var node = try Node(pending: 8 << 20, byteCount: 3 << 20)
        try node.open()
        let data = [UInt8](repeating: 3, count: 2 << 20)
        _ = try node.ask(.write(offset: 7, data, isDurable: false))
        _ = try node.commit()
        let before = node.exports.core.overlayBytes
        _ = try node.send(.fold)
        let moved = before - node.exports.core.overlayBytes
        #expect((1...2 << 20).contains(moved))
        let isSame = try node.reply(to: .read(offset: 7, byteCount: data.count)) == .data(data)
        #expect(isSame)
    }
}
