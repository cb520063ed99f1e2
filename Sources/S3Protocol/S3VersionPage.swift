/// One page of a list of all versions of objects (ListObjectVersions).
package struct S3VersionPage: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package let key: String
        package let version: String
        /// Deleted: no bytes, and whatever is older is hidden behind it.
        package let isMarker: Bool
        package let byteCount: Int
        /// When it was put, by the service's clock, in seconds.
        package let modified: UInt64
    }

    /// By key, and of each the newest version first, as services list them.
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
                let modified = each.text("LastModified").flatMap({ S3Time.unixSeconds(date: $0) })
            else { throw .entry(entries.count) }
            entries.append(
                Entry(
                    key: plain(key), version: version, isMarker: isMarker,
                    byteCount: count, modified: modified))
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
