@testable import Backup
import Mesh
import NIOConcurrencyHelpers
import Record
import Repository
import Sealing
import Testing

/// Objects in memory. It can be told to change nothing any more, as a store does that goes away.
final class MemoryStore: ObjectStore {
    private struct State: Sendable {
        var objects: [ObjectName: [UInt8]] = [:]
        var putsLeft = Int.max
        var putCount = 0
        var readByteCount = 0
    }
    private let state = NIOLockedValueBox(State())

    init() {}
    init(_ objects: [ObjectName: [UInt8]]) { state.withLockedValue { $0.objects = objects } }

    var objects: [ObjectName: [UInt8]] { state.withLockedValue { $0.objects } }
    var byteCount: Int { objects.values.reduce(0) { $0 + $1.count } }
    var putCount: Int { state.withLockedValue { $0.putCount } }
    var readByteCount: Int { state.withLockedValue { $0.readByteCount } }
    func stop(afterPuts count: Int) { state.withLockedValue { $0.putsLeft = count } }
    func change(_ name: ObjectName, _ body: (inout [UInt8]?) -> Void) {
        state.withLockedValue { body(&$0.objects[name]) }
    }

    private static func failure(
        _ deed: String, _ name: ObjectName, _ cause: ObjectStoreFailure.Cause
    ) -> ObjectStoreFailure { ObjectStoreFailure(deed, name.text, in: "memory", cause) }

    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome {
        let outcome = state.withLockedValue { state -> Result<PutOutcome, ObjectStoreFailure> in
            guard state.putsLeft > 0 else { return .failure(Self.failure("store", name, .full)) }
            state.putsLeft -= 1
            state.putCount += 1
            if let held = state.objects[name] {
                return held == bytes
                    ? .success(.wasThere) : .failure(Self.failure("store", name, .taken))
            }
            state.objects[name] = bytes
            return .success(.stored)
        }
        return try outcome.get()
    }

    func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8] {
        guard let bytes = objects[name] else { throw Self.failure("read", name, .missing) }
        let range = range ?? bytes.indices
        guard range.upperBound <= bytes.count else {
            throw Self.failure("read", name, .short(wanted: range.upperBound, have: bytes.count))
        }
        state.withLockedValue { $0.readByteCount += range.count }
        return Array(bytes[range])
    }

    func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        var listing = ObjectListing()
        let begin = part.map { $0.text + "/" } ?? ""
        for (name, bytes) in objects.sorted(by: { $0.key < $1.key })
        where name.text.hasPrefix(begin) {
            listing.objects.append(.init(name: name, byteCount: bytes.count))
        }
        return listing
    }

    func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
        let outcome = state.withLockedValue { state -> Result<Bool, ObjectStoreFailure> in
            guard state.putsLeft > 0 else {
                return .failure(Self.failure("delete", name, .storeGone))
            }
            state.putsLeft -= 1
            state.putCount += 1
            return .success(state.objects.removeValue(forKey: name) != nil)
        }
        return try outcome.get()
    }

    func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {
        guard state.withLockedValue({ $0.putsLeft > 0 }) else {
            throw Self.failure("replace", name, .full)
        }
        change(name) { $0 = bytes }
    }

    func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) { _ = try delete(name) }
    func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }
}

/// A volume in memory, with the cells that it was told to have.
struct MemoryVolume: CellSource {
    let shape: VolumeShape
    /// By cell; what is not there is a hole.
    var cells: [UInt64: [UInt8]] = [:]

    init(_ byteCount: UInt64, cell: UInt64 = 4_096) throws {
        shape = try #require(VolumeShape(byteCount: byteCount, cellByteCount: cell))
    }

    init(_ shape: VolumeShape, _ cells: [UInt64: [UInt8]]) {
        (self.shape, self.cells) = (shape, cells)
    }

    var allocated: [Range<UInt64>] { Self.ranges(cells.keys) }

    static func ranges(_ cells: some Sequence<UInt64>) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        for cell in cells.sorted() {
            if let last = ranges.last, last.upperBound == cell {
                ranges[ranges.count - 1] = last.lowerBound..<cell + 1
            } else {
                ranges.append(cell..<cell + 1)
            }
        }
        return ranges
    }

    func read(_ wanted: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
        let size = Int(shape.cellByteCount)
        return wanted.flatMap { cells[$0] ?? [UInt8](repeating: 0, count: size) }
    }

    /// Of so many kinds of cells, so that many are alike.
    mutating func fill(_ count: Int, kinds: Int, _ random: inout SeededRandom) {
        let size = Int(shape.cellByteCount)
        for _ in 0..<count {
            let cell = random.next() % shape.cellCount
            // A cell that the volume's end cuts has zeros behind it.
            let left = shape.byteCount - cell * shape.cellByteCount
            let own = min(size, Int(min(left, UInt64(size))))
            let kind = UInt64.random(in: 0..<UInt64(kinds), using: &random)
            var bytes = Self.content(kind, own)
            bytes += [UInt8](repeating: 0, count: size - own)
            cells[cell] = bytes
        }
    }

    /// Kind 0 is zeros; every third one shrinks.
    static func content(_ kind: UInt64, _ count: Int) -> [UInt8] {
        if kind == 0 { return [UInt8](repeating: 0, count: count) }
        var random = SeededRandom(seed: kind)
        if kind % 3 == 0 {
            let line = (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            return (0..<count).map { line[$0 % 16] }
        }
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() >> 7) }
    }
}

