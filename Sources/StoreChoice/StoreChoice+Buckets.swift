package import Backup
internal import Copies
package import Repository
internal import S3Store
package import Settings

/// What only buckets have: locks, and versions that their lists hide.
extension StoreChoice {
    /// All buckets among the stores.
    private static func buckets(
        of settings: StoreSettings, _ environment: @escaping @Sendable (String) -> String?
    ) throws(BackupFailure) -> [S3Store] {
        switch settings {
        case .directory: return []
        case .s3(let settings): return [try s3(settings, environment)]
        case .several(let stores, _):
            var all: [S3Store] = []
            for store in stores { all += try buckets(of: store, environment) }
            return all
        }
    }

    package struct Locks: Hashable, Sendable {
        package let store: String
        /// Versions whose lock was asked for; of how many it was extended; and how many of these had none.
        package let looked: Int
        package let extended: Int
        package let unlocked: Int
    }

    /// Extends the locks in each bucket whose settings ask for locks.
    package static func extendLocks(
        of settings: StoreSettings,
        environment: @escaping @Sendable (String) -> String? = { _ in nil }
    ) throws(BackupFailure) -> [Locks] {
        var all: [Locks] = []
        for bucket in try buckets(of: settings, environment) where bucket.lock != nil {
            do throws(ObjectStoreFailure) {
                let report = try bucket.extendLocks()
                all.append(
                    Locks(
                        store: bucket.copies[0].name, looked: report.looked,
                        extended: report.extended, unlocked: report.unlocked))
            } catch { throw .store(error) }
        }
        return all
    }

    /// Stores, and behind each bucket the versions that are hidden in it: copies that can only be read.
    package struct Hidden: Sendable {
        package let store: any ObjectStore
        fileprivate let versions: [S3Versions]

        /// Which version is the right one is told by what opens.
        package func choose(by vault: Vault) {
            for one in versions { one.choose { vault.isWhole($0, $1) } }
        }
    }

    /// For who repairs. Where a bucket does not show whose repository is in it, or another one, that is put back at once: no store
    /// is used without.
    package static func openHidden(
        _ settings: StoreSettings, environment: @escaping @Sendable (String) -> String?
    ) throws(BackupFailure) -> Hidden {
        let buckets = try buckets(of: settings, environment)
        guard !buckets.isEmpty else {
            throw .refused("none of the stores is a bucket: there are no versions to look at")
        }
        let versions = buckets.map { S3Versions(of: $0) }
        for (bucket, versions) in zip(buckets, versions) {
            do throws(ObjectStoreFailure) { try putBackName(bucket, versions) } catch {
                throw .store(error)
            }
        }
        let stores: [StoreSettings] =
            if case .several(let all, _) = settings { all } else { [settings] }
        let past = versions.map { versions in
            CopiedStore.Copy(versions.name, isPast: true) { () throws(ObjectStoreFailure) in
                versions
            }
        }
        return Hidden(
            store: CopiedStore(stores.map { copy(of: $0, environment) } + past, .one),
            versions: versions)
    }

    private static func putBackName(
        _ bucket: S3Store, _ versions: S3Versions
    ) throws(ObjectStoreFailure) {
        let first = try versions.get(Layout.repository, nil)
        if let there = try? bucket.get(Layout.repository, nil), there == first { return }
        try bucket.replace(Layout.repository, with: first)
    }
}
