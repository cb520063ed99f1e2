@testable import Backup
import Mesh
import NIOConcurrencyHelpers
import Repository
import Sealing
import Testing

/// A mesh's volumes, of which the test decides what they hold and what is known of them.
private final class Held: CutHolder {
    struct State: Sendable {
        var index: UInt64 = 10
        var term: UInt64 = 2
        var cluster = ClusterID(high: 1, low: 2)
        var volumes: [UInt64: [UInt8]] = [:]
        /// Changed since any earlier place; of others nobody knows.
        var changed: [UInt64: [Range<UInt64>]] = [:]
        /// Of volumes that have holes.
        var allocated: [UInt64: [Range<UInt64>]] = [:]
        var decisions: [UInt8] = [7]
        var since: LogIndex?
        var held = 0
        var readByteCount = 0
        /// How often it was asked, whatever for.
        var askedCount = 0
        var failsRead = false
    }
    private let state = NIOLockedValueBox(State())
    func change(_ body: (inout State) -> Void) { state.withLockedValue { body(&$0) } }
    var now: State { state.withLockedValue { $0 } }

    func begin(since: LogIndex?) throws(BackupFailure) -> HeldCut {
        state.withLockedValue { state in
            state.held += 1
            state.since = since
            return HeldCut(
                place: HeldCut.Place(
                    cluster: state.cluster, group: GroupID(1),
                    position: Position(index: LogIndex(state.index), term: Term(state.term)),
                    epoch: Epoch(3), time: WallTime(99)),
                state: state.decisions,
                volumes: state.volumes.sorted { $0.key < $1.key }.map { id, bytes in
                    HeldCut.Volume(
                        id: VolumeID(id), name: "v\(id)", isSync: true,
                        lastWrite: Manifest.WriteMark(generation: 4, number: state.index),
                        byteCount: UInt64(bytes.count),
                        allocated: state.allocated[id] ?? [0..<UInt64(bytes.count)],
                        changed: state.changed[id])
                })
        }
    }

    func read(_ volume: VolumeID, at offset: UInt64, count: Int) throws(BackupFailure) -> [UInt8] {
        let bytes = state.withLockedValue { state -> [UInt8]? in
            guard !state.failsRead else { return nil }
            state.readByteCount += count
            return state.volumes[volume.rawValue].map {
                Array($0[Int(offset)..<Int(offset) + count])
            }
        }
        guard let bytes else { throw .volume("it was overrun") }
        return bytes
    }

    func read(
        _ volume: VolumeID, _ parts: [Range<UInt64>]
    ) throws(BackupFailure) -> [[UInt8]] {
        state.withLockedValue { $0.askedCount += 1 }
        return try parts.map { part throws(BackupFailure) in
            try read(volume, at: part.lowerBound, count: part.count)
        }
    }

    func end() { state.withLockedValue { $0.held -= 1 } }
}

extension AccountStanding {
    fileprivate var words: String {
        switch self {
        case .untried: "untried"
        case .right: "right"
        case .wrong(let changes): "wrong: \(changes)"
        case .unknown(let failure): "unknown: \(failure)"
        }
    }
}

@Suite("A backup from cut to manifest") struct BackupRunTests {
    private let store = MemoryStore()
    private let held = Held()

    private static func bytes(_ seed: UInt64, _ count: Int) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private func make(
        _ vault: Vault, full: Bool = false, threads: Int = 2
    ) throws -> (made: ManifestObject, progress: BackupRun.Progress) {
        let run = BackupRun(vault, held, by: "node", threads: threads)
        let made = try run.make(isFull: full, at: .zero)
        #expect(held.now.held == 0)
        return (made, run.progress)
    }

    private func check(_ manifest: Manifest, _ vault: Vault) throws {
        let reader = try BackupReader(vault, threads: 2)
        #expect(try reader.bytes(manifest.state) == held.now.decisions)
        #expect(manifest.volumes.map(\.id.rawValue) == held.now.volumes.keys.sorted())
        for volume in manifest.volumes {
            let target = MemoryTarget(volume.map.shape.byteCount)
            try reader.restore(volume.map, to: target)
            #expect(target.contents == held.now.volumes[volume.id.rawValue])
        }
    }

