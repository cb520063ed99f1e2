import Copies
import Mesh
import NIOConcurrencyHelpers
import Record
import Repository
import Sealing
import Testing

@testable import Backup

/// A node's log, of which a test says what is committed.
final class HeldLog: ShippedLog {
    struct State: Sendable {
        var base = Position.zero
        var entries: [Entry] = []
        var committed: LogIndex?
    }
    private let state = NIOLockedValueBox(State())
    func change(_ body: (inout State) -> Void) { state.withLockedValue { body(&$0) } }
    var now: State { state.withLockedValue { $0 } }

    func committed() -> LogIndex? { now.committed }
    func base() throws(BackupFailure) -> Position { now.base }
    func entries(
        from first: LogIndex, through last: LogIndex, bytesMax: Int
    ) throws(BackupFailure) -> [Entry] {
        let state = now
        guard first > state.base.index else { return [] }
        var byteCount = 0
        return state.entries.filter { first...max(first, last) ~= $0.index }.prefix { entry in
            byteCount += entry.bytes.count
            return byteCount <= bytesMax || byteCount == entry.bytes.count
        }
    }

    /// One entry more, a tenth of a second behind the last.
    func append(_ kind: Entry.Kind = .write, term: UInt64 = 1, _ byteCount: Int = 100) {
        change { state in
            let last = state.entries.last
            let index = (last?.index ?? state.base.index).next
            let payload = [UInt8](
                repeating: UInt8(truncatingIfNeeded: index.rawValue), count: byteCount)
            state.entries.append(
                Draft(kind, epoch: Epoch(1), payload: kind == .blank ? [] : payload).sealed(
                    at: Position(index: index, term: Term(term)), group: GroupID(1),
                    time: WallTime((last?.time.rawValue ?? 0) + 100_000_000)))
        }
    }

    func commit(_ count: Int, _ kind: Entry.Kind = .write, term: UInt64 = 1) {
        for _ in 0..<count { append(kind, term: term) }
        change { $0.committed = $0.entries.last?.index }
    }

    /// The log begins behind that entry.
    func compact(_ index: UInt64) {
        change { state in
            state.base = state.entries.first { $0.index.rawValue == index }?.position ?? state.base
            state.entries.removeAll { $0.index.rawValue <= index }
        }
    }
}

@Suite("The archived log") struct LogArchiveTests {
    private let store = MemoryStore()
    private let log = HeldLog()
    private let vault: Vault
    private let archive: LogArchive

    init() throws {
        vault = try Rig.vault(store)
        archive = LogArchive(vault, cluster: ClusterID(high: 1, low: 2), group: GroupID(1))
    }

    private func shipping(_ log: HeldLog? = nil) -> LogShipping {
        LogShipping(log ?? self.log) { () throws(BackupFailure) in archive }
    }

    /// As a restore reads them on from a backup of that place.
    private func entries(
        behind index: UInt64 = 0, term: UInt64 = 0, time: UInt64? = nil, epoch: KeyEpoch = .first
    ) throws -> [Entry] {
        var stretches = try archive.stretches(
            behind: Position(index: LogIndex(index), term: Term(term)),
            at: WallTime(time ?? index * 100_000_000), epoch: epoch)
        var all: [Entry] = []
        while let next = try stretches.next() { all += next }
        return all
    }

    @Test func `what is committed is shipped, and nothing behind it`() throws {
        let shipping = shipping()
        log.commit(5)
        log.append()
        shipping.turn()
        #expect(try entries() == Array(log.now.entries.prefix(5)))
        #expect(shipping.standing.phase == .ships && shipping.standing.missing == .nothing)
        log.commit(3)
        shipping.turn()
        #expect(try entries() == log.now.entries)
        #expect(shipping.standing.end?.last == log.now.entries.last?.position)
        #expect(try archive.firsts() == [LogIndex(1), LogIndex(6)])
        // Nothing new is nothing to store.
        let puts = store.putCount
        shipping.turn()
        #expect(store.putCount == puts)
    }

    @Test func `only who acts ships, and the next one goes on where it ended`() throws {
        let (first, second) = (shipping(), shipping())
        log.commit(4)
        first.turn()
        log.append()
        log.change { $0.committed = nil }
        let puts = store.putCount
        first.turn()
        #expect(first.standing.phase == .standsBy && first.standing.end == nil)
        #expect(store.putCount == puts)
        log.commit(4, term: 2)
        second.turn()
        #expect(try entries() == log.now.entries)
        #expect(second.standing.breaks == 0)
    }

