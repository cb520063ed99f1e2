internal import NIOConcurrencyHelpers
internal import Repository
internal import Sealing

/// Fetches single blobs. Where one lies in several packs, one that is whole is enough.
final class BlobFetcher: Sendable {
    private let vault: Vault
    private let catalog: Catalog
    /// To make one derives a key.
    private let openers = NIOLockedValueBox<[PackReference: BlobOpener]>([:])
    private static let openersMax = 4_096

    init(_ vault: Vault, _ catalog: Catalog) { (self.vault, self.catalog) = (vault, catalog) }

    func location(of id: Digest, _ kind: Blob.Kind) throws(BackupFailure) -> BlobLocation {
        guard let location = try catalog.location(of: id) else { throw unknown(id, kind) }
        return location
    }

    private func unknown(_ id: Digest, _ kind: Blob.Kind) -> BackupFailure {
        .unknownBlob(id, kind, unreadableIndexes: catalog.damage.keys.sorted())
    }

    /// From wherever it is whole; what is wrong with the first place where it is not.
    func plain(_ id: Digest, _ kind: Blob.Kind) throws(BackupFailure) -> [UInt8] {
        var failure: BackupFailure?
        for location in try catalog.locations(of: id) {
            do throws(BackupFailure) {
                let name = vault.layout.pack(location.pack.name)
                return try vault.reading(name, location.range) { sealed throws(ObjectDamage) in
                    try opened(sealed.span, location, kind)
                }
            } catch { failure = failure ?? error }
        }
        throw failure ?? unknown(id, kind)
    }

    /// What lies sealed at that place, and is what its id says.
    func plain(
        _ sealed: Span<UInt8>, _ location: BlobLocation, _ kind: Blob.Kind
    ) throws(BackupFailure) -> [UInt8] {
        do throws(ObjectDamage) { return try opened(sealed, location, kind) } catch {
            throw .damaged(vault.layout.pack(location.pack.name), error)
        }
    }

    private func opened(
        _ sealed: Span<UInt8>, _ location: BlobLocation, _ kind: Blob.Kind
    ) throws(ObjectDamage) -> [UInt8] {
        guard location.placed.blob.kind == kind else {
            throw ObjectDamage.anotherID(location.id)
        }
        let ids = try vault.ids(location.pack.epoch)
        return try opener(location.pack).plain(sealed, location.placed, checkedBy: ids)
    }

    private func opener(_ pack: PackReference) throws(ObjectDamage) -> BlobOpener {
        if let known = openers.withLockedValue({ $0[pack] }) { return known }
        let opener = try BlobOpener(pack, in: vault.place(pack.epoch))
        openers.withLockedValue { openers in
            if openers.count >= Self.openersMax { openers.removeAll(keepingCapacity: true) }
            openers[pack] = opener
        }
        return opener
    }
}
