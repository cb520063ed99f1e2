package import Repository
internal import Sealing

/// The backups of a tenant, as their manifests have them.
package struct Manifests: Sendable {
    /// How often another backup may come first.
    static let triesMax = 16
    private let vault: Vault

    package init(_ vault: Vault) { self.vault = vault }

    /// The numbers of all, in their order.
    package func numbers() throws(BackupFailure) -> [UInt64] {
        try vault.list(vault.layout.manifests).compactMap { Layout.number($0.name) }.sorted()
    }

    package func manifest(_ number: UInt64) throws(BackupFailure) -> ManifestObject {
        let name = vault.layout.manifest(number)
        return try vault.reading(name) { bytes throws(ObjectDamage) in
            let object = try ManifestObject(bytes, for: vault.place(of: bytes))
            guard object.manifest.sequence == number else {
                throw .contents("it is manifest \(object.manifest.sequence)")
            }
            return object
        }
    }

    /// The last one, if it follows the one before it: whoever has a key of an earlier epoch can seal a manifest, and
    /// name it by any number.
    package func newest() throws(BackupFailure) -> ManifestObject? {
        let numbers = try numbers()
        guard let number = numbers.last else { return nil }
        let newest = try manifest(number)
        // One that was let go of can't be asked, be it since the others were listed.
        guard let before = numbers.dropLast().last else { return newest }
        let isNext = before == number - 1
        do throws(BackupFailure) {
            return try vault.reading(vault.layout.manifest(before)) { former throws(ObjectDamage) in
                let epoch = try SealedHeader(parsing: former).epoch
                let follows =
                    !isNext || newest.manifest.predecessor == Digest(of: former.span)
                guard newest.epoch >= epoch, follows else { throw .noSuccessor }
                return newest
            }
        } catch {
            switch error {
            case .store(let failure) where failure.cause == .missing: return newest
            // It is not the former one that follows nothing.
            case .damaged(_, let damage): throw .damaged(vault.layout.manifest(number), damage)
            default: throw error
            }
        }
    }

    /// Makes a backup one: everything it leads to is durable by now. `make` gives the manifest that follows another, or
    /// throws where it is not to: that one may have come meanwhile, of a later place in the log.
    package func commit(
        _ make: (_ predecessor: ManifestObject?) throws(BackupFailure) -> Manifest
    ) throws(BackupFailure) -> ManifestObject {
        for _ in 0..<Self.triesMax {
            let newest = try newest()
            let manifest = try make(newest)
            let name = vault.layout.manifest(manifest.sequence)
            let object: ManifestObject
            do throws(ObjectDamage) {
                object = try ManifestObject(
                    sealing: manifest, in: vault.place, random: vault.draw())
            } catch { throw .unreadable(error) }
            do throws(ObjectStoreFailure) {
                _ = try vault.store.put(name, object.bytes)
                return object
            } catch {
                guard error.cause == .taken else { throw .store(error) }
            }
        }
        throw .overtaken(tries: Self.triesMax)
    }
}
