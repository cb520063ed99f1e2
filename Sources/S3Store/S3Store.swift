internal import FoundationEssentials
internal import Mesh
internal import NIOConcurrencyHelpers
package import Repository
package import S3Protocol
internal import Sealing

/// Objects in a bucket of an S3-compatible service.
///
/// That nothing is written over is the service's promise (`If-None-Match: *`); whether it keeps that is tried
/// before the first object is put.
package final class S3Store: ObjectStore {
    /// Larger ones are nobody's. So each is put by one request: parts that somebody has to put together, or to clear
    /// away, are never needed.
    package static let byteCountMax = 64 << 20
    /// Of the service's own answers: a page of a list has 1,000 keys of at most 1,024 bytes, encoded.
    static let answerMax = 8 << 20
    /// How often a put is begun again because what stood in its way was gone when it was looked at.
    private static let conflictsMax = 5
    /// Neither is an object's name: by what the service is tried, and what was taken out of the way.
    static let trial = ".put-if-absent"
    /// One that stores it, one that is to be refused, and some that come at the same time as another agent's.
    private static let trialsMax = 4
    static let quarantine = ".quarantine"

    let place: S3Place
    let patience: S3Patience
    let world: S3World
    let signer: S3Signer
    let carrier: any S3Carrier
    /// nil locks nothing; what the bucket does by itself it does all the same.
    package let lock: S3Lock?
    /// Whether an object of ours was seen to be locked.
    let isLockSeen = NIOLockedValueBox(false)
    private let isTried = NIOLockedValueBox(false)

    package init(
        _ place: S3Place, _ credentials: S3Credentials, carrier: any S3Carrier,
        lock: S3Lock? = nil, patience: S3Patience = S3Patience(), world: S3World = .ofThisMachine
    ) {
        (self.place, self.carrier, self.patience, self.world) = (place, carrier, patience, world)
        self.lock = lock
        signer = S3Signer(credentials, region: place.region)
    }

    package var copies: [StoreCopy] { [StoreCopy(place.description, self)] }

    package func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome
    {
        let deed = S3Deed("store", name.text)
        try tryOut(deed)
        return try put(name.text, bytes, deed)
    }

    package func get(
        _ name: ObjectName, _ range: Range<Int>?
    ) throws(ObjectStoreFailure) -> [UInt8] {
        let deed = S3Deed("read", name.text)
        return if let range { try part(range, name.text, deed) } else { try all(name.text, deed) }
    }

    /// Whether there was one the service does not say of itself.
    package func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
        let deed = S3Deed("delete", name.text)
        do throws(ObjectStoreFailure) { _ = try part(0..<0, name.text, deed) } catch {
            guard error.cause == .missing else { throw error }
            return false
        }
        try remove(name.text, deed)
        return true
    }

    /// A copy is made and read back before the object goes.
    package func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {
        let deed = S3Deed("quarantine", name.text)
        try tryOut(deed)
        try keepAside(name, try all(name.text, deed), deed)
        try remove(name.text, deed)
    }

    package func replace(
        _ name: ObjectName, with bytes: [UInt8]
    ) throws(ObjectStoreFailure) {
        let deed = S3Deed("replace", name.text)
        try tryOut(deed)
        do throws(ObjectStoreFailure) {
            if let there = try allOrNothing(name.text, deed) { try keepAside(name, there, deed) }
        } catch {
            // A bucket that locks keeps each version: what can't be read (too long, archived, sealed by
            // somebody's key) stays behind the new one, and must not keep it out.
            guard lock != nil else { throw error }
        }
        let request = putRequest(name.text, bytes, isFirst: false)
        let told = try ask(request, body: bytes, deed, fault: Self.strangeSuccess)
        guard told.verdict == .done else { throw failure(deed, told.verdict.cause) }
        try compare(told.answer, request.bodyDigest, deed)
        try confirmLock(name.text, deed)
    }

    private func keepAside(
        _ name: ObjectName, _ bytes: [UInt8], _ deed: S3Deed
    ) throws(ObjectStoreFailure) {
        let number = String(UInt64.random(in: 0 ... .max), radix: 36)
        let other = "\(Self.quarantine)/\(name.flattened)\(number)"
        _ = try put(other, bytes, deed)
        guard try all(other, deed) == bytes else {
            throw failure(
                deed, .service("its copy \(other) is not what it holds: it stays where it is"))
        }
    }

    package func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int {
        let deed = S3Deed("empty", Self.quarantine)
        let names = try quarantined(beginning: part.flattened, deed)
        for name in names { try remove(name, deed) }
        return names.count
    }

    func failure(_ deed: S3Deed, _ cause: ObjectStoreFailure.Cause) -> ObjectStoreFailure {
        ObjectStoreFailure(deed.verb, deed.what, in: place.description, cause)
    }

    private func remove(_ name: String, _ deed: S3Deed) throws(ObjectStoreFailure) {
        let told = try ask(
            S3Request(.delete, path: place.path(name)), deed, fault: Self.strangeSuccess)
        guard told.verdict == .done || told.verdict == .noSuchObject else {
            throw failure(deed, told.verdict.cause)
        }
    }
}

