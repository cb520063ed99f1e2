package import Mesh
internal import Record

/// What a leader knows of one follower (Raft fig. 2, nextIndex and matchIndex) and how it feeds it.
package struct Progress: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// Where the logs agree is not known: one letter at a time, `waiting` for its answer.
        case probe(waiting: Bool)
        /// Letters follow each other without waiting, within the limits in flight.
        case replicate
        /// The entries it needs are gone; `acknowledged` bytes of this base have arrived.
        case snapshot(SealedBase, acknowledged: Int, waiting: Bool)
    }

    package struct InFlight: Hashable, Sendable {
        let last: LogIndex
        let byteCount: Int
        let at: Instant
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
    /// When it last acknowledged anything new, or began to owe an acknowledgement.
    package var movedAt: Instant
    /// From an append to its acknowledgement, smoothed.
    package var answerTime: Interval = .zero
    /// Only of a witness.
    package var witness: WitnessFeed?
    var fetching = false

    /// A new leader knows nothing of a follower before its first answer; `match` is then no fact.
    package var knownMatch: LogIndex? { match == .zero ? nil : match }
    /// Whether it said anything in this term, so that `heardAt` is more than the election's time.
    package var hasAnswered: Bool { round > 0 || match > .zero }

    init(_ node: NodeID, next: LogIndex, at now: Instant) {
        self.node = node
        self.next = next
        (heardAt, movedAt) = (now, now)
    }

    mutating func sent(_ entries: [Entry], at now: Instant) {
        guard let last = entries.last else { return }
        let bytes = entries.reduce(0) { $0 + $1.bytes.count }
        inFlight.append(InFlight(last: last.index, byteCount: bytes, at: now))
        inFlightBytes += bytes
        next = last.index.next
    }

    mutating func matched(_ index: LogIndex, at now: Instant) {
        if index > match { (match, movedAt) = (index, now) }
        next = max(next, match.next)
        let answered = inFlight.prefix { $0.last <= match }
        if let newest = answered.last {
            let time = now.since(newest.at)
            answerTime = answerTime == .zero ? time : (answerTime * 7 + time) / 8
        }
        inFlightBytes -= answered.reduce(0) { $0 + $1.byteCount }
        inFlight.removeFirst(answered.count)
    }

    /// A witness gets entries only while too few data voters keep up.
    var takesEntries: Bool { witness?.streams ?? true }

    /// Entries are about to be appended behind `last`.
    mutating func owes(after last: LogIndex, at now: Instant) {
        if match >= last { movedAt = now }
    }

    mutating func probe(from next: LogIndex) {
        state = .probe(waiting: false)
        self.next = max(next, match.next)
        (inFlight, inFlightBytes) = ([], 0)
    }
}
