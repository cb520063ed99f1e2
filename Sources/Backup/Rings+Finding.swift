internal import Mesh
package import Repository

extension Rings {
    /// Where a key does not say whose it is: the rings of the one tenant whose newest ring it opens.
    ///
    /// All that lies in the store is listed for it, unless `tenant` says which one it is.
    package static func find(
        _ holder: KeyHolder, in store: any ObjectStore, tenant: TenantID? = nil
    ) throws(BackupFailure) -> Rings {
        let repository = try Vault.repository(in: store)
        if let tenant { return Rings(store, repository: repository, tenant: tenant) }
        let tenants = try newestRings(in: store)
        guard !tenants.isEmpty else { throw .key("there is no key ring of any tenant there") }
        var found: [Rings] = []
        var refusal: BackupFailure?
        for (tenant, number) in tenants {
            let rings = Rings(store, repository: repository, tenant: tenant)
            do throws(BackupFailure) {
                if try rings.isOpened(number, by: holder) { found.append(rings) }
            } catch { refusal = error }
        }
        if let only = found.first, found.count == 1 { return only }
        guard found.isEmpty else {
            let names = found.map { "\($0.tenant)" }.joined(separator: ", ")
            throw .key(
                "that key opens the rings of \(found.count) tenants, \(names): say which one")
        }
        if let refusal { throw refusal }
        throw .key(
            "wrong key: the \(holder.kind) that was given opens the rings of none of "
                + "\(tenants.count) tenants")
    }

    private static func newestRings(
        in store: any ObjectStore
    ) throws(BackupFailure) -> [(tenant: TenantID, number: UInt64)] {
        let objects: [ObjectListing.Object]
        do throws(ObjectStoreFailure) { objects = try store.list(nil).objects } catch {
            throw .store(error)
        }
        var newest: [TenantID: UInt64] = [:]
        for object in objects {
            guard let (tenant, number) = Layout.ring(object.name) else { continue }
            newest[tenant] = max(newest[tenant] ?? 0, number)
        }
        return newest.map { (tenant: $0, number: $1) }
            .sorted { ($0.tenant.high, $0.tenant.low) < ($1.tenant.high, $1.tenant.low) }
    }

    private func isOpened(
        _ number: UInt64, by holder: KeyHolder
    ) throws(BackupFailure) -> Bool {
        var refusal: UnwrapRefused?
        for wrapping in try object(number).wrappings {
            switch holder.unwrap(wrapping, of: owner) {
            case .success: return true
            case .failure(.wrongKey): continue
            case .failure(let refused): refusal = refused
            }
        }
        if let refusal { throw .key("\(name(number)): \(refusal)") }
        return false
    }
}
