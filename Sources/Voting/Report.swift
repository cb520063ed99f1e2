package import Mesh

/// What a member says of itself in its gossip register.
package struct Report: Hashable, Sendable {
    package static let byteCount = 34
    /// Behind the bulletin, of who speaks more than the first release.
    package static let levelsByteCount = 2

    package var applied: LogIndex
    package var last: LogIndex
    package var hasRoom: Bool
    /// What its volumes lack; nil where they are a whole replica.
    package var resync: ResyncStanding?
    /// What the shells tell each other for their operators; opaque here.
    package var bulletin: [UInt8]
    /// Its log is damaged and being mended: it has no vote until that is done.
    package var isMending = false
    /// What its program speaks, and what its mesh has agreed on as far as it has applied the log: no
    /// more than what it speaks.
    package var speaks: FeatureLevel
    package var mesh: FeatureLevel

    package init(
        applied: LogIndex, last: LogIndex, hasRoom: Bool, resync: ResyncStanding? = nil,
        bulletin: [UInt8] = [], speaks: FeatureLevel, mesh: FeatureLevel
    ) {
        self.applied = applied
        self.last = last
        self.hasRoom = hasRoom
        self.resync = resync
        self.bulletin = bulletin
        (self.speaks, self.mesh) = (speaks, mesh)
    }

    /// Version u8, flags u8 (1: no room, 2: a resync, 4: which copies, 8: mends its log, 16: levels),
    /// applied u64, last u64, missing bytes u64 and bytes of the whole resync u64, bulletin, and the
    /// levels spoken and agreed on, u8 each, which the first release takes for a bulletin's later
    /// version; bulletins' later versions append before them.
    package var encoded: [UInt8] {
        var flags: UInt8 = hasRoom ? 0 : 1
        if let resync { flags |= resync.isCopying ? 6 : 2 }
        if isMending { flags |= 8 }
        if tellsLevels { flags |= 16 }
        var bytes: [UInt8] = [2, flags]
        bytes.append(name: applied)
        bytes.append(name: last)
        bytes.append(littleEndian: resync?.missingByteCount ?? 0)
        bytes.append(littleEndian: resync?.wholeByteCount ?? 0)
        bytes += bulletin
        return tellsLevels ? bytes + [speaks.rawValue, mesh.rawValue] : bytes
    }

    /// The first release does not.
    private var tellsLevels: Bool { speaks > .first }

    /// nil of a former release, or what no member can have to say.
    package init?(parsing bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let version = try? reader.u8(), version >= 2, let flags = try? reader.u8(),
            let applied = try? reader.name(LogIndex.self),
            let last = try? reader.name(LogIndex.self), let missing = try? reader.u64(),
            let whole = try? reader.u64(), applied <= .countMax, last <= .countMax,
            var bulletin = try? reader.take(reader.remaining),
            let levels = Self.levels(flags & 16 != 0, &bulletin)
        else { return nil }
        let resync = ResyncStanding(
            isCopying: flags & 4 != 0, missingByteCount: missing, wholeByteCount: whole)
        self.init(
            applied: applied, last: last, hasRoom: flags & 1 == 0,
            resync: flags & 2 != 0 ? resync : nil, bulletin: bulletin, speaks: levels.speaks,
            mesh: levels.mesh)
        isMending = flags & 8 != 0
    }

    /// Takes them off the end; nil where they are none.
    private static func levels(
        _ areTold: Bool, _ bytes: inout [UInt8]
    ) -> (speaks: FeatureLevel, mesh: FeatureLevel)? {
        guard areTold else { return (.first, .first) }
        guard let last = bytes.popLast(), let first = bytes.popLast(),
            let mesh = FeatureLevel(UInt64(last)), let speaks = FeatureLevel(UInt64(first)),
            mesh <= speaks, speaks > .first
        else { return nil }
        return (speaks, mesh)
    }
}
