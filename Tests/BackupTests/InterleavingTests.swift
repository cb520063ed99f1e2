@testable import Backup
import Dispatch
import Foundation
import Mesh
import NIOConcurrencyHelpers
import Repository
import Sealing
import Testing

/// Lets two who use one store take turns, operation by operation, as a schedule says.
final class Turns: Sendable {
    private struct State: Sendable {
        /// How many operations whoever has the turn may do before the other one has it; behind the last one it
        /// goes on to its end.
        var left: [Int]
        var used = 0
        var isOver = [false, false]
    }
    /// Whose turn it is.
    private let turn: ConditionLock<Int>
    private let state: NIOLockedValueBox<State>

    init(first: Int, _ schedule: [Int]) {
        turn = ConditionLock(value: first)
        state = NIOLockedValueBox(State(left: schedule))
    }

    func take(_ own: Int) { turn.lock(whenValue: own) }

    func pass(_ own: Int) {
        let next = state.withLockedValue { state in
            state.used += 1
            guard let most = state.left.first, state.used >= most, !state.isOver[1 - own] else {
                return own
            }
            state.left.removeFirst()
            state.used = 0
            return 1 - own
        }
        turn.unlock(withValue: next)
    }

    func end(_ own: Int) {
        take(own)
        state.withLockedValue { state in
            state.isOver[own] = true
            state.used = 0
        }
        turn.unlock(withValue: 1 - own)
    }
}

/// A store whose user takes turns with another one, and may be blind to something.
private struct TurnStore: ObjectStore {
    let store: MemoryStore
    let turns: Turns
    let own: Int
    /// Of what it sees nothing from the first or the second list on.
    var blind: (words: String, from: Int)?
    let lists = NIOLockedValueBox(0)

    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome {
        turns.take(own)
        defer { turns.pass(own) }
        return try store.put(name, bytes)
    }
    func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8] {
        turns.take(own)
        defer { turns.pass(own) }
        if let blind, name.text.contains(blind.words), name.text.hasSuffix("-1") {
            throw ObjectStoreFailure("read", name.text, in: "memory", .missing)
        }
        return try store.get(name, range)
    }
    func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        turns.take(own)
        defer { turns.pass(own) }
        var listing = try store.list(part)
        guard let blind, part?.text.hasSuffix(blind.words) == true else { return listing }
        let count = lists.withLockedValue { count in
            count += 1
            return count
        }
        if count >= blind.from { listing.objects = [] }
        return listing
    }
    func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
        turns.take(own)
        defer { turns.pass(own) }
        return try store.delete(name)
    }
    func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {}
    func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {}
    func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }
}

@Suite("A writer and a collector in every order", .serialized) struct InterleavingTests {
    private static let (writer, collector) = (0, 1)

    /// What one of the two does not see: a planted bug.
    private enum Bug: CaseIterable {
        /// The writer counts on what has a tombstone.
        case countsOnTombstones
        /// Whoever collects deletes at once, without waiting for writers.
        case deletesAtOnce
    }

    private struct Outcome {
        var isWhole = true
        var isMade = false
        var isSwept = false
    }

    /// The first of two backups goes, and is made again meanwhile.
    private static func play(
        _ before: [ObjectName: [UInt8]], first: Int, _ schedule: [Int], _ bug: Bug? = nil
    ) throws -> Outcome {
        let store = MemoryStore(before)
        let turns = Turns(first: first, schedule)
        let writing = TurnStore(
            store: store, turns: turns, own: writer,
            blind: bug == .countsOnTombstones ? ("/collections", 2) : nil)
        let collecting = TurnStore(
            store: store, turns: turns, own: collector,
            blind: bug == .deletesAtOnce ? ("/sessions", 1) : nil)
        let outcome = NIOLockedValueBox(Outcome())
        let group = DispatchGroup()
        let queue = DispatchQueue(label: "interleaving", attributes: .concurrent)
        let volume = try Pruning.volume("a")
        let vaults = try [writing, collecting].map { store in
            try Vault(Unturned(store: store), ring: Rig.ring(), limits: Rig.small)
        }
        let policy = try Pruning.newestOnly()
        queue.async(group: group) {
            let made = try? Rig.back(
                up: volume, vaults[writer], threads: 1, time: Pruning.start + 9 * Pruning.day)
            outcome.withLockedValue { $0.isMade = made != nil }
            turns.end(writer)
        }
        queue.async(group: group) {
            let pruned = try? Collector(
                vaults[collector], policy, now: WallTime(Pruning.start + 100 * Pruning.day)
            ).prune()
            outcome.withLockedValue { $0.isSwept = pruned?.swept.isEmpty == false }
            turns.end(collector)
        }
        group.wait()
        var result = outcome.withLockedValue { $0 }
        result.isWhole = isWhole(store, isMade: result.isMade)
        return result
    }