extension S3Store {
    /// `isFirst` is refused where anything has that name.
    private func putRequest(
        _ name: String, _ bytes: [UInt8], isFirst: Bool = true
    ) -> S3Request {
        let digest = Digest(of: bytes.span)
        let lock = Self.isLocked(name) ? lock?.headers(at: world.unixSeconds()) ?? [] : []
        // The service compares what came with both: with the one of the signature, and with the one that it keeps.
        return S3Request(
            .put, path: place.path(name),
            headers: (isFirst ? [("if-none-match", "*")] : []) + lock + [
                ("content-type", "application/octet-stream"),
                // Some ask for its name, too, where a bucket locks objects by itself.
                ("x-amz-sdk-checksum-algorithm", "SHA256"),
                ("x-amz-checksum-sha256", digest.base64),
            ], bodyDigest: digest)
    }

    private func put(
        _ name: String, _ bytes: [UInt8], _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> PutOutcome {
        guard bytes.count <= Self.byteCountMax else {
            throw failure(deed, .oversized(bytes.count))
        }
        let request = putRequest(name, bytes)
        for tries in 1...Self.conflictsMax {
            let told = try ask(request, body: bytes, deed, fault: Self.strangeSuccess)
            switch told.verdict {
            case .done:
                try compare(told.answer, request.bodyDigest, deed)
                try confirmLock(name, deed)
                return .stored
            case .isThere, .conflict:
                guard let there = try allOrNothing(name, deed) else {
                    // Deleted since it stood in the way, or not whole yet.
                    pause(afterTries: tries, asked: nil)
                    continue
                }
                guard there == bytes else { throw failure(deed, .taken) }
                return .wasThere
            default: throw failure(deed, told.verdict.causeOfNone)
            }
        }
        throw failure(
            deed, .service("something is in its way and gone, \(Self.conflictsMax) times in a row"))
    }

    /// Nothing stands behind the success of a put: a page of a gateway's does.
    private static func strangeSuccess(_ answer: S3Answer) -> String? {
        let isBlank = answer.body.allSatisfy { $0 == 0x20 || (0x09...0x0d).contains($0) }
        guard !isBlank || answer.status != 200 && answer.status != 204 else { return nil }
        return "it answered with status \(answer.status) and something that no store says"
    }

    /// What the service says that it holds now, where it says so.
    private func compare(
        _ answer: S3Answer, _ digest: Digest, _ deed: S3Deed
    ) throws(ObjectStoreFailure) {
        guard let kept = answer.headers["x-amz-checksum-sha256"], kept != digest.base64 else {
            return
        }
        throw failure(
            deed,
            .service("the store took it, and says that it holds something else: look at it there"))
    }

    /// A service that does not know `If-None-Match` writes over what is there and says nothing. So the same is put
    /// twice under a name that is no object's: the second has to be refused.
    private func tryOut(_ deed: S3Deed) throws(ObjectStoreFailure) {
        guard !isTried.withLockedValue({ $0 }) else { return }
        try tryLock(deed)
        let bytes = Array("what is there is never written over\n".utf8)
        for _ in 1...Self.trialsMax {
            let verdict = try ask(
                putRequest(Self.trial, bytes), body: bytes, deed, fault: Self.strangeSuccess
            ).verdict
            switch verdict {
            // A conflict proves nothing: another agent may be trying it out in this moment.
            case .done, .conflict: continue
            case .isThere:
                isTried.withLockedValue { $0 = true }
                return
            default: throw failure(deed, verdict.causeOfNone)
            }
        }
        throw failure(
            deed,
            .service(
                "this store writes over what is there although it was told not to (If-None-Match: *); "
                    + "two agents could destroy each other's backups: use another store"))
    }
}

/// What is being done, for whoever reads why it was not.
struct S3Deed: Hashable, Sendable {
    let verb: String
    let what: String
    init(_ verb: String, _ what: String) { (self.verb, self.what) = (verb, what) }
}

extension Digest {
    var base64: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return Data(bytes).base64EncodedString()
    }
}

extension S3Verdict {
    /// Of what is not `done`.
    var cause: ObjectStoreFailure.Cause {
        switch self {
        case .noSuchObject: .missing
        case .noSuchBucket: .storeGone
        case .isThere: .taken
        case .full: .full
        case .conflict: .service("somebody else changes it at this moment: try again")
        case .done, .beyondEnd: .service("its answer makes no sense here")
        case .again(let words), .refused(let words): .service(words)
        }
    }

    /// Where no object was asked for, what is missing is the bucket.
    var causeOfNone: ObjectStoreFailure.Cause { self == .noSuchObject ? .storeGone : cause }
}
