internal import Sealing

/// Where an object has to be from, and the key that it has to open with.
package struct SealedPlace: Sendable {
    package let repository: RepositoryID
    package let tenant: TenantID
    package let key: EpochKey

    package init(repository: RepositoryID, tenant: TenantID, key: EpochKey) {
        (self.repository, self.tenant, self.key) = (repository, tenant, key)
    }

    package func header(_ kind: SealedHeader.Kind, salt: Salt) -> SealedHeader {
        SealedHeader(kind, repository: repository, tenant: tenant, key: key, salt: salt)
    }

    /// The header that `bytes` begin with, and the key of what it begins.
    func open(_ bytes: [UInt8], as kind: SealedHeader.Kind) throws(ObjectDamage) -> (
        SealedHeader, SealKey
    ) {
        let header = try SealedHeader(parsing: bytes)
        guard header.kind == kind else { throw .anotherKind(header.kind, wanted: kind) }
        guard header.repository == repository else { throw .anotherRepository(header.repository) }
        guard header.tenant == tenant else { throw .anotherTenant(header.tenant) }
        guard header.epoch == key.epoch else { throw .anotherEpoch(header.epoch, have: key.epoch) }
        guard header.keyCheck == key.check else { throw .wrongKey(header.epoch) }
        return (header, key.key(of: header))
    }
}
