/// The words of option haggling (proto.md, "Option types" and "Option reply types").
enum NBDOption: UInt32, Sendable, CaseIterable {
    case exportName = 1
    case abort = 2
    case list = 3
    case startTLS = 5
    case info = 6
    case go = 7
    case structuredReply = 8
    case listMetaContext = 9
    case setMetaContext = 10

    static let magic: UInt64 = 0x4948_4156_454f_5054  // "IHAVEOPT"
    static let headerByteCount = 16
}

enum NBDOptionReply: UInt32, Sendable {
    case acknowledged = 1
    case server = 2
    case info = 3
    case metaContext = 4
    case unsupported = 0x8000_0001
    case invalid = 0x8000_0003
    case needsTLS = 0x8000_0005
    case unknownExport = 0x8000_0006

    static let magic: UInt64 = 0x0003_e889_0455_65a9

    func encoded(to option: UInt32, _ data: [UInt8] = []) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(Self.magic, bigEndian: 8)
        bytes.append(UInt64(option), bigEndian: 4)
        bytes.append(UInt64(rawValue), bigEndian: 4)
        bytes.append(UInt64(data.count), bigEndian: 4)
        return bytes + data
    }
}

/// What an export looks like to clients, whatever else it is.
package struct NBDExport: Hashable, Sendable {
    package let name: String
    package let byteCount: UInt64
    /// Clients are told, and what would change it is refused.
    package let isReadOnly: Bool
    package init(name: String, byteCount: UInt64, isReadOnly: Bool = false) {
        self.name = name
        self.byteCount = byteCount
        self.isReadOnly = isReadOnly
    }
}

/// What a server has for a client at this moment.
package struct NBDOffer: Hashable, Sendable {
    package let exports: [NBDExport]
    /// Also takes the empty name: a socket that stands for one volume needs no name beside it.
    package let acceptsEmptyName: Bool
    package init(_ exports: [NBDExport], acceptsEmptyName: Bool) {
        self.exports = exports
        self.acceptsEmptyName = acceptsEmptyName
    }

    func export(named name: String) -> NBDExport? {
        name.isEmpty && acceptsEmptyName
            ? exports.first : exports.first { $0.name == name }
    }
}

/// What option haggling came to.
package struct NBDSession: Hashable, Sendable {
    package let export: NBDExport
    package let hasStructuredReplies: Bool
    /// `base:allocation` was selected, under `NBDHandshake.allocationContext`.
    package let hasAllocationContext: Bool
}

/// Reads an option's data; nil past its end, so that a client's lengths are never trusted.
struct NBDOptionReader {
    private let bytes: ArraySlice<UInt8>
    private var offset: Int
    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        offset = bytes.startIndex
    }

    var isAtEnd: Bool { offset == bytes.endIndex }

    mutating func number(_ count: Int) -> UInt64? {
        guard bytes.endIndex - offset >= count else { return nil }
        defer { offset += count }
        return bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A string behind its length in four bytes.
    mutating func text() -> String? {
        guard let count = number(4), count <= UInt64(bytes.endIndex - offset) else { return nil }
        defer { offset += Int(count) }
        return String(decoding: bytes[offset..<offset + Int(count)], as: UTF8.self)
    }
}
