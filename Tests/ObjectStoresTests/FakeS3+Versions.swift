import S3Protocol

/// As much of versions and locks as is asked for (S3 API reference: PutObject, DeleteObject, ListObjectVersions,
/// PutObjectRetention, GetObjectLockConfiguration), as SeaweedFS answers it (`make s3`).
extension FakeS3 {
    static let mode = "x-amz-object-lock-mode"
    static let until = "x-amz-object-lock-retain-until-date"

    func ofBucket(_ request: S3Request, _ state: State) -> S3Answer {
        let asked = Self.query(request)
        if asked["object-lock"] != nil {
            guard locks else { return Self.error(404, "ObjectLockConfigurationNotFoundError") }
            return S3Answer(
                status: 200,
                body: Array(
                    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
                        .utf8))
        }
        return asked["versions"] == nil ? list(request, state) : listVersions(asked, state)
    }

    func add(
        _ key: String, _ bytes: [UInt8]?, _ mode: String?, _ until: String?, _ state: inout State
    ) {
        guard locks else { return }
        state.versionCount += 1
        state.versions[key, default: []].append(
            Version(
                id: "v\(state.versionCount)", bytes: bytes, mode: mode, until: until,
                modified: state.seconds))
    }

    /// Time stands still here: what is locked stays so.
    func delete(_ key: String, _ id: String, _ state: inout State) -> S3Answer {
        let versions = state.versions[key] ?? []
        guard versions.first(where: { $0.id == id })?.mode == nil else {
            return Self.error(403, "AccessDenied")
        }
        state.versions[key] = versions.filter { $0.id != id }
        state.objects[key] = state.versions[key]?.last?.bytes
        return S3Answer(status: 204)
    }

    func retain(
        _ key: String, _ id: String?, _ body: [UInt8], _ state: inout State
    ) -> S3Answer {
        guard let root = try? XMLElement(parsing: body),
            let at = state.versions[key]?.lastIndex(where: { $0.id == id || id == nil })
        else { return Self.error(400, "MalformedXML") }
        state.versions[key]?[at].mode = root.text("Mode")
        state.versions[key]?[at].until = root.text("RetainUntilDate")
        return S3Answer(status: 200)
    }

    func version(_ key: String, _ id: String?, _ range: String?, _ state: State) -> S3Answer {
        let found = state.versions[key]?.last { id == nil || $0.id == id }
        guard let found, let bytes = found.bytes else { return Self.error(404, "NoSuchKey") }
        let answer = range.map { Self.part(of: bytes, $0) } ?? S3Answer(status: 200, body: bytes)
        var headers = answer.headers
        headers[Self.mode] = found.mode
        headers[Self.until] = found.mode.flatMap { _ in found.until }
        return S3Answer(status: answer.status, headers: headers, body: answer.body)
    }

    private func listVersions(_ asked: [String: String], _ state: State) -> S3Answer {
        var all: [(key: String, version: Version)] = []
        for (key, versions) in state.versions.sorted(by: { $0.key < $1.key })
        where key.hasPrefix(asked["prefix"] ?? "") {
            all += versions.reversed().map { (key, $0) }
        }
        let after = all.firstIndex {
            $0.key == asked["key-marker"] && $0.version.id == asked["version-id-marker"]
        }
        let rest = all[(after.map { $0 + 1 } ?? 0)...]
        let page = rest.prefix(pageMax)
        // SeaweedFS gives all versions of a page before all markers.
        let grouped =
            page.filter { $0.version.bytes != nil } + page.filter { $0.version.bytes == nil }
        let entries = grouped.map { key, version in
            let isLatest = state.versions[key]?.last?.id == version.id
            let kind = version.bytes == nil ? "DeleteMarker" : "Version"
            let size = version.bytes.map { "<Size>\($0.count)</Size>" } ?? ""
            return
                "<\(kind)><Key>\(PercentEncoding.text(key))</Key><VersionId>\(version.id)</VersionId>"
                + "<IsLatest>\(isLatest)</IsLatest><LastModified>\(S3Time(unixSeconds: version.modified).date)</LastModified>\(size)</\(kind)>"
        }
        let next =
            page.count < rest.count
            ? "<NextKeyMarker>\(page.last?.key ?? "")</NextKeyMarker>"
                + "<NextVersionIdMarker>\(page.last?.version.id ?? "")</NextVersionIdMarker>" : ""
        return S3Answer(
            status: 200,
            body: Array(
                """
                <ListVersionsResult><EncodingType>url</EncodingType>
                <IsTruncated>\(!next.isEmpty)</IsTruncated>\(next)\(entries.joined())</ListVersionsResult>
                """.utf8))
    }
}
