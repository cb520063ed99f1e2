package import Backup
package import Repository
internal import Sealing

/// A key that somebody named by a path.
package struct GivenKey: Sendable {
    package let path: String
    package let holder: KeyHolder
    /// Whose it is, where the file says that.
    package let owner: RingOwner?

    /// The rings that it is a key to. Where neither the file nor `tenant` says whose, all that lies in the store is listed
    /// to find out.
    package func rings(
        in store: any ObjectStore, tenant: TenantID? = nil
    ) throws(BackupFailure) -> Rings {
        guard let owner else { return try Rings.find(holder, in: store, tenant: tenant) }
        if let tenant, tenant != owner.tenant {
            throw .key("\(path) is a key of tenant \(owner.tenant), not of \(tenant)")
        }
        return Rings(store, repository: owner.repository, tenant: owner.tenant)
    }
}

/// What lies behind a key's path: a key file, or the private half of an escrow key.
package enum KeyChoice {
    package static func open(_ path: String) throws(BackupFailure) -> GivenKey {
        let bytes = try KeyStorage.secretBytes(path)
        if EscrowFile.isPrivate(bytes) {
            do throws(EscrowFileRefused) {
                let key = try EscrowFile.privateKey(parsing: bytes)
                return GivenKey(path: path, holder: .box(key), owner: nil)
            } catch { throw .key("\(path): \(error)") }
        }
        do throws(KeyFileRefused) {
            let file = try KeyFile(parsing: bytes)
            return GivenKey(
                path: path, holder: .file(file.secret),
                owner: RingOwner(repository: file.repository, tenant: file.tenant))
        } catch { throw .key("\(path): \(error)") }
    }
}
