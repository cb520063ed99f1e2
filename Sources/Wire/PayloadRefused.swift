/// Why a command's or a snapshot's bytes are not lawful. A newer version's command is told from
/// damage: the former means that this node must be upgraded, never that the log is bad.
package enum PayloadRefused: Error, Hashable, Sendable, CustomStringConvertible {
    case oversized(byteCount: Int, limit: Int)
    case undecodable
    case unknownCommand
    case missing(field: String)
    case unlawful(field: String, value: String)

    package var description: String {
        switch self {
        case .oversized(let byteCount, let limit):
            "payload of \(byteCount) bytes; at most \(limit) are lawful"
        case .undecodable: "payload is no protocol buffer of this kind"
        case .unknownCommand:
            "command is not known to this version; upgrade this node before it applies the entry"
        case .missing(let field): "field \(field) is missing"
        case .unlawful(let field, let value): "field \(field) cannot be \(value)"
        }
    }
}
