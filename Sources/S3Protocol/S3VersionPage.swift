/// One page of a list of all versions of objects (ListObjectVersions).
package struct S3VersionPage: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package let key: String
        package let version: String
        /// Deleted: no bytes, and whatever is older is hidden behind it.
        package let isMarker: Bool
        package let byteCount: Int
        /// When it was put, by the service's clock, in milliseconds.
        package let modified: UInt64
        /// Whether it is what the bucket shows under that name.
        package let isLatest: Bool

        package init(
            key: String, version: String, isMarker: Bool, byteCount: Int, modified: UInt64,
            isLatest: Bool
        ) {
            (self.key, self.version, self.isMarker) = (key, version, isMarker)
            (self.byteCount, self.modified, self.isLatest) = (byteCount, modified, isLatest)
        }

        /// Newest first. AWS lists them so; SeaweedFS lists all versions of a page before all markers.
        package static func isNewer(_ a: Self, _ b: Self) -> Bool {
            if a.isLatest != b.isLatest { return a.isLatest }
            if a.modified != b.modified { return a.modified > b.modified }
            return a.isMarker && !b.isMarker
        }
    }

    /// As the service lists them: by key, more or less.
    package let entries: [Entry]
    /// By which the next page is asked for; nil on the last one.
    package let next: (key: String, version: String)?

    package init(parsing body: [UInt8]) throws(S3ListPage.Refused) {
        let root = try XMLElement(list: "ListVersionsResult", of: body)
        let isEncoded = root.text("EncodingType") == "url"
        func plain(_ text: String) -> String {
            isEncoded ? PercentEncoding.decoded(text) ?? text : text
        }
        var entries: [Entry] = []
        for each in root.children where ["Version", "DeleteMarker"].contains(each.name) {
            let isMarker = each.name == "DeleteMarker"
            let count = isMarker ? 0 : each.text("Size").flatMap { Int($0) } ?? -1
            guard let key = each.text("Key"), let version = each.text("VersionId"), count >= 0,
                let modified = each.text("LastModified").flatMap({
                    S3Time.unixMilliseconds(date: $0)
                })
            else { throw .entry(entries.count) }
            entries.append(
                Entry(
                    key: plain(key), version: version, isMarker: isMarker,
                    byteCount: count, modified: modified,
                    isLatest: each.text("IsLatest") == "true"))
        }
        self.entries = entries
        guard try root.goesOn else {
            next = nil
            return
        }
        guard let key = root.text("NextKeyMarker"), !key.isEmpty else { throw .noNext }
        next = (plain(key), root.text("NextVersionIdMarker") ?? "")
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.entries == b.entries && a.next?.key == b.next?.key && a.next?.version == b.next?.version
    }
    package func hash(into hasher: inout Hasher) { hasher.combine(entries) }
}