    @Test func `the first is full, and the next reads what changed`() throws {
        let vault = try Rig.vault(store)
        // Its end lies within a cell.
        held.change {
            $0.volumes = [1: Self.bytes(1, 200_000), 4: Self.bytes(2, 65_536)]
        }
        let (first, _) = try make(vault)
        #expect(first.manifest.kind == .full && held.now.since == nil)
        #expect(first.manifest.position == Position(index: LogIndex(10), term: Term(2)))
        #expect(first.manifest.epoch == Epoch(3) && first.manifest.time == 99)
        try check(first.manifest, vault)
        held.change {
            $0.index = 20
            $0.decisions = [8, 8]
            $0.readByteCount = 0
            $0.askedCount = 0
            $0.volumes[1]?[199_999] ^= 1
            $0.volumes[1]?[40_000] ^= 1
            $0.changed = [1: [40_000..<40_001, 199_999..<200_000], 4: []]
        }
        let (second, progress) = try make(vault)
        #expect(second.manifest.kind == .incremental && second.manifest.sequence == 2)
        #expect(held.now.since == LogIndex(10))
        // Two cells at once, of which the last is cut off.
        #expect(held.now.askedCount == 1)
        #expect(held.now.readByteCount == 16_384 + 200_000 % 16_384)
        #expect(progress.wantedByteCount == 2 * 16_384 && progress.phase == .committing)
        #expect(progress.readByteCount == 2 * 16_384)
        try check(second.manifest, vault)
        let (whole, _) = try make(vault, full: true)
        #expect(whole.manifest.kind == .full && held.now.since == LogIndex(20))
        try check(whole.manifest, vault)
    }

