package import Backup
internal import Copies
internal import Glibc
internal import ObjectStores
package import Repository
internal import S3Protocol
internal import S3Store
package import Settings

/// Opens the store that settings name.
package enum StoreChoice {
    /// `environment` is asked for credentials where the settings name no file of them. `demand` says which have to take part
    /// where there are several stores; `isNew` where they are to become a repository.
    package static func open(
        _ settings: StoreSettings, for demand: Demand, isNew: Bool = false,
        environment: @escaping @Sendable (String) -> String? = { _ in nil }
    ) throws(BackupFailure) -> any ObjectStore {
        switch settings {
        case .directory(let path):
            do throws(ObjectStoreFailure) { return try DirectoryStore(path) } catch {
                throw .store(error)
            }
        case .s3(let settings): return try s3(settings, environment)
        case .several(let stores, let minCopies):
            let copies = stores.map { copy(of: $0, environment) }
            return CopiedStore(copies, demand.stores(minCopies), isNew: isNew)
        }
    }

    /// What a store is opened for.
    package enum Demand: Hashable, Sendable {
        case reading
        case writing
        /// Deleting, and making a repository.
        case all

        fileprivate func stores(_ minCopies: Int) -> CopiedStore.Demand {
            switch self {
            case .reading: .one
            case .writing: .copies(minCopies)
            case .all: .all
            }
        }
    }

    static func copy(
        of settings: StoreSettings, _ environment: @escaping @Sendable (String) -> String?
    ) -> CopiedStore.Copy {
        let name = name(of: settings)
        return CopiedStore.Copy(name) { () throws(ObjectStoreFailure) in
            do throws(BackupFailure) {
                return try open(settings, for: .writing, environment: environment)
            } catch {
                if case .store(let failure) = error { throw failure }
                throw ObjectStoreFailure("open", "it", in: name, .service("\(error)"))
            }
        }
    }

    /// As failures name it.
    package static func name(of settings: StoreSettings) -> String {
        switch settings {
        case .directory(let path): path
        case .s3(let settings): "\(S3Place(settings))"
        case .several(let stores, _): stores.map(name).joined(separator: ", ")
        }
    }

    /// What stores have not taken of what was put since `store` was opened, in words.
    package static func shortfalls(of store: any ObjectStore) -> [String] {
        guard let store = store as? CopiedStore else { return [] }
        return store.shortfalls.map {
            "\($0.store) failed \($0.failures) times, at last: \($0.last)"
        }
    }

    /// A file is a store file, whatever else lies there, or does not yet, is the directory itself.
    package static func isStoreFile(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    static func s3(
        _ settings: S3Settings, _ environment: (String) -> String?
    ) throws(BackupFailure) -> S3Store {
        let place = S3Place(settings)
        var patience = S3Patience()
        patience.total = settings.timeout
        do throws(S3Mishap) {
            let carrier = try HTTPCarrier(place, patience, authorities: settings.ca)
            return S3Store(
                place, try credentials(settings, environment), carrier: carrier,
                lock: settings.lock.map(S3Lock.init), patience: patience)
        } catch {
            guard case .hopeless(let words) = error else { throw .key("\(place): \(error)") }
            throw .key("\(place) can't be opened: \(words)")
        }
    }

    private static func credentials(
        _ settings: S3Settings, _ environment: (String) -> String?
    ) throws(S3Mishap) -> S3Credentials {
        guard let path = settings.credentials else {
            guard let id = environment("AWS_ACCESS_KEY_ID"),
                let secret = environment("AWS_SECRET_ACCESS_KEY"), !id.isEmpty, !secret.isEmpty
            else {
                throw .hopeless(
                    "there are no credentials: name a file of them as credentials in the store file, "
                        + "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
            }
            let token = environment("AWS_SESSION_TOKEN").flatMap { $0.isEmpty ? nil : $0 }
            return S3Credentials(id: id, secret: secret, token: token)
        }
        return try credentials(path)
    }

    static func credentials(_ path: String) throws(S3Mishap) -> S3Credentials {
        let bytes: [UInt8]
        do throws(BackupFailure) { bytes = try KeyStorage.secretBytes(path) } catch {
            throw .hopeless("\(error)")
        }
        do throws(S3Credentials.Refused) { return try S3Credentials(parsing: bytes) } catch {
            throw .hopeless("\(path) \(error)")
        }
    }
}

extension S3Lock {
    fileprivate init(_ lock: S3Settings.Lock) {
        let mode: Mode =
            switch lock.mode {
            case .compliance: .compliance
            case .governance: .governance
            }
        self.init(mode, days: lock.days)
    }
}

extension S3Place {
    fileprivate init(_ settings: S3Settings) {
        let addressing: S3Place.Addressing =
            switch settings.addressing {
            case .path: .path
            case .virtualHost: .virtualHost
            }
        self.init(
            isEncrypted: settings.endpoint.isEncrypted, host: settings.endpoint.host,
            port: settings.endpoint.port, region: settings.region, bucket: settings.bucket,
            prefix: settings.prefix, addressing: addressing)
    }
}
