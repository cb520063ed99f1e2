/// As much XML as S3's answers are made of: elements and text. Attributes and comments are skipped; a document type, by
/// which a text could grow or reach elsewhere, is refused.
package struct XMLElement: Hashable, Sendable {
    package static let depthMax = 16

    /// Without the namespace.
    package let name: String
    package private(set) var text = ""
    package private(set) var children: [XMLElement] = []

    package enum Refused: Error, Hashable, Sendable {
        case notText
        case documentType
        case tooDeep
        /// What is not as it has to be, at that byte.
        case malformed(at: Int)
    }

    package init(parsing bytes: [UInt8]) throws(Refused) {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw .notText }
        var reader = XMLReader(bytes: bytes)
        self = try reader.document()
    }

    fileprivate init(_ name: String) { self.name = name }

    package func child(_ name: String) -> XMLElement? { children.first { $0.name == name } }
    package func text(_ name: String) -> String? { child(name)?.text }

    fileprivate mutating func end(_ text: [UInt8]) throws(Refused) {
        guard let text = String(validating: text, as: UTF8.self) else { throw .notText }
        self.text = text
    }
    fileprivate mutating func add(_ child: XMLElement) { children.append(child) }
}

private struct XMLReader {
    typealias Refused = XMLElement.Refused

    let bytes: [UInt8]
    var at = 0

    mutating func document() throws(Refused) -> XMLElement {
        _ = skip("\u{feff}")
        try skipAround()
        guard skip("<") else { throw .malformed(at: at) }
        let root = try element(depth: 1)
        try skipAround()
        guard at == bytes.count else { throw .malformed(at: at) }
        return root
    }

    /// What may stand before and behind the root.
    private mutating func skipAround() throws(Refused) {
        while true {
            skipSpace()
            if skip("<?") {
                try skipPast("?>")
            } else if skip("<!--") {
                try skipPast("-->")
            } else {
                guard !isNext("<!") else { throw .documentType }
                return
            }
        }
    }

    /// From behind its first `<` to behind its last `>`.
    private mutating func element(depth: Int) throws(Refused) -> XMLElement {
        guard depth <= XMLElement.depthMax else { throw .tooDeep }
        let name = try name()
        var element = XMLElement(Self.local(name))
        if try skipAttributes() { return element }
        var text: [UInt8] = []
        while at < bytes.count {
            if skip("</") {
                let closed = try self.name()
                skipSpace()
                guard closed == name, skip(">") else { throw .malformed(at: at) }
                try element.end(text)
                return element
            } else if skip("<!--") {
                try skipPast("-->")
            } else if skip("<![CDATA[") {
                let start = at
                try skipPast("]]>")
                text += bytes[start..<at - 3]
            } else if isNext("<!") {
                throw .documentType
            } else if skip("<?") {
                try skipPast("?>")
            } else if skip("<") {
                element.add(try self.element(depth: depth + 1))
            } else if skip("&") {
                text += try reference().utf8
            } else {
                text.append(bytes[at])
                at += 1
            }
        }
        throw .malformed(at: at)
    }

    private mutating func name() throws(Refused) -> String {
        let start = at
        while at < bytes.count, !Self.endsName.contains(bytes[at]) { at += 1 }
        guard at > start else { throw .malformed(at: at) }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    private static let endsName = Set(" \t\r\n<>/=\"'&".utf8)

    private static func local(_ name: String) -> String {
        name.lastIndex(of: ":").map { String(name[name.index(after: $0)...]) } ?? name
    }

    /// True where the element ends with its start.
    private mutating func skipAttributes() throws(Refused) -> Bool {
        while at < bytes.count {
            skipSpace()
            if skip("/>") { return true }
            if skip(">") { return false }
            _ = try name()
            skipSpace()
            guard skip("=") else { throw .malformed(at: at) }
            skipSpace()
            let quote = skip("\"") ? "\"" : "'"
            guard quote == "\"" || skip("'") else { throw .malformed(at: at) }
            try skipPast(quote)
        }
        throw .malformed(at: at)
    }

    /// The five that XML knows, and characters by number.
    private mutating func reference() throws(Refused) -> String {
        let start = at
        try skipPast(";")
        let name = String(decoding: bytes[start..<at - 1], as: UTF8.self)
        if let known = Self.references[name] { return known }
        let number =
            name.hasPrefix("#x")
            ? UInt32(name.dropFirst(2), radix: 16)
            : name.hasPrefix("#") ? UInt32(name.dropFirst()) : nil
        guard let scalar = number.flatMap(Unicode.Scalar.init) else { throw .malformed(at: start) }
        return String(Character(scalar))
    }

    private static let references = [
        "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'",
    ]

    private func isNext(_ text: String) -> Bool { bytes[at...].starts(with: text.utf8) }

    private mutating func skip(_ text: String) -> Bool {
        guard isNext(text) else { return false }
        at += text.utf8.count
        return true
    }

    private mutating func skipSpace() {
        while at < bytes.count, [0x20, 0x09, 0x0d, 0x0a].contains(bytes[at]) { at += 1 }
    }

    private mutating func skipPast(_ text: String) throws(Refused) {
        let wanted = Array(text.utf8)
        while at + wanted.count <= bytes.count {
            if bytes[at..<at + wanted.count].elementsEqual(wanted) {
                at += wanted.count
                return
            }
            at += 1
        }
        throw .malformed(at: bytes.count)
    }
}
