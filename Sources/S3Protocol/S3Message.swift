package import Sealing

/// What is asked of a service: as it is signed, and as it is sent.
package struct S3Request: Hashable, Sendable {
    package enum Method: String, Hashable, Sendable {
        case get = "GET"
        case put = "PUT"
        case delete = "DELETE"
        case post = "POST"
    }

    package let method: Method
    /// Percent-encoded, from the first slash on.
    package let path: String
    /// Percent-encoded and in order; empty where there is none.
    package let query: String
    /// Names in lower case; all of them are signed.
    package private(set) var headers: [Header]
    package let bodyDigest: Digest

    package struct Header: Hashable, Sendable {
        package let name: String
        package let value: String
    }

    package init(
        _ method: Method, path: String, query: [(String, String)] = [],
        headers: [(String, String)] = [], bodyDigest: Digest = .ofNothing
    ) {
        (self.method, self.path, self.bodyDigest) = (method, path, bodyDigest)
        self.query = query.map {
            (PercentEncoding.text($0.0), PercentEncoding.text($0.1))
        }
        .sorted { $0 < $1 }.map { "\($0.0)=\($0.1)" }.joined(separator: "&")
        self.headers = headers.map { Header(name: $0.0.lowercased(), value: $0.1) }
    }

    package mutating func add(_ name: String, _ value: String) {
        headers.append(Header(name: name, value: value))
    }

    package var target: String { query.isEmpty ? path : "\(path)?\(query)" }
}

/// What a service answered.
package struct S3Answer: Hashable, Sendable {
    package let status: Int
    /// By names in lower case.
    package let headers: [String: String]
    package let body: [UInt8]

    package init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        (self.status, self.headers, self.body) = (status, headers, body)
    }
}

/// RFC 3986, as AWS signs it: all but unreserved characters, each byte as `%` and two capital digits.
package enum PercentEncoding {
    package static func text(_ text: String, keepingSlashes: Bool = false) -> String {
        var encoded = ""
        for byte in text.utf8 {
            let isPlain = isUnreserved(byte) || (keepingSlashes && byte == UInt8(ascii: "/"))
            if isPlain {
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += byte < 16 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return encoded
    }

    /// nil for what is not encoded so, or is no text.
    package static func decoded(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                // In a query a space may stand as a plus.
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(digit),
                let low = rest.popFirst().flatMap(digit)
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || [UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~")]
                .contains(byte)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8($0) }
    }
}