/// What a restore wrote.
final class MemoryTarget: CellTarget {
    private let bytes: NIOLockedValueBox<[UInt8]>
    init(_ byteCount: UInt64) {
        bytes = NIOLockedValueBox([UInt8](repeating: 0, count: Int(byteCount)))
    }
    var contents: [UInt8] { bytes.withLockedValue { $0 } }
    /// In bytes.
    var lengths: [Int] { writes.withLockedValue { $0 } }
    private let writes = NIOLockedValueBox<[Int]>([])
    func write(_ written: [UInt8], at offset: UInt64) throws(BackupFailure) {
        writes.withLockedValue { $0.append(written.count) }
        bytes.withLockedValue { bytes in
            bytes.replaceSubrange(Int(offset)..<Int(offset) + written.count, with: written)
        }
    }
}

extension MemoryVolume {
    var contents: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(shape.cellCount * shape.cellByteCount))
        for (cell, own) in cells {
            let start = Int(cell * shape.cellByteCount)
            bytes.replaceSubrange(start..<start + own.count, with: own)
        }
        return Array(bytes.prefix(Int(shape.byteCount)))
    }
}

/// What a deed that has to fail says of it.
func words(_ deed: () throws -> Void) throws -> String {
    var words: String?
    do { try deed() } catch { words = "\(error)" }
    return try #require(words, "it did not fail")
}

enum Rig {
    static func secret(_ number: UInt8) throws -> Secret {
        try #require(Secret([UInt8](repeating: number, count: Secret.byteCount)))
    }

    static func ring(rotations: UInt8 = 0) throws -> KeyRing {
        var ring = KeyRing(
            repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 3, low: 4),
            idSecret: try secret(100), succession: try secret(101), first: try secret(1),
            at: WallTime(5))
        for number in 0..<rotations {
            let isTurned = ring.rotate(to: try secret(2 + number), at: WallTime(9))
            try #require(isTurned)
        }
        return ring
    }

    /// All that is cut is cut small.
    static var small: BackupLimits {
        var limits = BackupLimits()
        limits.partLevel = 0
        limits.readByteCountMax = 64 << 10
        limits.packByteCountAimed = 40 << 10
        limits.locationsPerIndex = 40
        limits.indexBlocksKept = 2
        // Too few for any directory.
        limits.indexTailByteCount = 64
        limits.cellsPerFetch = 100
        limits.fetchGapByteCountMax = 6_000
        limits.fetchByteCountMax = 30_000
        limits.writeByteCountMax = 6_000
        return limits
    }

    static func vault(
        _ store: any ObjectStore, rotations: UInt8 = 0, _ limits: BackupLimits = BackupLimits()
    ) throws -> Vault { try vault(store, ring(rotations: rotations), limits) }

    static func vault(
        _ store: any ObjectStore, _ ring: KeyRing, _ limits: BackupLimits = BackupLimits()
    ) throws -> Vault {
        try Vault.found(ring.repository, in: store)
        return try Vault(store, ring: ring, limits: limits) {
            let bytes = (0..<Salt.byteCount).map { _ in UInt8.random(in: 0...255) }
            guard let salt = Salt(bytes) else { fatalError("32 bytes") }
            return salt
        }
    }

    /// All blobs of that kind in all packs, as often as they are stored.
    static func stored(_ kind: Blob.Kind, _ store: MemoryStore, _ vault: Vault) throws -> [Digest] {
        try store.objects.filter { $0.key.text.contains("/packs/") }.flatMap { _, bytes in
            try PackReader(bytes, for: vault.place(of: bytes)).blobs
                .filter { $0.blob.kind == kind }.map(\.blob.id)
        }
    }

    static func manifest(
        after former: ManifestObject?, _ volumes: [Manifest.Volume] = [],
        kind: Manifest.Kind = .full, state: [Digest] = [], time: UInt64 = 5
    ) -> Manifest {
        Manifest(
            after: former, kind: kind, consistency: .crash,
            cluster: ClusterID(high: 1, low: 2), group: GroupID(1),
            position: Position(index: LogIndex(7), term: Term(2)), epoch: Epoch(1), time: time,
            volumes: volumes, state: state)
    }

    /// Stores one volume, and makes that a backup.
    static func back(
        up source: some CellSource, _ vault: Vault, since parent: ChangedCells? = nil,
        threads: Int = 3, time: UInt64 = 5
    ) throws -> (manifest: ManifestObject, tally: BackupTally) {
        let session = try Sessions(vault).begin("rig", at: .zero)
        var tally = BackupTally()
        let made = try session.ending { () throws(BackupFailure) in
            let writer = try BackupWriter(vault, in: session, threads: threads)
            let map = try writer.store(source, since: parent)
            let state = try writer.store(Array("state".utf8))
            try writer.finish()
            guard
                let volume = Manifest.Volume(
                    id: VolumeID(1), name: "disk", isSync: true,
                    lastWrite: Manifest.WriteMark(generation: 0, number: 0), map: map)
            else { throw .volume("it has no name") }
            try session.commits()
            tally = writer.tally
            return try Manifests(vault).commit { former in
                manifest(
                    after: former, [volume], kind: parent == nil ? .full : .incremental,
                    state: state, time: time)
            }
        }
        return (made, tally)
    }

    static func restored(_ manifest: Manifest, _ vault: Vault) throws -> [UInt8] {
        let map = manifest.volumes[0].map
        let target = MemoryTarget(map.shape.byteCount)
        let reader = try BackupReader(vault, threads: 3)
        #expect(try reader.bytes(manifest.state) == Array("state".utf8))
        try reader.restore(map, to: target)
        return target.contents
    }
}
