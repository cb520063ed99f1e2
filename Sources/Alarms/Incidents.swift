package import Mesh

/// The incidents that a node knows. A join of two of them is the same in any order and however often
/// (a state-based CRDT), so the gossip may carry them: what one node saw shows on all, and what an
/// operator cleared on one is cleared on all.
package struct Incidents: Hashable, Sendable {
    /// Beyond it the least important is forgotten: first what was cleared, and of that the oldest.
    package static let countMax = 16
    /// Where a node keeps them, in its data directory.
    package static let fileName = "alarms"
    package static let byteCountMax = 1 + countMax * Incident.byteCount

    /// Oldest first.
    package private(set) var all: [Incident] = []

    package init() {}

    /// What nobody has cleared yet, oldest first.
    package var standing: [Incident] { all.filter { $0.state < .cleared } }

    /// What this node sees now; nothing where the same is standing already by its own word.
    package mutating func note(
        _ kind: Incident.Kind, about: NodeID, index: LogIndex, seenBy: NodeID, at: UInt64
    ) {
        let isKnown = all.contains {
            ($0.id.kind, $0.id.about, $0.id.seenBy) == (kind, about, seenBy) && $0.state == .open
        }
        guard !isKnown else { return }
        let id = Incident.ID(at: at, kind: kind, about: about, seenBy: seenBy, index: index)
        insert(Incident(id: id, state: .open))
    }

    /// `about` holds again what it had lost, as `seenBy`, who leads, has seen.
    package mutating func madeGood(_ about: NodeID, seenBy: NodeID) {
        for at in all.indices
        where all[at].id.kind == .replicaLost && all[at].id.about == about
            && all[at].id.seenBy == seenBy && all[at].state == .open
        {
            all[at].state = .madeGood
        }
    }

    /// How many of that kind stood.
    package mutating func clear(_ kind: Incident.Kind) -> Int {
        var count = 0
        for at in all.indices where all[at].id.kind == kind && all[at].state < .cleared {
            all[at].state = .cleared
            count += 1
        }
        return count
    }

    package mutating func join(_ other: Incidents) {
        for incident in other.all { insert(incident) }
    }

    private mutating func insert(_ incident: Incident) {
        if let at = all.firstIndex(where: { $0.id == incident.id }) {
            all[at].state = max(all[at].state, incident.state)
            return
        }
        all.append(incident)
        all.sort { $0.id < $1.id }
        guard all.count > Self.countMax else { return }
        let state = all.map(\.state).max()
        if let oldest = all.firstIndex(where: { $0.state == state }) { all.remove(at: oldest) }
    }
}

extension Incidents {
    /// Count u8, then the incidents.
    package var encoded: [UInt8] {
        var bytes = [UInt8(all.count)]
        for incident in all { incident.encode(into: &bytes) }
        return bytes
    }

    package init?(parsing bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let found = try? Incidents(reading: &reader) else { return nil }
        self = found
    }

    init(reading reader: inout ByteReader) throws(ByteReader.Truncated) {
        for _ in 0..<(try reader.u8()) {
            if let incident = try Incident(reading: &reader) { insert(incident) }
        }
    }
}
