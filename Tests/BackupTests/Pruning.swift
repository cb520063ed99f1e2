@testable import Backup
import Mesh
import Repository
import Retention
import Sealing
import Testing

/// Backups of small volumes whose contents have letters, and prunes of them.
struct Pruning {
    static let day: UInt64 = 86_400_000_000_000
    static let start: UInt64 = 20_454 * day
    let store: MemoryStore

    init(_ store: MemoryStore = MemoryStore()) { self.store = store }

    /// Of cells of its own, which fill a pack, and one that all have.
    static func volume(_ letter: Character) throws -> MemoryVolume {
        var volume = try MemoryVolume(40 * 4_096)
        let seed = UInt64(letter.asciiValue ?? 0) * 100
        for cell in 0..<20 as Range<UInt64> {
            volume.cells[cell] = MemoryVolume.content(seed + cell, 4_096)
        }
        volume.cells[39] = MemoryVolume.content(1, 4_096)
        return volume
    }

    func vault(_ other: (any ObjectStore)? = nil) throws -> Vault {
        try Rig.vault(other ?? store, Rig.small)
    }

    /// One backup of each letter, a day after the one before.
    @discardableResult
    func backUp(_ letters: String, from day: UInt64 = 0) throws -> [ManifestObject] {
        try letters.enumerated().map { at, letter in
            try Rig.back(
                up: Self.volume(letter), vault(), threads: 1,
                time: Self.start + (day + UInt64(at)) * Self.day
            ).manifest
        }
    }

    /// Keeps the newest alone, and what is held.
    static func newestOnly() throws -> RetentionPolicy {
        let none = RetentionSlot.Kind.allCases.map { ($0, 0) }
        return try #require(
            RetentionPolicy(newest: 1, days: Dictionary(uniqueKeysWithValues: none)))
    }

    func collector(
        _ other: (any ObjectStore)? = nil, lost: Set<UInt64> = []
    ) throws -> Collector {
        Collector(
            try vault(other), try Self.newestOnly(), now: WallTime(Self.start + 1_000 * Self.day),
            lost: lost)
    }

    @discardableResult func prune(lost: Set<UInt64> = []) throws -> Collector.Pruned {
        try collector(lost: lost).prune()
    }

    var numbers: [UInt64] { get throws { try Manifests(vault()).numbers() } }

    /// The backups that there are, each as it should be: `letters` by number from 1 on.
    func check(_ letters: String, _ wanted: [UInt64]) throws {
        #expect(try numbers == wanted)
        try checkAll(letters)
    }

    func checkAll(_ letters: String) throws {
        let vault = try vault()
        for number in try numbers {
            let at = letters.index(letters.startIndex, offsetBy: Int(number) - 1)
            let manifest = try Manifests(vault).manifest(number).manifest
            #expect(try Rig.restored(manifest, vault) == Self.volume(letters[at]).contents)
        }
    }

    /// Ends a session with the backup that it stored.
    static func commit(
        _ session: Session, _ vault: Vault, _ map: VolumeMap, _ state: [Digest]
    ) throws {
        let volume = try #require(
            Manifest.Volume(
                id: VolumeID(1), name: "disk", isSync: true,
                lastWrite: Manifest.WriteMark(generation: 0, number: 0), map: map))
        _ = try session.ending { () throws(BackupFailure) in
            try session.commits()
            return try Manifests(vault).commit {
                Rig.manifest(after: $0, [volume], state: state, time: start)
            }
        }
    }

    func count(_ part: ObjectName) throws -> Int { try store.list(part).objects.count }
}