    @Test func `two that ship at once store each stretch once, and leave one chain`() throws {
        var random = SeededRandom(seed: 7)
        // One of them may know less of what is committed.
        let other = HeldLog()
        let both = [(log, shipping()), (other, shipping(other))]
        for _ in 0..<60 {
            log.commit(Int(random.next() % 4))
            let now = log.now
            let (at, known) = (Int(random.next() % 2), random.next() % 3)
            other.change {
                $0 = now
                $0.committed = now.committed.map { LogIndex($0.rawValue - min($0.rawValue, known)) }
            }
            both[at].1.turn()
        }
        for (_, shipping) in both { shipping.turn() }
        #expect(try entries() == log.now.entries)
        #expect(both.allSatisfy { $0.1.standing.phase == .ships })
    }

    @Test func `renewals alone are shipped once a minute`() throws {
        let shipping = shipping()
        log.commit(1)
        shipping.turn()
        log.commit(599, .blank)
        let puts = store.putCount
        shipping.turn()
        #expect(store.putCount == puts && shipping.standing.missing == .nothing)
        log.commit(1, .blank)
        shipping.turn()
        #expect(store.putCount == puts + 1)
        #expect(try entries() == log.now.entries)
    }

    @Test func `a store that fails is told of, with what is missing, and gone on with`() throws {
        let shipping = shipping()
        log.commit(2)
        shipping.turn()
        store.stop(afterPuts: 0)
        log.commit(3, .blank)
        log.commit(2)
        shipping.turn()
        guard case .fails(let why) = shipping.standing.phase else {
            Issue.record("it failed")
            return
        }
        #expect(why.contains("no room left"))
        #expect(shipping.standing.missing == .since(log.now.entries[5].time))
        store.stop(afterPuts: .max)
        // Two turns' rest behind the first failure.
        for _ in 0..<2 { shipping.turn() }
        guard case .fails = shipping.standing.phase else {
            Issue.record("it rests")
            return
        }
        shipping.turn()
        #expect(shipping.standing.phase == .ships && shipping.standing.missing == .nothing)
        #expect(try entries() == log.now.entries)
    }

    @Test func `what the log no longer held is a gap, which is named`() throws {
        let shipping = shipping()
        log.commit(3)
        shipping.turn()
        log.commit(6)
        log.compact(7)
        shipping.turn()
        #expect(shipping.standing.breaks == 1 && shipping.standing.phase == .ships)
        #expect(try entries(behind: 7, term: 1) == log.now.entries)
        #expect(try entries(behind: 9, term: 1).isEmpty)
        let failure = #expect(throws: BackupFailure.self) { try entries(behind: 1, term: 1) }
        #expect(failure?.description.contains("broken off behind entry 3") == true)
        #expect(throws: BackupFailure.self) { try entries(behind: 5, term: 1) }
    }

    @Test func `another log's entries are never taken for what comes next`() throws {
        let shipping = shipping()
        log.commit(4)
        shipping.turn()
        // The log was cut, and went on without them.
        log.change { $0.entries.removeLast(2) }
        log.change { $0.committed = $0.entries.last?.index }
        shipping.turn()
        #expect(try archive.firsts() == [LogIndex(1)])
        guard case .fails(let why) = shipping.standing.phase else {
            Issue.record("it says so")
            return
        }
        #expect(why.contains("the archived log ends at"))
        #expect(shipping.standing.missing == .since(log.now.entries[0].time))
        log.commit(4, term: 2)
        for _ in 0..<3 { shipping.turn() }
        #expect(shipping.standing.breaks == 1 && shipping.standing.phase == .ships)
        #expect(try entries(behind: 4, term: 2) == Array(log.now.entries.suffix(2)))
        #expect(throws: BackupFailure.self) { try entries(behind: 4, term: 1) }
        #expect(throws: BackupFailure.self) { try entries() }
    }

    @Test func `another log of the same terms is told by its times`() throws {
        let shipping = shipping()
        log.commit(4)
        shipping.turn()
        // Machines were put back, and the same term was come by again, later.
        log.change { state in
            state.entries.removeLast(2)
            state.entries[1] = Draft(.write, epoch: Epoch(1), payload: [1]).sealed(
                at: state.entries[1].position, group: GroupID(1), time: WallTime(777_000_000))
        }
        log.commit(3)
        shipping.turn()
        #expect(shipping.standing.breaks == 1)
        #expect(throws: BackupFailure.self) { try entries(behind: 2, term: 1, time: 777_000_000) }
        #expect(throws: BackupFailure.self) { try entries() }
    }

