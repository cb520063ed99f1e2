/// Who asks a service. The secret is in no description of it.
package struct S3Credentials: Sendable, CustomStringConvertible, CustomReflectable {
    package static let byteCountMax = 16 << 10

    /// Not secret: services name it in their answers.
    package let id: String
    let secret: String
    /// Of credentials that are lent for a while.
    let token: String?

    package init(id: String, secret: String, token: String? = nil) {
        (self.id, self.secret, self.token) = (id, secret, token)
    }

    package var description: String { "credentials \(id)" }
    package var customMirror: Mirror { Mirror(self, children: ["id": id]) }

    package enum Refused: Error, Hashable, Sendable, CustomStringConvertible {
        case notText
        case noProfile
        case lacks(String)
        case isTwice(String)

        package var description: String {
            switch self {
            case .notText: "is no text"
            case .noProfile:
                "has no [default]; expected lines [default], aws_access_key_id = … and "
                    + "aws_secret_access_key = …"
            case .lacks(let key): "lacks \(key) below [default]"
            case .isTwice(let key): "has \(key) twice below [default]"
            }
        }
    }

    /// Reads what AWS's own tools keep in `~/.aws/credentials`: of the profile `default`.
    package init(parsing bytes: [UInt8]) throws(Refused) {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notText }
        var values: [String: String] = [:]
        var (isInDefault, isThere) = (false, false)
        for line in text.split(whereSeparator: \.isNewline).map(Self.trimmed) {
            if line.hasPrefix("[") {
                isInDefault = line == "[default]"
                isThere = isThere || isInDefault
                continue
            }
            guard isInDefault, !line.hasPrefix("#"), !line.hasPrefix(";"),
                let equals = line.firstIndex(of: "=")
            else { continue }
            let key = Self.trimmed(line[..<equals]).lowercased()
            guard values[key] == nil else { throw .isTwice(key) }
            values[key] = String(Self.trimmed(line[line.index(after: equals)...]))
        }
        guard isThere else { throw .noProfile }
        func value(_ key: String) throws(Refused) -> String {
            guard let value = values[key], !value.isEmpty else { throw .lacks(key) }
            return value
        }
        id = try value("aws_access_key_id")
        secret = try value("aws_secret_access_key")
        token = values["aws_session_token"].flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
