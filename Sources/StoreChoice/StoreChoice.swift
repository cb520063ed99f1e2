package import Backup
internal import Glibc
internal import ObjectStores
package import Repository
internal import S3Protocol
internal import S3Store
package import Settings

/// Opens the store that settings name.
package enum StoreChoice {
    /// `environment` is asked for credentials where the settings name no file of them.
    package static func open(
        _ settings: StoreSettings, environment: (String) -> String? = { _ in nil }
    ) throws(BackupFailure) -> any ObjectStore {
        switch settings {
        case .directory(let path):
            do throws(ObjectStoreFailure) { return try DirectoryStore(path) } catch {
                throw .store(error)
            }
        case .s3(let settings): return try s3(settings, environment)
        }
    }

    /// As failures name it.
    package static func name(of settings: StoreSettings) -> String {
        switch settings {
        case .directory(let path): path
        case .s3(let settings): "\(S3Place(settings))"
        }
    }

    /// A file is a store file, whatever else lies there, or does not yet, is the directory itself.
    package static func isStoreFile(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    private static func s3(
        _ settings: S3Settings, _ environment: (String) -> String?
    ) throws(BackupFailure) -> any ObjectStore {
        let place = S3Place(settings)
        var patience = S3Patience()
        patience.total = settings.timeout
        do throws(S3Mishap) {
            let carrier = try HTTPCarrier(place, patience, authorities: settings.ca)
            return S3Store(
                place, try credentials(settings, environment), carrier: carrier, patience: patience)
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
