import Mesh

/// The names in a journal's directory; what has another name is none of the journal's business.
enum JournalFile: Hashable, Sendable {
    case segment(UInt64)
    case index(UInt64)
    case base(UInt64)
    /// The same once more: nothing else holds what a base says when a block of it is lost.
    case copy(UInt64)
    /// Once the segment of that number: kept for its blocks, its bytes mean nothing.
    case spare(UInt64)
    /// Not yet renamed to what it will be: a crash left it, and nothing refers to it.
    case unfinished(String)

    static let unfinishedSuffix = ".new"

    init?(_ name: String) {
        if name.hasSuffix(Self.unfinishedSuffix),
            Self(String(name.dropLast(Self.unfinishedSuffix.count))) != nil
        {
            self = .unfinished(name)
            return
        }
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].utf8.count == 16,
            parts[1].utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }),
            let number = UInt64(parts[1], radix: 16)
        else { return nil }
        switch parts[0] {
        case "segment": self = .segment(number)
        case "index": self = .index(number)
        case "base": self = .base(number)
        case "copy": self = .copy(number)
        case "spare": self = .spare(number)
        default: return nil
        }
    }

    var name: String {
        switch self {
        case .segment(let number): "segment-" + Hexadecimal.text(number)
        case .index(let number): "index-" + Hexadecimal.text(number)
        case .base(let number): "base-" + Hexadecimal.text(number)
        case .copy(let number): "copy-" + Hexadecimal.text(number)
        case .spare(let number): "spare-" + Hexadecimal.text(number)
        case .unfinished(let name): name
        }
    }
}
