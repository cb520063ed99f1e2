package import Mesh

/// What a member says of itself in its gossip register.
package struct Report: Hashable, Sendable {
    package static let byteCount = 18

    package var applied: LogIndex
    package var last: LogIndex
    package var hasRoom: Bool
    /// What the shells tell each other for their operators; opaque here.
    package var bulletin: [UInt8]

    package init(
        applied: LogIndex, last: LogIndex, hasRoom: Bool, bulletin: [UInt8] = []
    ) {
        self.applied = applied
        self.last = last
        self.hasRoom = hasRoom
        self.bulletin = bulletin
    }

    /// Version u8, flags u8, applied u64, last u64, bulletin; the bulletin's later versions append.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = [1, hasRoom ? 0 : 1]
        bytes.append(name: applied)
        bytes.append(name: last)
        return bytes + bulletin
    }

    package init?(parsing bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let version = try? reader.u8(), version >= 1, let flags = try? reader.u8(),
            let applied = try? reader.name(LogIndex.self),
            let last = try? reader.name(LogIndex.self),
            let bulletin = try? reader.take(reader.remaining)
        else { return nil }
        self.init(applied: applied, last: last, hasRoom: flags & 1 == 0, bulletin: bulletin)
    }
}
