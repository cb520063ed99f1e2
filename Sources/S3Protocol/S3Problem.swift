/// What a service says is wrong: the body of its answer, or of a "200 OK" that is none.
package struct S3Problem: Hashable, Sendable {
    /// What is shown of a service's own words: they go to logs and terminals.
    package static let shownMax = 200

    package let code: String
    package let message: String
    /// Where a bucket is, as far as it says.
    package let region: String?
    package let endpoint: String?
    /// Of an object that ends before what was asked for.
    package let byteCount: Int?

    /// nil for a body that tells of no problem.
    package init?(parsing body: [UInt8]) {
        guard let root = try? XMLElement(parsing: body), root.name == "Error",
            let code = root.text("Code"), !code.isEmpty
        else { return nil }
        self.code = Self.shown(code)
        message = Self.shown(root.text("Message") ?? "")
        region = root.text("Region").map(Self.shown)
        endpoint = root.text("Endpoint").map(Self.shown)
        byteCount = root.text("ActualObjectSize").flatMap { Int($0) }
    }

    /// One line, of bounded length, without what could move a terminal's cursor.
    package static func shown(_ text: String) -> String {
        let plain = text.unicodeScalars.filter { !$0.properties.isDefaultIgnorableCodePoint }
            .map { $0.value < 0x20 || (0x7f..<0xa0).contains($0.value) ? " " : Character($0) }
        return String(plain.prefix(shownMax))
    }
}

/// One page of a list of objects (ListObjectsV2).
package struct S3ListPage: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package let key: String
        package let byteCount: Int
    }
    package let entries: [Entry]
    /// By which the next page is asked for; nil on the last one.
    package let next: String?

    package enum Refused: Error, Hashable, Sendable, CustomStringConvertible {
        case notXML(XMLElement.Refused)
        case notAList(String)
        case entry(Int)
        /// A list that is short must not pass for a whole one.
        case count(said: String, have: Int)
        case noNext
        /// It does not say whether it goes on.
        case noEnd

        package var description: String {
            switch self {
            case .notXML: "the list that it gave is no XML"
            case .notAList(let name): "it gave no list, but \(S3Problem.shown(name))"
            case .entry(let at): "entry \(at) of its list lacks its key or its size"
            case .count(let said, let have):
                "its list says that it has \(S3Problem.shown(said)) entries, and has \(have)"
            case .noEnd: "its list does not say whether it goes on"
            case .noNext: "its list says that it goes on, and not where"
            }
        }
    }

    package init(parsing body: [UInt8]) throws(Refused) {
        let root = try XMLElement(list: "ListBucketResult", of: body)
        let isEncoded = root.text("EncodingType") == "url"
        var entries: [Entry] = []
        for each in root.children where each.name == "Contents" {
            guard let key = each.text("Key"),
                let count = each.text("Size").flatMap({ Int($0) }), count >= 0
            else { throw .entry(entries.count) }
            // What can't be decoded is no object's name either way.
            let plain = isEncoded ? PercentEncoding.decoded(key) ?? key : key
            entries.append(Entry(key: plain, byteCount: count))
        }
        if let said = root.text("KeyCount"), Int(said) != entries.count {
            throw .count(said: said, have: entries.count)
        }
        self.entries = entries
        guard try root.goesOn else {
            next = nil
            return
        }
        guard let token = root.text("NextContinuationToken"), !token.isEmpty else { throw .noNext }
        next = token
    }
}

extension XMLElement {
    /// The root of a page of a list.
    init(list name: String, of body: [UInt8]) throws(S3ListPage.Refused) {
        do throws(Refused) { self = try XMLElement(parsing: body) } catch { throw .notXML(error) }
        guard self.name == name else { throw .notAList(self.name) }
    }

    /// Whether another page follows; a page that does not say so may be cut short.
    var goesOn: Bool {
        get throws(S3ListPage.Refused) {
            switch text("IsTruncated") {
            case "true": true
            case "false": false
            default: throw .noEnd
            }
        }
    }
}