    @Test func `who writes on while it ships does not get ahead`() throws {
        let shipping = shipping()
        for _ in 0..<30 { log.append(.write, 900_000) }
        log.change { $0.committed = $0.entries.last?.index }
        shipping.turn()
        #expect(try archive.firsts().count > 5)
        #expect(try entries() == log.now.entries)
    }

    @Test func `a stretch that an earlier epoch's key sealed is none behind a later one's`() throws
    {
        let shipping = shipping()
        log.commit(2)
        shipping.turn()
        #expect(throws: BackupFailure.self) { try entries(epoch: KeyEpoch(2)) }
    }

    @Test func `two that begin anew at two places leave one that goes on`() throws {
        let shipping = shipping()
        log.commit(4)
        shipping.turn()
        log.commit(6)
        // A deposed one put these late, behind a base of its own.
        let own = log.now.entries
        _ = try archive.append(Array(own[7...8]), behind: own[6].position, after: nil)
        let end = try #require(
            try archive.append(Array(own[4...9]), behind: own[3].position, after: first()))
        log.commit(2)
        _ = try archive.append(
            Array(log.now.entries[10...11]), behind: end.last, after: end)
        #expect(try entries() == log.now.entries)
    }

    private func first() throws -> LogArchive.End {
        let object = try archive.stretch(LogIndex(1))
        return LogArchive.End(
            last: object.stretch.last, digest: object.digest, time: object.stretch.end)
    }

    @Test func `one goes on from the middle of a stretch, if it is of the same log`() throws {
        let shipping = shipping()
        log.commit(5)
        shipping.turn()
        #expect(try entries(behind: 2, term: 1) == Array(log.now.entries.suffix(3)))
        #expect(throws: BackupFailure.self) { try entries(behind: 2, term: 1, time: 5) }
        let failure = #expect(throws: BackupFailure.self) { try entries(behind: 2, term: 2) }
        #expect(failure?.description.contains("was cut") == true)
    }

    @Test func `while a store is away that has to have it too, nothing counts as shipped`() throws {
        let other = MemoryStore()
        try Vault.found(Rig.ring().repository, in: other)
        let here = store
        let both = CopiedStore(
            [here, other].map { store in
                CopiedStore.Copy("memory") { () throws(ObjectStoreFailure) in store }
            }, .copies(2))
        let vault = try Rig.vault(both)
        let own = LogArchive(vault, cluster: ClusterID(high: 1, low: 2), group: GroupID(1))
        let shipping = LogShipping(log) { () throws(BackupFailure) in own }
        other.stop(afterPuts: 0)
        log.commit(3)
        for _ in 0..<40 {
            shipping.turn()
            log.commit(1)
        }
        guard case .fails = shipping.standing.phase else {
            Issue.record("\(shipping.standing)")
            return
        }
        #expect(shipping.standing.missing == .since(log.now.entries[0].time))
        #expect(try archive.firsts() == [LogIndex(1)])
        other.stop(afterPuts: .max)
        for _ in 0..<40 { shipping.turn() }
        #expect(shipping.standing.phase == .ships && shipping.standing.missing == .nothing)
        let names = Set(here.objects.keys.filter { $0.text.contains("/log/") })
        #expect(names == Set(other.objects.keys.filter { $0.text.contains("/log/") }))
        #expect(try entries() == log.now.entries)
    }

    @Test func `a stretch under another's name is none`() throws {
        let shipping = shipping()
        for _ in 0..<2 {
            log.commit(2)
            shipping.turn()
        }
        let cluster = ClusterID(high: 1, low: 2)
        func name(_ first: UInt64) -> ObjectName {
            vault.layout.stretch(cluster, GroupID(1), first: LogIndex(first))
        }
        let (one, three) = (store.objects[name(1)], store.objects[name(3)])
        store.change(name(3)) { $0 = one }
        #expect(throws: BackupFailure.self) { try entries() }
        store.change(name(3)) { $0 = three }
        #expect(try entries().count == 4)
        // Another log's of the same places.
        let other = HeldLog()
        other.commit(1)
        other.append(.write, 101)
        let forged = try StretchObject(
            sealing: other.now.entries, behind: .zero, after: .ofNothing, cluster: cluster,
            in: vault.place, random: vault.draw())
        store.change(name(1)) { $0 = forged.bytes }
        #expect(throws: BackupFailure.self) { try entries() }
        // One that was taken out of the middle.
        store.change(name(1)) { $0 = nil }
        #expect(throws: BackupFailure.self) { try entries() }
    }
}