    /// Whoever tells what changed may err: a full backup reads everything, and finds it out.
    @Test func `a full backup finds what the account of changes missed`() throws {
        let vault = try Rig.vault(store)
        held.change { $0.volumes = [1: Self.bytes(1, 200_000), 2: Self.bytes(2, 65_536)] }
        let first = BackupRun(vault, held, by: "node", threads: 2)
        _ = try first.make(isFull: true, at: .zero)
        #expect(first.account.words == "untried")
        held.change {
            $0.index = 20
            $0.volumes[1]?[40_000] ^= 1
            $0.volumes[1]?[199_999] ^= 1
            $0.volumes[1]? += [UInt8](repeating: 0, count: 100_000)
            $0.changed = [1: [40_000..<40_001, 199_999..<200_000], 2: []]
        }
        let right = BackupRun(vault, held, by: "node", threads: 2)
        _ = try right.make(isFull: true, at: .zero)
        #expect(right.account.words == "right")
        held.change {
            $0.index = 30
            $0.volumes[1]?[100_000] ^= 1
            $0.volumes[1]?[250_000] = 9
            $0.changed = [1: [250_000..<250_001], 2: []]
        }
        let wrong = BackupRun(vault, held, by: "node", threads: 2)
        let made = try wrong.make(isFull: true, at: .zero)
        let untold = UntoldChange(volume: "v1", ranges: [98_304..<114_688], since: 2)
        #expect(wrong.account.words == "wrong: [\(untold)]")
        #expect(
            "\(untold)".contains("volume v1 differs from backup 2 in 16384 bytes, first at 98304"))
        // What it holds is right all the same.
        try check(made.manifest, vault)
    }

    /// Nobody is told that an earlier fault is over by a comparison that was none.
    @Test func `where nobody knows what changed nothing is compared, and that is said`() throws {
        let vault = try Rig.vault(store)
        held.change { $0.volumes = [1: Self.bytes(1, 65_536)] }
        _ = try make(vault)
        held.change {
            $0.index = 20
            $0.volumes[1]?[0] ^= 1
        }
        let run = BackupRun(vault, held, by: "node", threads: 2)
        _ = try run.make(isFull: true, at: .zero)
        #expect(run.account.words == "untried")
    }

    @Test func `zeros that another member has as a hole are no change`() throws {
        let vault = try Rig.vault(store)
        held.change {
            $0.volumes = [1: Self.bytes(1, 65_536) + [UInt8](repeating: 0, count: 65_536)]
        }
        _ = try make(vault)
        held.change {
            $0.index = 20
            $0.changed = [1: []]
            $0.allocated = [1: [0..<65_536]]
        }
        let run = BackupRun(vault, held, by: "node", threads: 2)
        let made = try run.make(isFull: true, at: .zero)
        #expect(run.account.words == "right")
        try check(made.manifest, vault)
    }

    @Test func `a volume of which nobody knows what changed is read whole`() throws {
        let vault = try Rig.vault(store)
        held.change { $0.volumes = [1: Self.bytes(1, 65_536), 2: Self.bytes(2, 65_536)] }
        _ = try make(vault)
        held.change {
            $0.index = 11
            $0.readByteCount = 0
            $0.volumes[1]?[0] ^= 1
            $0.volumes[3] = Self.bytes(3, 32_768)
            $0.volumes[2] = nil
        }
        let (made, _) = try make(vault)
        #expect(held.now.readByteCount == 65_536 + 32_768)
        // Nothing was taken from an earlier one.
        #expect(made.manifest.kind == .full)
        try check(made.manifest, vault)
    }

    @Test func `another mesh's backups are no ground to go on from`() throws {
        let vault = try Rig.vault(store)
        held.change { $0.volumes = [1: Self.bytes(1, 65_536)] }
        _ = try make(vault)
        held.change {
            $0.cluster = ClusterID(high: 1, low: 3)
            $0.index = 4
            $0.volumes[1] = Self.bytes(9, 65_536)
            $0.changed = [1: []]
        }
        let (made, _) = try make(vault)
        #expect(made.manifest.kind == .full && made.manifest.sequence == 2)
        try check(made.manifest, vault)
    }

    @Test func `a log that was cut since is no ground to go on from`() throws {
        let vault = try Rig.vault(store)
        held.change { $0.volumes = [1: Self.bytes(1, 65_536)] }
        _ = try make(vault)
        held.change {
            ($0.index, $0.term) = (9, 3)
            $0.volumes[1] = Self.bytes(9, 65_536)
            $0.changed = [1: []]
        }
        let (made, _) = try make(vault)
        #expect(made.manifest.kind == .full && made.manifest.sequence == 2)
        try check(made.manifest, vault)
    }

    @Test func `a replica that has not come so far makes no backup`() throws {
        let vault = try Rig.vault(store)
        held.change { $0.volumes = [1: Self.bytes(1, 65_536)] }
        _ = try make(vault)
        held.change { $0.index = 9 }
        #expect(throws: BackupFailure.self) { try self.make(vault) }
        #expect(held.now.held == 0)
        #expect(try Manifests(vault).numbers() == [1])
    }

    @Test
    func `one that fails leaves no backup and lets go of the volumes, and the next one goes on`()
        throws
    {
        let vault = try Rig.vault(store, Rig.small)
        held.change { $0.volumes = [1: Self.bytes(1, 1 << 20)] }
        held.change { $0.failsRead = true }
        #expect(throws: BackupFailure.self) { try self.make(vault) }
        held.change { $0.failsRead = false }
        let other = MemoryStore()
        // One thread: of two either may come to its index first.
        let whole = BackupRun(
            try Rig.vault(other, Rig.small), held, by: "node", threads: 1)
        _ = try whole.make(isFull: true, at: .zero)
        // Most of it is stored, an index tells of some of that, and there is no manifest.
        store.stop(afterPuts: other.putCount * 3 / 4)
        #expect(throws: BackupFailure.self) { try self.make(vault, threads: 1) }
        #expect(try store.list(vault.layout.indexes).objects.count == 1)
        #expect(held.now.held == 0)
        #expect(try Manifests(vault).numbers().isEmpty)
        store.stop(afterPuts: .max)
        let (made, progress) = try make(vault, threads: 1)
        #expect(progress.storedByteCount < whole.progress.storedByteCount)
        try check(made.manifest, vault)
    }

    @Test func `what lies scattered is asked for together, up to the length of one read`() {
        let plan = CellPlan(
            wanted: [0..<1, 3..<5, 9..<10, 12..<30], allocated: [0..<20], cellsPerPart: 256,
            cellsPerRead: 4)
        // Reads begin anew at multiples of their length, so that what is next to each other is read in one piece.
        #expect(
            plan.batches(of: 0) == [
                [.read(0..<1), .read(3..<4), .read(4..<5), .read(9..<10)], [.read(12..<16)],
                [.read(16..<20), .hole(20..<30)],
            ])
        #expect(plan.batches(of: 0).flatMap(\.self) == plan.steps(of: 0))
        #expect(plan.batches(of: 1).isEmpty)
    }

    @Test func `cells that ranges of bytes lie in`() throws {
        let shape = try #require(VolumeShape(byteCount: 100_000, cellByteCount: 16_384))
        #expect(shape.cells(over: []) == [])
        #expect(shape.cells(over: [0..<1]) == [0..<1])
        #expect(shape.cells(over: [0..<16_384, 16_384..<16_385]) == [0..<2])
        #expect(shape.cells(over: [5..<6, 7..<8, 40_000..<70_000]) == [0..<1, 2..<5])
        // Behind the end there is nothing.
        #expect(shape.cells(over: [99_999..<1_000_000]) == [6..<7])
        #expect(shape.cells(over: [100_000..<100_001, 7..<7]) == [])
    }
}