    /// Every backup comes back that there is, now and after another collection, and what was made is there.
    private static func isWhole(_ store: MemoryStore, isMade: Bool) -> Bool {
        do {
            let rig = Pruning(store)
            for _ in 0..<2 {
                let vault = try rig.vault()
                let numbers = try Manifests(vault).numbers()
                guard let last = numbers.last, last == (isMade ? 3 : 2) else { return false }
                for number in numbers {
                    let manifest = try Manifests(vault).manifest(number).manifest
                    let wanted = try Pruning.volume(number == 2 ? "b" : "a").contents
                    let target = MemoryTarget(manifest.volumes[0].map.shape.byteCount)
                    try BackupReader(vault, threads: 1).restore(
                        manifest.volumes[0].map, to: target)
                    guard target.contents == wanted else { return false }
                }
                _ = try rig.prune()
            }
            return true
        } catch { return false }
    }

    private static func base() throws -> [ObjectName: [UInt8]] {
        let rig = Pruning()
        try rig.backUp("ab")
        return rig.store.objects
    }

    /// How many operations each of them has alone.
    private static func lengths(_ before: [ObjectName: [UInt8]]) throws -> (
        writer: Int, collector: Int
    ) {
        var lengths = (0, 0)
        for own in [writer, collector] {
            let store = CountingStore(store: MemoryStore(before))
            let rig = Pruning(store.store)
            let vault = try Vault(store, ring: Rig.ring(), limits: Rig.small)
            if own == writer {
                _ = try Rig.back(up: Pruning.volume("a"), vault, threads: 1)
                lengths.0 = store.count.withLockedValue { $0 }
            } else {
                _ = try rig.collector(store).prune()
                lengths.1 = store.count.withLockedValue { $0 }
            }
        }
        return lengths
    }

    /// Orders in which the turn changes twice, from either one on, and some in which it changes oftener: a part of
    /// them unless HOLDFAST_ORDERS says `all`.
    private static func schedules(
        _ lengths: (writer: Int, collector: Int)
    ) -> [(first: Int, schedule: [Int])] {
        var schedules: [(first: Int, schedule: [Int])] = []
        for own in 1...lengths.writer {
            for other in 1...lengths.collector {
                schedules.append((writer, [own, other]))
                schedules.append((collector, [other, own]))
            }
        }
        var random = SeededRandom(seed: 13)
        for _ in 0..<500 {
            let schedule = (0..<6).map { _ in Int.random(in: 1...20, using: &random) }
            schedules.append((Int.random(in: 0...1, using: &random), schedule))
        }
        return schedules
    }

    private static let step =
        ProcessInfo.processInfo.environment["HOLDFAST_ORDERS"] == "all" ? 1 : 61

    /// Those who wait for their turn must hold up no thread that other tests need.
    private static func apart<T: Sendable>(
        _ body: @escaping @Sendable () throws -> T
    ) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "interleavings").async {
                continuation.resume(with: Result { try body() })
            }
        }
    }

    @Test func `whatever the order, no backup loses anything`() async throws {
        try await Self.apart { try Self.playAll() }
    }

    private static func playAll() throws {
        let before = try base()
        let lengths = try lengths(before)
        #expect(lengths.writer > 20 && lengths.collector > 20)
        var (made, swept, both) = (0, 0, 0)
        let all = schedules(lengths)
        let schedules = stride(from: 0, to: all.count, by: step).map { all[$0] }
        for (first, schedule) in schedules {
            let outcome = try play(before, first: first, schedule)
            #expect(outcome.isWhole, "\(first) \(schedule)")
            made += outcome.isMade ? 1 : 0
            swept += outcome.isSwept ? 1 : 0
            both += outcome.isMade && outcome.isSwept ? 1 : 0
        }
        print(
            "interleavings: {\"orders\":\(schedules.count),\"made\":\(made),\"swept\":\(swept),\"both\":\(both)}"
        )
        // No backup fails because of a collection, and collections don't always wait.
        #expect(made == schedules.count && both > schedules.count / 100)
    }

    @Test(arguments: Bug.allCases)
    private func `a planted bug is found`(bug: Bug) async throws {
        let found = try await Self.apart {
            let before = try Self.base()
            let all = try Self.schedules(Self.lengths(before))
            return try stride(from: 0, to: all.count, by: 7).contains { at in
                try !Self.play(before, first: all[at].first, all[at].schedule, bug).isWhole
            }
        }
        #expect(found, "\(bug)")
    }
}

/// Opening a vault is no turn.
private struct Unturned: ObjectStore {
    let store: TurnStore

    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome {
        try store.put(name, bytes)
    }
    func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8] {
        name == Layout.repository
            ? try store.store.get(name, range) : try store.get(name, range)
    }
    func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        try store.list(part)
    }
    func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool { try store.delete(name) }
    func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {}
    func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {}
    func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }
}

private struct CountingStore: ObjectStore {
    let store: MemoryStore
    let count = NIOLockedValueBox(0)
    private func step() { count.withLockedValue { $0 += 1 } }

    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome {
        step()
        return try store.put(name, bytes)
    }
    func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8] {
        step()
        return try store.get(name, range)
    }
    func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        step()
        return try store.list(part)
    }
    func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
        step()
        return try store.delete(name)
    }
    func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {}
    func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {}
    func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }
}
