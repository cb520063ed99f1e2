/// What a client asks once an export is open (NBD proto.md, "Request message").
package struct NBDRequest: Hashable, Sendable {
    package enum Command: UInt16, Sendable, CaseIterable {
        case read = 0
        case write = 1
        case disconnect = 2
        case flush = 3
        case trim = 4
        case writeZeroes = 6
        case blockStatus = 7
    }

    package struct Flags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }
        package static let forceUnitAccess = Flags(rawValue: 1)
        package static let noHole = Flags(rawValue: 2)
        package static let dontFragment = Flags(rawValue: 4)
        package static let one = Flags(rawValue: 8)
    }

    package static let magic: UInt32 = 0x2560_9513
    package static let headerByteCount = 28
    /// The longest data of one request, as NBD_INFO_BLOCK_SIZE advertises it.
    package static let dataByteCountMax = 32 << 20

    /// As sent: the number may be none that is known, which is answered and not a broken stream.
    package let rawCommand: UInt16
    package let flags: Flags
    package let cookie: UInt64
    package let offset: UInt64
    package let byteCount: UInt32
    package var command: Command? { Command(rawValue: rawCommand) }

    /// nil when the magic is wrong: where the next request begins can't be told, so hang up.
    package init?(
        magic: UInt32, flags: UInt16, command: UInt16, cookie: UInt64, offset: UInt64,
        byteCount: UInt32
    ) {
        guard magic == Self.magic else { return nil }
        self.flags = Flags(rawValue: flags)
        rawCommand = command
        self.cookie = cookie
        self.offset = offset
        self.byteCount = byteCount
    }

    /// Whether data follows the header, also where the request will be refused.
    package var carriesData: Bool { command == .write }

    /// Whether it would change what the export holds.
    package var isChange: Bool {
        switch command {
        case .write, .trim, .writeZeroes: true
        case .read, .disconnect, .flush, .blockStatus, nil: false
        }
    }

    /// Why an export can't do this; nil if it can (proto.md, "Error values": past the end a change of data has
    /// no space, all else is invalid; what would change an export that is read-only is not permitted).
    package func refusal(of export: NBDExport, hasAllocationContext: Bool) -> NBDError? {
        if export.isReadOnly, isChange { return .notPermitted }
        return refusal(
            exportByteCount: export.byteCount, hasAllocationContext: hasAllocationContext)
    }

    /// The same of an export that takes changes.
    package func refusal(exportByteCount: UInt64, hasAllocationContext: Bool) -> NBDError? {
        guard let command else { return .invalid }
        let lawful: Flags =
            switch command {
            case .read: [.forceUnitAccess, .dontFragment]
            case .writeZeroes: [.forceUnitAccess, .noHole]
            case .blockStatus: [.forceUnitAccess, .one]
            case .write, .trim, .flush, .disconnect: [.forceUnitAccess]
            }
        guard flags.isSubset(of: lawful) else { return .invalid }
        if command == .flush || command == .disconnect { return nil }
        guard byteCount > 0 else { return .invalid }
        if command == .blockStatus, !hasAllocationContext { return .invalid }
        if command == .read || command == .write, byteCount > UInt32(Self.dataByteCountMax) {
            return .invalid
        }
        let (end, overflow) = offset.addingReportingOverflow(UInt64(byteCount))
        guard !overflow, end <= exportByteCount else {
            return command == .write || command == .writeZeroes ? .noSpace : .invalid
        }
        return nil
    }
}

/// What a server may answer (proto.md, "Error values").
package enum NBDError: UInt32, Error, Sendable, CaseIterable {
    case notPermitted = 1
    case io = 5
    case noMemory = 12
    case invalid = 22
    case noSpace = 28
    case notSupported = 95
    case shuttingDown = 108
}

extension [UInt8] {
    package func bigEndian(_ offset: Int, _ count: Int) -> UInt64 {
        self[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
    }

    package mutating func append(_ value: UInt64, bigEndian count: Int) {
        for i in (0..<count).reversed() {
            append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(i))))
        }
    }
}
