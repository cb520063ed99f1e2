package import Mesh
package import Record

/// What a leader knows of one follower (Raft fig. 2, nextIndex and matchIndex) and how it feeds it.
package struct Progress: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// Where the logs agree is not known: one letter at a time, `waiting` for its answer.
        case probe(waiting: Bool)
        /// Letters follow each other without waiting, within the limits in flight.
        case replicate
        /// The entries it needs are gone; `acknowledged` bytes of this base have arrived.
        case snapshot(Base, acknowledged: Int, waiting: Bool)
    }

    package struct InFlight: Hashable, Sendable {
        let last: LogIndex
        let byteCount: Int
    }

    package let node: NodeID
    package var state: State = .probe(waiting: false)
    /// Durable there and equal to ours up to here.
    package var match: LogIndex = .zero
    package var next: LogIndex
    package var inFlight: [InFlight] = []
    package var inFlightBytes = 0
    /// When it last said anything in this term.
    package var heardAt: Instant
    /// The newest heartbeat round that it answered.
    package var round: UInt64 = 0
    var fetching = false

    init(_ node: NodeID, next: LogIndex, at now: Instant) {
        self.node = node
        self.next = next
        heardAt = now
    }

    mutating func sent(_ entries: [Entry]) {
        guard let last = entries.last else { return }
        let bytes = entries.reduce(0) { $0 + $1.bytes.count }
        inFlight.append(InFlight(last: last.index, byteCount: bytes))
        inFlightBytes += bytes
        next = last.index.next
    }

    mutating func matched(_ index: LogIndex) {
        match = max(match, index)
        next = max(next, match.next)
        let answered = inFlight.prefix { $0.last <= match }
        inFlightBytes -= answered.reduce(0) { $0 + $1.byteCount }
        inFlight.removeFirst(answered.count)
    }

    mutating func probe(from next: LogIndex) {
        state = .probe(waiting: false)
        self.next = max(next, match.next)
        (inFlight, inFlightBytes) = ([], 0)
    }
}
