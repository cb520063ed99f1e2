package import Repository
package import Sealing

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
        let bytes = try vault.get(name)
        return try vault.reading(name) { () throws(ObjectDamage) in
            let object = try ManifestObject(bytes, for: vault.place(of: bytes))
            guard object.manifest.sequence == number else {
                throw .contents("it is manifest \(object.manifest.sequence)")
            }
            return object
        }
    }

    package func newest() throws(BackupFailure) -> ManifestObject? {
        guard let number = try numbers().last else { return nil }
        return try manifest(number)
    }

    /// Makes a backup one: everything it leads to is durable by now. `make` gives the manifest that follows another.
    package func commit(
        _ make: (_ sequence: UInt64, _ predecessor: Digest) -> Manifest
    ) throws(BackupFailure) -> ManifestObject {
        for _ in 0..<Self.triesMax {
            let newest = try newest()
            let sequence = (newest?.manifest.sequence ?? 0) + 1
            let manifest = make(sequence, newest?.digest ?? Manifest.none)
            let name = vault.layout.manifest(sequence)
            let object = try vault.reading(name) { () throws(ObjectDamage) in
                try ManifestObject(sealing: manifest, in: vault.place, random: vault.draw())
            }
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
