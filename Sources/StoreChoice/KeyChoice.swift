package import Backup
internal import Glibc
internal import KeyServices
internal import Mesh
package import Repository
internal import S3Store
internal import Sealing
internal import Settings

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

/// What lies behind a key's path: a key file, the private half of an escrow key, or a provider file that says who keeps
/// the key.
package enum KeyChoice {
    package static func open(_ path: String) throws(BackupFailure) -> GivenKey {
        let file = try KeyStorage.secretFile(path)
        if EscrowFile.isPrivate(file.bytes) {
            do throws(EscrowFileRefused) {
                let key = try EscrowFile.privateKey(parsing: file.bytes)
                return GivenKey(path: path, holder: .box(key), owner: nil)
            } catch { throw .key("\(path): \(error)") }
        }
        if let provider = try provider(file, path) { return provider }
        do throws(KeyFileRefused) {
            let key = try KeyFile(parsing: file.bytes)
            return GivenKey(
                path: path, holder: .file(key.secret),
                owner: RingOwner(repository: key.repository, tenant: key.tenant))
        } catch { throw .key("\(path): \(error)") }
    }

    /// What a provider file names; nil where there is no file, or it is another one.
    package static func provider(_ path: String) throws(BackupFailure) -> GivenKey? {
        guard StoreChoice.isStoreFile(path),
            try isProvider(KeyStorage.openBytes(path))
        else { return nil }
        return try provider(KeyStorage.secretFile(path), path)
    }

    private static func isProvider(_ bytes: [UInt8]) -> Bool {
        String(validating: bytes, as: UTF8.self).map(KeySettings.isProvider) ?? false
    }

    private static func provider(
        _ file: KeyStorage.SecretFile, _ path: String
    ) throws(BackupFailure) -> GivenKey? {
        guard isProvider(file.bytes), let text = String(validating: file.bytes, as: UTF8.self)
        else { return nil }
        // What it names is run, or sent for, as whoever reads it.
        guard file.owner == 0 || file.owner == geteuid() else {
            throw .key(
                "\(path) belongs to user \(file.owner), who could have you run anything: take a copy "
                    + "that is yours, or let that user ask")
        }
        let settings: KeySettings
        do throws(Faults) { settings = try KeySettings(parsing: text, file: path) } catch {
            throw .key("\(error)")
        }
        return GivenKey(
            path: path, holder: .service(try service(settings)),
            owner: settings.owner.map(RingOwner.init))
    }

    private static func service(
        _ settings: KeySettings
    ) throws(BackupFailure) -> any KeyService {
        switch settings.provider {
        case .command(let words):
            return CommandKey(words, timeout: settings.timeout ?? CommandKey.timeoutDefault)
        case .kms(let kms): return try service(kms, settings.timeout)
        }
    }

    private static func service(
        _ kms: KMSSettings, _ timeout: Interval?
    ) throws(BackupFailure) -> any KeyService {
        let patience = KMSKey.patience(timeout)
        do throws(S3Mishap) {
            let credentials = try StoreChoice.credentials(kms.credentials)
            let carrier = try HTTPCarrier(
                "\(kms.endpoint)", "the KMS", patience, authorities: kms.ca)
            return KMSKey(
                kms.keyID, region: kms.region, host: kms.endpoint.hostHeader, credentials,
                carrier: carrier, patience: patience)
        } catch {
            guard case .hopeless(let words) = error else { throw .key("the KMS: \(error)") }
            throw .key("the KMS can't be asked: \(words)")
        }
    }
}

extension RingOwner {
    fileprivate init(_ owner: KeySettings.Owner) {
        self.init(
            repository: RepositoryID(high: owner.repository.high, low: owner.repository.low),
            tenant: TenantID(high: owner.tenant.high, low: owner.tenant.low))
    }
}
