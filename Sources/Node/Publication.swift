internal import Decisions
internal import Gossip
package import Mesh
internal import Raft
package import VolumeCore
internal import Voting

/// What a node says of itself in the gossip, once in a while.
package struct Publication: Sendable {
    package struct Report: Hashable, Sendable {
        package var applied: LogIndex
        package var last: LogIndex
        package var hasRoom: Bool
        /// What its volumes lack; nil where they are a whole replica.
        package var resync: ResyncStanding?

        package init(
            applied: LogIndex, last: LogIndex, hasRoom: Bool, resync: ResyncStanding? = nil
        ) {
            self.applied = applied
            self.last = last
            self.hasRoom = hasRoom
            self.resync = resync
        }

        /// Version u8, flags u8 (1: no room, 2: a resync, 4: which copies), applied u64, last u64; from
        /// version 2 on missing bytes u64 and bytes of the whole resync u64. Later versions append.
        package var encoded: [UInt8] {
            var flags: UInt8 = hasRoom ? 0 : 1
            if let resync { flags |= resync.isCopying ? 6 : 2 }
            var bytes: [UInt8] = [2, flags]
            bytes.append(name: applied)
            bytes.append(name: last)
            bytes.append(littleEndian: resync?.missingByteCount ?? 0)
            bytes.append(littleEndian: resync?.wholeByteCount ?? 0)
            return bytes
        }

        package init?(parsing bytes: [UInt8]) {
            var reader = ByteReader(bytes)
            guard let version = try? reader.u8(), version >= 1, let flags = try? reader.u8(),
                let applied = try? reader.name(LogIndex.self),
                let last = try? reader.name(LogIndex.self)
            else { return nil }
            self.init(applied: applied, last: last, hasRoom: flags & 1 == 0)
            guard version >= 2, flags & 2 != 0 else { return }
            guard let missing = try? reader.u64(), let whole = try? reader.u64() else { return nil }
            resync = ResyncStanding(
                isCopying: flags & 4 != 0, missingByteCount: missing, wholeByteCount: whole)
        }
    }

    var nextAt = Instant.zero
}

extension Node {
    mutating func publish() {
        guard now >= published.nextAt else { return }
        published.nextAt = now + settings.publishEvery
        let report = Publication.Report(
            applied: decisions.appliedIndex, last: voter.raft.lastPosition.index, hasRoom: hasRoom,
            resync: resync)
        turn(.gossip(.publish(report.encoded)))
    }
}
