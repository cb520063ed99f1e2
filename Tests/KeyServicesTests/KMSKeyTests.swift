import Backup
import Foundation
import Mesh
import NIOConcurrencyHelpers
import ObjectStores
import Repository
import S3Protocol
import S3Store
import Sealing
import Testing

@testable import KeyServices

@Suite("A key that a KMS keeps") struct KMSKeyTests {
    private let slept = NIOLockedValueBox<[Interval]>([])

    /// Time goes on only where somebody sleeps.
    private func key(_ id: String, _ kms: FakeKMS) -> KMSKey {
        let slept = slept
        let world = S3World(
            now: {
                Instant(
                    nanoseconds: slept.withLockedValue { $0.reduce(0) { $0 + $1.nanoseconds } })
            }, unixSeconds: { 1_800_000_000 },
            sleep: { interval in slept.withLockedValue { $0.append(interval) } })
        return KMSKey(
            id, region: kms.region, host: "kms.example",
            S3Credentials(id: "id", secret: "s3cret"), carrier: kms, world: world)
    }

    private func refusal(_ body: () throws(UnwrapRefused) -> Void) -> UnwrapRefused? {
        do throws(UnwrapRefused) {
            try body()
            return nil
        } catch { return error }
    }

    @Test func `what it wrapped it unwraps, for the same repository and tenant alone`() throws {
        let kms = FakeKMS()
        kms.set("k1", .enabled)
        let key = key("k1", kms)
        let bytes = try key.wrap(secret(9), for: owner)
        #expect(try key.unwrap(bytes, for: owner).isSame(as: secret(9)))
        let other = RingOwner(repository: owner.repository, tenant: TenantID(high: 2, low: 12))
        #expect(
            refusal { () throws(UnwrapRefused) in _ = try key.unwrap(bytes, for: other) }
                == .damaged)
        let request = try #require(kms.state.withLockedValue { $0.requests.first })
        let headers = Dictionary(request.headers.map { ($0.name, $0.value) }) { $1 }
        #expect(headers["x-amz-target"] == "TrentService.Encrypt")
        #expect(headers["content-type"] == "application/x-amz-json-1.1")
        #expect(headers["authorization"]?.contains("/eu-central-1/kms/aws4_request") == true)
        let body = try #require(kms.state.withLockedValue { $0.bodies.first })
        #expect(body.contains(#""holdfast:tenant":"0000000000000002000000000000000b""#))
        #expect(body.contains(#""holdfast:repository":"0000000000000001000000000000000a""#))
    }

    /// The operator has to know whether to look for another key or for another copy.
    @Test func `a wrong key is told from damage`() throws {
        let kms = FakeKMS()
        for id in ["k1", "k2"] { kms.set(id, .enabled, byte: id == "k1" ? 7 : 8) }
        let bytes = try key("k1", kms).wrap(secret(9), for: owner)
        let asked = kms.state.withLockedValue { $0.requests.count }
        for other in ["k2", kms.arn("k2")] {
            #expect(
                refusal { () throws(UnwrapRefused) in
                    _ = try key(other, kms).unwrap(bytes, for: owner)
                } == .wrongKey)
        }
        let elsewhere = FakeKMS(region: "us-east-1")
        #expect(
            refusal { () throws(UnwrapRefused) in
                _ = try key("k1", elsewhere).unwrap(bytes, for: owner)
            } == .wrongKey)
        #expect(kms.state.withLockedValue { $0.requests.count } == asked, "nobody had to be asked")
        // Of an alias only the service can tell.
        kms.set("alias/site", .enabled, byte: 8)
        #expect(
            refusal { () throws(UnwrapRefused) in
                _ = try key("alias/site", kms).unwrap(bytes, for: owner)
            } == .wrongKey)
        for cut in [0, 1, 2, 40, bytes.count - 1] {
            #expect(
                refusal { () throws(UnwrapRefused) in
                    _ = try key("k1", kms).unwrap(Array(bytes[..<cut]), for: owner)
                } == .damaged, "\(cut)")
        }
        let multi = KMSBlob(arn: "arn:aws:kms:us-east-1:1:key/mrk-1", ciphertext: [1])
        #expect(multi.mayBe(of: "mrk-1", in: "eu-central-1"))
        #expect(!multi.mayBe(of: "mrk-2", in: "us-east-1"))
    }

    @Test(
        arguments: [
            (400, "DisabledException", "the key is disabled: enable it (DisabledException, so)"),
            (400, "com.amazonaws.kms#KMSInvalidStateException", "wait to be deleted"),
            (400, "NotFoundException", "one that was deleted opens nothing any more"),
            (400, "AccessDeniedException", "allow kms:Encrypt and kms:Decrypt"),
            (403, "UnrecognizedClientException", "does not accept these credentials"),
            (403, "", "does not accept these credentials"),
            (400, "ExpiredTokenException", "does not accept these credentials"),
            (400, "ValidationException", "ValidationException, so"),
        ])
    func `what no second try makes better is told at once, with what to do`(
        status: Int, code: String, words: String
    ) throws {
        let kms = FakeKMS()
        kms.set("k1", .enabled)
        let bytes = try key("k1", kms).wrap(secret(9), for: owner)
        kms.state.withLockedValue { $0.faults = [.success(FakeKMS.problem(status, code))] }
        let told = refusal { () throws(UnwrapRefused) in
            _ = try key("k1", kms).unwrap(bytes, for: owner)
        }
        #expect("\(try #require(told))".contains(words))
        #expect("\(try #require(told))".hasPrefix("KMS key k1 in eu-central-1: "))
        #expect(slept.withLockedValue { $0 }.isEmpty)
    }

    @Test func `what passes is tried again, and not for ever`() throws {
        let kms = FakeKMS()
        kms.set("k1", .enabled)
        let key = key("k1", kms)
        kms.state.withLockedValue {
            $0.faults = [
                .success(FakeKMS.problem(400, "ThrottlingException")),
                .success(FakeKMS.problem(500, "KMSInternalException")),
                .failure(.broken("the KMS does not answer")),
            ]
        }
        let bytes = try key.wrap(secret(9), for: owner)
        #expect(try key.unwrap(bytes, for: owner).isSame(as: secret(9)))
        kms.state.withLockedValue {
            $0.requests = []
            $0.faults = Array(
                repeating: .success(FakeKMS.problem(400, "ThrottlingException")), count: 100)
        }
        let told = refusal { () throws(UnwrapRefused) in _ = try key.unwrap(bytes, for: owner) }
        #expect(
            told
                == .service(
                    "KMS key k1 in eu-central-1: ThrottlingException, so; given up after 6 tries"))
        #expect(kms.state.withLockedValue { $0.requests.count } == 6)
    }

    @Test func `an answer that is none is not taken for a key`() throws {
        let kms = FakeKMS()
        kms.set("k1", .enabled)
        let key = key("k1", kms)
        let bytes = try key.wrap(secret(9), for: owner)
        for body in ["", "{}", #"{"Plaintext":"AAAA"}"#, "<xml/>"] {
            kms.state.withLockedValue {
                $0.faults = [.success(S3Answer(status: 200, body: Array(body.utf8)))]
            }
            let told = refusal { () throws(UnwrapRefused) in _ = try key.unwrap(bytes, for: owner) }
            #expect(told.map { "\($0)".contains("gave no key of 32 bytes") } == true)
        }
    }

    /// B5: the KMS's key is disabled and comes back, is destroyed, or its region is the one that failed.
    @Test func `a ring opens while its key does, and else by another one`() async throws {
        let folder = "/tmp/hfk-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (kms, far) = (FakeKMS(), FakeKMS(region: "us-east-1"))
        for each in [kms, far] { each.set("k1", .enabled, byte: each.region == kms.region ? 7 : 8) }
        let (near, other) = (KeyHolder.service(key("k1", kms)), KeyHolder.service(key("k1", far)))
        let rings = Rings(
            try DirectoryStore(folder), repository: owner.repository, tenant: owner.tenant)
        var chance = SystemRandomNumberGenerator()
        let made = try rings.found(
            for: [NamedHolder("near", near), NamedHolder("far", other)], at: .zero, using: &chance)
        try Vault.found(owner.repository, in: rings.store)
        func opened(by holder: KeyHolder) -> String {
            do throws(BackupFailure) {
                let ring = try rings.newest(openedBy: holder)
                return ring.digest == made.digest ? "opened" : "another"
            } catch { return "\(error)" }
        }
        #expect(opened(by: near) == "opened" && opened(by: other) == "opened")
        kms.set("k1", .disabled)
        #expect(opened(by: near).contains("the key is disabled"))
        kms.set("k1", .enabled)
        #expect(opened(by: near) == "opened")
        kms.set("k1", .gone)
        #expect(opened(by: near).contains("one that was deleted opens nothing any more"))
        kms.state.withLockedValue {
            $0.faults = Array(repeating: .failure(.broken("no connection")), count: 100)
        }
        #expect(opened(by: near).contains("no connection; given up after"))
        #expect(opened(by: other) == "opened")
        // Both gone: nobody reads it any more.
        far.set("k1", .gone)
        #expect(opened(by: other).contains("opens nothing any more"))
    }
}
