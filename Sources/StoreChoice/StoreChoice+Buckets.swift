package import Backup
internal import Copies
package import Pacing
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
        of settings: StoreSettings, tell: WorkTeller = { _ in },
        environment: @escaping @Sendable (String) -> String? = { _ in nil }
    ) throws(BackupFailure) -> [Locks] {
        var all: [Locks] = []
        for bucket in try buckets(of: settings, environment) where bucket.lock != nil {
            do throws(ObjectStoreFailure) {
                let report = try bucket.extendLocks(tell: tell)
                all.append(
                    Locks(
                        store: bucket.copies[0].name, looked: report.looked,
                        extended: report.extended, unlocked: report.unlocked))
            } catch { throw .store(error) }
        }
        return all
    }

    /// Stores, and behind each bucket what was in it at a time: copies that can only be read.
    package struct Hidden: Sendable {
        /// What was there at that time, alone: nobody since has had it in his hands.
        package let past: any ObjectStore
        /// Both. A bucket that does not show whose repository is in it is none of these before `putBackNames`.
        package let store: any ObjectStore
        fileprivate let buckets: [S3Store]
        fileprivate let versions: [S3Versions]
        fileprivate let hasOthers: Bool

        /// Which version is the right one is told by what opens.
        package func choose(by check: ObjectCheck, _ layout: Layout) {
            choose(layout) { check.isWhole($0, $1) }
        }

        package func choose(
            _ layout: Layout, by isWhole: @escaping @Sendable (ObjectName, [UInt8]) -> Bool
        ) {
            for one in versions { one.choose(layout.all, by: isWhole) }
        }

        /// Whether an object was in any of the buckets at that time; also where that could not be told, as of a directory.
        package func wasThere(_ name: ObjectName) -> Bool {
            hasOthers || versions.contains { (try? $0.wasThere(name)) ?? true }
        }

        /// Where a bucket does not show whose repository is in it, or another one's name, that is put back: no store is used
        /// without. Only who has opened the past by a key knows which one it is.
        package func putBackNames(of id: RepositoryID) {
            let own = RepositoryObject(id: id).encoded
            for bucket in buckets {
                if let there = try? bucket.get(Layout.repository, nil), there == own { continue }
                // One that is away must not keep the others from being mended: it is told as absent.
                try? bucket.replace(Layout.repository, with: own)
            }
        }
    }

    /// For who repairs. `time` is in seconds, by the services' clocks.
    package static func openHidden(
        _ settings: StoreSettings, asOf time: UInt64,
        environment: @escaping @Sendable (String) -> String?
    ) throws(BackupFailure) -> Hidden {
        let buckets = try buckets(of: settings, environment)
        guard !buckets.isEmpty else {
            throw .refused("none of the stores is a bucket: there are no versions to look at")
        }
        let check = ObjectCheck(vault: nil)
        let versions = buckets.map { S3Versions(of: $0, asOf: time) { check.isWhole($0, $1) } }
        let stores: [StoreSettings] =
            if case .several(let all, _) = settings { all } else { [settings] }
        let past = versions.map { versions in
            CopiedStore.Copy(versions.name, isPast: true) { () throws(ObjectStoreFailure) in
                versions
            }
        }
        return Hidden(
            past: CopiedStore(past, .one),
            store: CopiedStore(stores.map { copy(of: $0, environment) } + past, .one),
            buckets: buckets, versions: versions, hasOthers: stores.count > buckets.count)
    }
}
