import Foundation
import Mesh
import NIOConcurrencyHelpers
import ObjectStores
import Repository
import S3Protocol
import S3Store
import Sealing

/// One kind of store, empty and of a test's own, and what may happen to it behind its back.
protocol Bench: Sendable {
    func opened() throws -> any ObjectStore
    /// A store of that kind that is no more.
    func gone() throws -> any ObjectStore
    /// Puts bytes under a name, whatever lies there.
    func plant(_ name: String, _ bytes: [UInt8]) throws
    /// What was taken out of the way, by its name there.
    func quarantined() throws -> [String: [UInt8]]
}

enum BenchKind: String, Sendable, CaseIterable {
    case directory
    case fakeS3
    /// A real service, which `make s3` names in the environment.
    case realS3

    static var all: [BenchKind] { RealS3.named == nil ? [.directory, .fakeS3] : allCases }

    func made() throws -> any Bench {
        switch self {
        case .directory: try DirectoryBench()
        case .fakeS3: S3Bench(FakeS3(), bucket: FakeS3.bucket)
        case .realS3: try RealS3.bench()
        }
    }
}

final class DirectoryBench: Bench {
    let folder: Folder

    init() throws { folder = try Folder() }
    func opened() throws -> any ObjectStore { try DirectoryStore(folder.path) }

    func gone() throws -> any ObjectStore {
        let other = try Folder()
        let store = try DirectoryStore(other.path)
        try FileManager.default.removeItem(atPath: other.path)
        return store
    }

    func plant(_ name: String, _ bytes: [UInt8]) throws {
        let file = URL(filePath: "\(folder.path)/\(name)")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: file)
    }

    func quarantined() throws -> [String: [UInt8]] {
        let path = folder.path + "/.quarantine"
        return try FileManager.default.contentsOfDirectory(atPath: path).reduce(into: [:]) {
            $0[$1] = Array(try Data(contentsOf: URL(filePath: "\(path)/\($1)")))
        }
    }
}

/// A directory of one test alone, gone with it.
final class Folder: Sendable {
    let path = NSTemporaryDirectory() + "holdfast-objects-\(UUID().uuidString)"
    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

final class S3Bench: Bench {
    static let credentials = S3Credentials(id: "id", secret: "s3cret")

    private let carrier: any S3Carrier
    private let bucket: String
    private let prefix: String
    private let credentials: S3Credentials
    private let address: (host: String, port: UInt16)

    init(
        _ carrier: any S3Carrier, bucket: String, prefix: String = "p/q",
        credentials: S3Credentials = S3Bench.credentials,
        address: (host: String, port: UInt16) = ("127.0.0.1", 1)
    ) {
        (self.carrier, self.bucket, self.prefix) = (carrier, bucket, prefix)
        (self.credentials, self.address) = (credentials, address)
    }

    func place(bucket: String) -> S3Place {
        S3Place(
            isEncrypted: false, host: address.host, port: address.port, region: "us-east-1",
            bucket: bucket, prefix: prefix, addressing: .path)
    }

    func opened() throws -> any ObjectStore { opened(S3Patience()) }
    func opened(
        _ patience: S3Patience, lock: S3Lock? = nil, world: S3World = .ofThisMachine
    ) -> S3Store {
        S3Store(
            place(bucket: bucket), credentials, carrier: carrier, lock: lock, patience: patience,
            world: world)
    }

    func gone() throws -> any ObjectStore {
        S3Store(place(bucket: "no-such-bucket"), credentials, carrier: carrier)
    }

    func plant(_ name: String, _ bytes: [UInt8]) throws {
        let place = place(bucket: bucket)
        let request = S3Request(.put, path: place.path(name), bodyDigest: Digest(of: bytes.span))
        let signed = S3Signer(credentials, region: place.region).signed(
            request, host: place.host, at: S3Time(unixSeconds: S3World.ofThisMachine.unixSeconds()))
        let answer = try carrier.carry(signed, bytes, answerMax: 1 << 20, within: .seconds(10))
        guard answer.isSuccess else { throw S3Mishap.hopeless("\(answer)") }
    }

    func quarantined() throws -> [String: [UInt8]] {
        let place = place(bucket: bucket)
        let other = S3Store(
            S3Place(
                isEncrypted: false, host: address.host, port: address.port, region: "us-east-1",
                bucket: bucket, prefix: place.key(".quarantine"), addressing: .path),
            credentials, carrier: carrier)
        // There they have dots in their names: strangers, which only a request of our own reads.
        return try other.list(nil).strangers.reduce(into: [:]) { found, name in
            let path = place.path(".quarantine/\(name)")
            let signed = S3Signer(credentials, region: place.region).signed(
                S3Request(.get, path: path), host: place.host,
                at: S3Time(unixSeconds: S3World.ofThisMachine.unixSeconds()))
            found[name] = try carrier.carry(
                signed, [], answerMax: 1 << 20, within: .seconds(10)
            ).body
        }
    }
}

/// The service that the environment names: HOLDFAST_S3 is `host:port bucket`, with the credentials in AWS's variables.
enum RealS3 {
    static let named: (host: String, port: UInt16, bucket: String)? = {
        guard let text = ProcessInfo.processInfo.environment["HOLDFAST_S3"] else { return nil }
        let words = text.split(separator: " ")
        guard words.count == 2, let colon = words[0].firstIndex(of: ":"),
            let port = UInt16(words[0][words[0].index(after: colon)...])
        else { return nil }
        return (String(words[0][..<colon]), port, String(words[1]))
    }()

    static func bench() throws -> S3Bench {
        guard let named else { throw S3Mishap.hopeless("HOLDFAST_S3 names no service") }
        let environment = ProcessInfo.processInfo.environment
        let credentials = S3Credentials(
            id: environment["AWS_ACCESS_KEY_ID"] ?? "",
            secret: environment["AWS_SECRET_ACCESS_KEY"] ?? "")
        let prefix = "test-\(UUID().uuidString.lowercased())"
        let place = S3Place(
            isEncrypted: false, host: named.host, port: named.port, region: "us-east-1",
            bucket: named.bucket, prefix: prefix, addressing: .path)
        return S3Bench(
            try HTTPCarrier(place, S3Patience(), authorities: nil), bucket: named.bucket,
            prefix: prefix, credentials: credentials, address: (named.host, named.port))
    }
}
