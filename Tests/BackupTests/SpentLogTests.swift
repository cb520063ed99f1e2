import Mesh
import Record
import Repository
import Retention
import Sealing
import Testing

@testable import Backup

@Suite("The log that is let go of") struct SpentLogTests {
    private static let day: UInt64 = 86_400_000_000_000
    private let store = MemoryStore()
    private let log = HeldLog()
    private let vault: Vault
    private let archive: LogArchive

    /// Ten stretches of ten entries each.
    init() throws {
        let vault = try Rig.vault(store)
        let archive = LogArchive(vault, cluster: ClusterID(high: 1, low: 2), group: GroupID(1))
        let shipping = LogShipping(log) { () throws(BackupFailure) in archive }
        for _ in 0..<10 {
            log.commit(10)
            shipping.turn()
        }
        (self.vault, self.archive) = (vault, archive)
        #expect(try archive.firsts().count == 10)
    }

    /// A backup as of that entry, made on that day.
    private func backUp(_ index: UInt64, day: UInt64) throws {
        let position = Position(index: LogIndex(index), term: Term(1))
        _ = try Manifests(vault).commit { former in
            Manifest(
                after: former, kind: .full, consistency: .crash,
                cluster: ClusterID(high: 1, low: 2), group: GroupID(1), position: position,
                epoch: Epoch(1), time: Pruning.start + day * Self.day, volumes: [], state: [])
        }
    }

    private func prune(days: Int, _ store: (any ObjectStore)? = nil) throws -> Collector.Pruned {
        var policy = RetentionPolicy()
        policy.logDays = days
        let now = WallTime(Pruning.start + 1_000 * Self.day)
        return try Collector(try Rig.vault(store ?? self.store), policy, now: now).prune()
    }

    private var firsts: [UInt64] { get throws { try archive.firsts().map(\.rawValue) } }

    @Test func `what lies before the newest backup that is old enough goes, and no more`() throws {
        for (index, day) in [(15, 0), (34, 10), (38, 20), (97, 40)] as [(UInt64, UInt64)] {
            try backUp(index, day: day)
        }
        #expect(try prune(days: 41).spentCount == 0)
        #expect(try prune(days: 25).spentCount == 3)
        // From the backup as of 34 on every moment can still be had.
        #expect(try firsts == [31, 41, 51, 61, 71, 81, 91])
        var stretches = try archive.stretches(
            behind: Position(index: LogIndex(34), term: Term(1)),
            at: log.now.entries[33].time, epoch: .first)
        #expect(try stretches.next()?.first?.index == LogIndex(35))
    }

    @Test func `who asks for a moment of what went is told so`() throws {
        try backUp(15, day: 0)
        try backUp(45, day: 10)
        try backUp(97, day: 41)
        _ = try prune(days: 30)
        var stretches = try archive.stretches(
            behind: Position(index: LogIndex(15), term: Term(1)),
            at: log.now.entries[14].time, epoch: .first)
        let failure = #expect(throws: BackupFailure.self) { _ = try stretches.next() }
        #expect(failure?.description.contains("was let go of") == true)
    }

    @Test func `while no backup is old enough nothing goes`() throws {
        #expect(try prune(days: 0).spentCount == 0)
        try backUp(97, day: 0)
        #expect(try prune(days: 1).spentCount == 0)
    }

    @Test func `the last stretch stays: whoever ships goes on from it`() throws {
        try backUp(100, day: 0)
        #expect(try prune(days: 0).spentCount == 9)
        #expect(try firsts == [91])
        let shipping = LogShipping(log) { () throws(BackupFailure) in archive }
        log.commit(3)
        shipping.turn()
        #expect(try firsts == [91, 101] && shipping.standing.breaks == 0)
    }

    @Test func `wherever it is killed, what is left goes on to the newest`() throws {
        try backUp(97, day: 0)
        for count in 0..<9 {
            let copy = MemoryStore(store.objects)
            let vault = try Rig.vault(copy)
            copy.stop(afterPuts: count)
            var policy = RetentionPolicy()
            policy.logDays = 0
            let now = WallTime(Pruning.start)
            #expect(throws: BackupFailure.self) { try Collector(vault, policy, now: now).prune() }
            copy.stop(afterPuts: .max)
            let left = try LogArchive(vault, cluster: ClusterID(high: 1, low: 2), group: GroupID(1))
                .firsts().map(\.rawValue)
            #expect(left == (UInt64(count)..<10).map { $0 * 10 + 1 })
        }
    }

    @Test func `a clock that jumped ahead lets nothing go`() throws {
        try backUp(15, day: 0)
        try backUp(45, day: 1)
        // Ahead by a year, as the leader had it; the one who prunes knows no better.
        try backUp(97, day: 366)
        #expect(try prune(days: 30).spentCount == 0)
    }
}
