internal import Mesh
internal import Repository
internal import S3Protocol
internal import Sealing

extension S3Store {
    func allOrNothing(
        _ name: String, _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> [UInt8]? {
        do throws(ObjectStoreFailure) { return try all(name, deed) } catch {
            guard error.cause == .missing else { throw error }
            return nil
        }
    }

    func all(
        _ name: String, version: String? = nil, _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> [UInt8] {
        let request = S3Request(
            .get, path: place.path(name), query: version.map { [("versionId", $0)] } ?? [],
            headers: [("x-amz-checksum-mode", "ENABLED")])
        let told = try ask(request, deed, bodyIsObject: true) { answer in
            // Of what was put in parts, which we never do, it is the digest of the parts' digests.
            guard let kept = answer.headers["x-amz-checksum-sha256"], !kept.contains("-"),
                kept != Digest(of: answer.body.span).base64
            else { return nil }
            return "what came is not what the store says it holds"
        }
        guard told.verdict == .done else { throw failure(deed, told.verdict.cause) }
        return told.answer.body
    }

    /// An empty part tells whether the object is there and reaches so far.
    func part(
        _ range: Range<Int>, _ name: String, _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> [UInt8] {
        // No empty part can be asked for: the byte before it is, or the first one.
        let wanted =
            range.isEmpty
            ? max(range.lowerBound, 1) - 1..<max(range.lowerBound, 1) : range
        let request = S3Request(
            .get, path: place.path(name),
            headers: [("range", "bytes=\(wanted.lowerBound)-\(wanted.upperBound - 1)")])
        let told = try ask(request, deed, bodyIsObject: true) { Self.fault(of: $0, asked: wanted) }
        let have: Int
        switch (told.verdict, told.answer.status) {
        case (.done, 206):
            have =
                told.answer.contentRange?.part?.upperBound == wanted.upperBound
                ? wanted.upperBound : told.answer.contentRange?.byteCount ?? 0
        case (.done, _): have = told.answer.body.count
        case (.beyondEnd, _):
            have =
                told.answer.contentRange?.byteCount
                ?? S3Problem(parsing: told.answer.body)?.byteCount ?? 0
        default: throw failure(deed, told.verdict.cause)
        }
        guard have >= range.upperBound else {
            throw failure(deed, .short(wanted: range.upperBound, have: have))
        }
        guard !range.isEmpty else { return [] }
        return told.answer.status == 206 ? told.answer.body : Array(told.answer.body[range])
    }

    /// Why an answer is not the part that was asked for, nor the end of an object that is shorter.
    private static func fault(of answer: S3Answer, asked: Range<Int>) -> String? {
        // A service may give all of an object instead.
        guard answer.status == 206 else { return nil }
        guard let given = answer.contentRange, let part = given.part else {
            return "it gave a part, and did not say which"
        }
        let isAsked = part == asked
        let isEnd =
            part.lowerBound == asked.lowerBound && part.upperBound < asked.upperBound
            && part.upperBound == given.byteCount
        guard isAsked || isEnd else {
            return "it gave bytes \(part.lowerBound) to \(part.upperBound), not those asked for"
        }
        return answer.body.count == part.count
            ? nil : "it gave \(answer.body.count) of \(part.count) bytes"
    }
}

extension S3Answer {
    var contentRange: ContentRange? { headers["content-range"].flatMap(ContentRange.init) }
}
