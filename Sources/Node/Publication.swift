internal import Decisions
internal import Gossip
package import Mesh
internal import Raft
internal import Voting

/// What a node says of itself in the gossip, once in a while.
package struct Publication: Sendable {
    package struct Report: Hashable, Sendable {
        package var applied: LogIndex
        package var last: LogIndex
        package var hasRoom: Bool

        package init(applied: LogIndex, last: LogIndex, hasRoom: Bool) {
            self.applied = applied
            self.last = last
            self.hasRoom = hasRoom
        }

        /// Version u8, flags u8, applied u64, last u64; later versions append.
        package var encoded: [UInt8] {
            var bytes: [UInt8] = [1, hasRoom ? 0 : 1]
            bytes.append(name: applied)
            bytes.append(name: last)
            return bytes
        }

        package init?(parsing bytes: [UInt8]) {
            var reader = ByteReader(bytes)
            guard let version = try? reader.u8(), version >= 1, let flags = try? reader.u8(),
                let applied = try? reader.name(LogIndex.self),
                let last = try? reader.name(LogIndex.self)
            else { return nil }
            self.init(applied: applied, last: last, hasRoom: flags & 1 == 0)
        }
    }

    var nextAt = Instant.zero
}

extension Node {
    mutating func publish() {
        guard now >= published.nextAt else { return }
        published.nextAt = now + settings.publishEvery
        let report = Publication.Report(
            applied: decisions.appliedIndex, last: voter.raft.lastPosition.index, hasRoom: hasRoom)
        turn(.gossip(.publish(report.encoded)))
    }
}
