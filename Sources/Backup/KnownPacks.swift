internal import NIOConcurrencyHelpers
internal import Repository
internal import Sealing

/// Which packs a store has, and how long they are. An index outlives a pack that was lost, or taken out of the way
/// because it was damaged: what it held is to be stored again with the next backup, and no later one.
final class KnownPacks: Sendable {
    private let byteCounts: NIOLockedValueBox<[Digest: UInt32]>

    /// Those of `doomed` are about to be deleted, and count as lost.
    init(_ vault: Vault, doomed: Set<Digest> = []) throws(BackupFailure) {
        var found: [Digest: UInt32] = [:]
        for object in try vault.list(vault.layout.packs) {
            guard let name = Layout.digest(object.name), !doomed.contains(name) else { continue }
            found[name] = UInt32(clamping: object.byteCount)
        }
        byteCounts = NIOLockedValueBox(found)
    }

    func add(_ name: Digest, byteCount: Int) {
        byteCounts.withLockedValue { $0[name] = UInt32(clamping: byteCount) }
    }

    /// Whether there is a pack that is long enough to have the blob.
    func hold(_ location: BlobLocation) -> Bool {
        byteCounts.withLockedValue { byteCounts in
            byteCounts[location.pack.name].map { location.range.upperBound <= Int($0) } ?? false
        }
    }
}
