/// One extent of `base:allocation` (proto.md, "NBD_REPLY_TYPE_BLOCK_STATUS").
package struct NBDExtent: Hashable, Sendable {
    package let byteCount: UInt32
    package let isHole: Bool
    package let isZero: Bool
    package init(byteCount: UInt32, isHole: Bool, isZero: Bool) {
        self.byteCount = byteCount
        self.isHole = isHole
        self.isZero = isZero
    }
}

/// What a request is answered with. READ and BLOCK_STATUS have to be answered in chunks once
/// structured replies are agreed on; all else may stay simple (proto.md, "Structured replies").
package enum NBDReply {
    static let simpleMagic: UInt64 = 0x6744_6698
    static let structuredMagic: UInt64 = 0x668e_33ef

    /// The data of a READ follows it.
    package static func simple(to cookie: UInt64, _ error: NBDError?) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16)
        bytes.append(simpleMagic, bigEndian: 4)
        bytes.append(UInt64(error?.rawValue ?? 0), bigEndian: 4)
        bytes.append(cookie, bigEndian: 8)
        return bytes
    }

    /// What stands before `byteCount` bytes of a READ.
    package static func data(to cookie: UInt64, at offset: UInt64, byteCount: Int) -> [UInt8] {
        var bytes = chunk(type: 1, cookie, byteCount: 8 + byteCount)
        bytes.append(offset, bigEndian: 8)
        return bytes
    }

    package static func extents(to cookie: UInt64, context: UInt32, _ extents: [NBDExtent])
        -> [UInt8]
    {
        var bytes = chunk(type: 5, cookie, byteCount: 4 + 8 * extents.count)
        bytes.append(UInt64(context), bigEndian: 4)
        for extent in extents {
            bytes.append(UInt64(extent.byteCount), bigEndian: 4)
            bytes.append((extent.isHole ? 1 : 0) | (extent.isZero ? 2 : 0), bigEndian: 4)
        }
        return bytes
    }

    package static func error(to cookie: UInt64, _ error: NBDError) -> [UInt8] {
        var bytes = chunk(type: 1 << 15 | 1, cookie, byteCount: 6)
        bytes.append(UInt64(error.rawValue), bigEndian: 4)
        bytes.append(0, bigEndian: 2)
        return bytes
    }

    /// Every answer here is one chunk, hence the last (NBD_REPLY_FLAG_DONE).
    private static func chunk(type: UInt64, _ cookie: UInt64, byteCount: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        bytes.append(structuredMagic, bigEndian: 4)
        bytes.append(1, bigEndian: 2)
        bytes.append(type, bigEndian: 2)
        bytes.append(cookie, bigEndian: 8)
        bytes.append(UInt64(byteCount), bigEndian: 4)
        return bytes
    }
}
