package import Mesh

/// What a member says of itself in its gossip register.
package struct Report: Hashable, Sendable {
    package static let byteCount = 34

    package var applied: LogIndex
    package var last: LogIndex
    package var hasRoom: Bool
    /// What its volumes lack; nil where they are a whole replica.
    package var resync: ResyncStanding?
    /// What the shells tell each other for their operators; opaque here.
    package var bulletin: [UInt8]
    /// Its log is damaged and being mended: it has no vote until that is done.
    package var isMending = false

    package init(
        applied: LogIndex, last: LogIndex, hasRoom: Bool, resync: ResyncStanding? = nil,
        bulletin: [UInt8] = []
    ) {
        self.applied = applied
        self.last = last
        self.hasRoom = hasRoom
        self.resync = resync
        self.bulletin = bulletin
    }

    /// Version u8, flags u8 (1: no room, 2: a resync, 4: which copies, 8: mends its log), applied u64, last u64, missing
    /// bytes u64 and bytes of the whole resync u64, bulletin; the bulletin's later versions append.
    package var encoded: [UInt8] {
        var flags: UInt8 = hasRoom ? 0 : 1
        if let resync { flags |= resync.isCopying ? 6 : 2 }
        if isMending { flags |= 8 }
        var bytes: [UInt8] = [2, flags]
        bytes.append(name: applied)
        bytes.append(name: last)
        bytes.append(littleEndian: resync?.missingByteCount ?? 0)
        bytes.append(littleEndian: resync?.wholeByteCount ?? 0)
        return bytes + bulletin
    }

    /// nil of a former release, or what no member can have to say.
    package init?(parsing bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let version = try? reader.u8(), version >= 2, let flags = try? reader.u8(),
            let applied = try? reader.name(LogIndex.self),
            let last = try? reader.name(LogIndex.self), let missing = try? reader.u64(),
            let whole = try? reader.u64(), let bulletin = try? reader.take(reader.remaining),
            applied <= .countMax, last <= .countMax
        else { return nil }
        let resync = ResyncStanding(
            isCopying: flags & 4 != 0, missingByteCount: missing, wholeByteCount: whole)
        self.init(
            applied: applied, last: last, hasRoom: flags & 1 == 0,
            resync: flags & 2 != 0 ? resync : nil, bulletin: bulletin)
        isMending = flags & 8 != 0
    }
}
