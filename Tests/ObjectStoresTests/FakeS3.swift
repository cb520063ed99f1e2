import Mesh
import NIOConcurrencyHelpers
import S3Protocol
import S3Store

/// A service in memory: as much of S3 as a repository asks for. Its answers are those of the S3 API reference (PutObject,
/// GetObject, DeleteObject, ListObjectsV2, "Error responses"), which SeaweedFS and moto give too (`make s3`).
final class FakeS3: S3Carrier {
    /// What goes wrong with one request.
    enum Fault: Sendable {
        case mishap(S3Mishap)
        case answer(S3Answer)
        /// It is done, and the answer is lost.
        case lost
        /// What it answers is changed on its way.
        case garbled(@Sendable (S3Answer) -> S3Answer)
    }

    /// What a bucket with versions keeps, which one that locks objects is.
    struct Version: Sendable {
        let id: String
        /// nil of a delete marker.
        let bytes: [UInt8]?
        var mode: String?
        var until: String?
        let modified: UInt64
    }

    struct State: Sendable {
        var objects: [String: [UInt8]] = [:]
        /// The oldest first.
        var versions: [String: [Version]] = [:]
        var versionCount = 0
        /// The service's own clock.
        var seconds: UInt64 = 1_440_938_160
        var faults: [Fault] = []
        var requests: [S3Request] = []
    }

    static let bucket = "bucket"
    private let bucket: String
    let pageMax: Int
    /// Whether it keeps the promise of `If-None-Match`.
    private let knowsConditions: Bool
    let locks: Bool
    /// One that says so and does nothing about it.
    private let forgetsLocks: Bool
    let state = NIOLockedValueBox(State())

    init(
        bucket: String = FakeS3.bucket, pageMax: Int = 2, knowsConditions: Bool = true,
        locks: Bool = false, forgetsLocks: Bool = false
    ) {
        (self.bucket, self.pageMax, self.knowsConditions) = (bucket, pageMax, knowsConditions)
        (self.locks, self.forgetsLocks) = (locks, forgetsLocks)
    }

    func carry(
        _ request: S3Request, _ body: [UInt8], answerMax: Int, within limit: Interval
    ) throws(S3Mishap) -> S3Answer {
        let result = state.withLockedValue { state -> Result<S3Answer, S3Mishap> in
            state.requests.append(request)
            let fault = state.faults.isEmpty ? nil : state.faults.removeFirst()
            switch fault {
            case .mishap(let mishap): return .failure(mishap)
            case .answer(let answer): return .success(answer)
            case .lost:
                _ = reply(request, body, &state)
                return .failure(.broken("the connection was cut"))
            case .garbled(let change): return .success(change(reply(request, body, &state)))
            case nil: return .success(reply(request, body, &state))
            }
        }
        let answer = try result.get()
        guard answer.body.count <= answerMax else { throw .tooLong }
        return answer
    }

    static func error(_ status: Int, _ code: String, _ headers: [String: String] = [:]) -> S3Answer
    {
        S3Answer(
            status: status, headers: headers,
            body: Array("<Error><Code>\(code)</Code><Message>so</Message></Error>".utf8))
    }

    private func reply(_ request: S3Request, _ body: [UInt8], _ state: inout State) -> S3Answer {
        let parts = request.path.dropFirst().split(separator: "/", maxSplits: 1)
        guard parts.first.map(String.init) == bucket else { return Self.error(404, "NoSuchBucket") }
        guard parts.count == 2 else { return ofBucket(request, state) }
        let key = PercentEncoding.decoded(String(parts[1])) ?? ""
        func header(_ name: String) -> String? {
            request.headers.first { $0.name == name }?.value
        }
        let asked = Self.query(request)
        if asked["retention"] != nil { return retain(key, asked["versionId"], body, &state) }
        if header(Self.mode) != nil, !locks { return Self.error(400, "InvalidRequest") }
        switch request.method {
        case .post: return Self.error(405, "MethodNotAllowed")
        case .put:
            if knowsConditions, header("if-none-match") == "*", state.objects[key] != nil {
                return Self.error(412, "PreconditionFailed")
            }
            state.objects[key] = body
            add(key, body, forgetsLocks ? nil : header(Self.mode), header(Self.until), &state)
            return S3Answer(status: 200)
        case .delete:
            if let id = asked["versionId"] { return delete(key, id, &state) }
            state.objects[key] = nil
            add(key, nil, nil, nil, &state)
            return S3Answer(status: 204)
        case .get:
            if locks { return version(key, asked["versionId"], header("range"), state) }
            guard let bytes = state.objects[key] else { return Self.error(404, "NoSuchKey") }
            guard let range = header("range") else { return S3Answer(status: 200, body: bytes) }
            return Self.part(of: bytes, range)
        }
    }

    static func part(of bytes: [UInt8], _ range: String) -> S3Answer {
        let ends = range.dropFirst("bytes=".count).split(separator: "-").compactMap { Int($0) }
        guard ends[0] < bytes.count else {
            return error(416, "InvalidRange", ["content-range": "bytes */\(bytes.count)"])
        }
        let part = ends[0]..<min(ends[1] + 1, bytes.count)
        let words = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(bytes.count)"
        return S3Answer(
            status: 206, headers: ["content-range": words], body: Array(bytes[part]))
    }

    static func query(_ request: S3Request) -> [String: String] {
        request.query.split(separator: "&").reduce(into: [:]) { asked, pair in
            let halves = pair.split(separator: "=", omittingEmptySubsequences: false)
            asked[String(halves[0])] = PercentEncoding.decoded(String(halves[1]))
        }
    }

    func list(_ request: S3Request, _ state: State) -> S3Answer {
        let asked = Self.query(request)
        let keys = state.objects.keys.sorted().filter {
            $0.hasPrefix(asked["prefix"] ?? "") && $0 > asked["continuation-token"] ?? ""
        }
        let page = keys.prefix(pageMax)
        let entries = page.map {
            "<Contents><Key>\(PercentEncoding.text($0))</Key>"
                + "<Size>\(state.objects[$0]?.count ?? 0)</Size></Contents>"
        }
        let next =
            page.count < keys.count
            ? "<NextContinuationToken>\(page.last ?? "")</NextContinuationToken>" : ""
        return S3Answer(
            status: 200,
            body: Array(
                """
                <ListBucketResult><EncodingType>url</EncodingType><KeyCount>\(page.count)</KeyCount>
                <IsTruncated>\(!next.isEmpty)</IsTruncated>\(next)\(entries.joined())</ListBucketResult>
                """.utf8))
    }
}
