package import Mesh
package import Record

/// One message between two cores of a group.
package struct Letter: Hashable, Sendable {
    package var from: NodeID
    package var to: NodeID
    package var group: GroupID
    /// The sender's term; in a pre-vote and its consent, the term that the candidate would take.
    package var term: Term
    package var body: Body

    package init(from: NodeID, to: NodeID, group: GroupID, term: Term, body: Body) {
        self.from = from
        self.to = to
        self.group = group
        self.term = term
        self.body = body
    }

    package enum Body: Hashable, Sendable {
        /// Would you vote for me? Changes nothing at the receiver (Raft thesis §9.6).
        case preVote(last: Position)
        case preVoteAnswer(granted: Bool)
        case vote(last: Position)
        case voteAnswer(granted: Bool)
        /// `commit` never exceeds what the sender knows that the receiver shares.
        case append(previous: Position, commit: LogIndex, entries: [Entry])
        /// The receiver durably holds the leader's log up to here.
        case appended(through: LogIndex)
        /// The receiver has no such `previous`; `hint` is the last place where both may agree.
        case appendRefused(previous: LogIndex, hint: Position)
        case heartbeat(Heartbeat)
        /// Answers a heartbeat at once: `holds` its previous entry in memory, `through` on disk;
        /// on disk nothing of its log at or below `base` is left. Its volumes are a whole replica, or not.
        case heard(
            round: UInt64, holds: Bool, isWhole: Bool = true, through: LogIndex, base: LogIndex)
        case snapshot(SnapshotChunk)
        /// How much of the snapshot at `position` the receiver has.
        case snapshotHeard(position: Position, offset: Int)
        /// Stand at once: the leader hands over (Raft thesis §3.10).
        case timeoutNow
        /// The end of a log that is more up to date than the receiver's, while nobody leads.
        case offer(Offer)
        /// Answers an offer: what follows this place?
        case offerWanted(after: Position)
        /// The receiver spoke in a term that is over; the letter's term tells the present one.
        case outdated
    }

    package struct Heartbeat: Hashable, Sendable {
        package var previous: Position
        package var commit: LogIndex
        /// The log may be forgotten up to here: every data voter and learner is known to hold it
        /// durably, or was left behind.
        package var floor: LogIndex
        package var round: UInt64
        /// The leader's round trip and save time, so that all wait equally long for it.
        package var measured: Interval

        package init(
            previous: Position, commit: LogIndex, floor: LogIndex, round: UInt64,
            measured: Interval
        ) {
            self.previous = previous
            self.commit = commit
            self.floor = floor
            self.round = round
            self.measured = measured
        }
    }

    package struct Offer: Hashable, Sendable {
        package var previous: Position
        /// Where the sender's log ends.
        package var last: Position
        package var commit: LogIndex
        package var entries: [Entry]

        package init(previous: Position, last: Position, commit: LogIndex, entries: [Entry]) {
            self.previous = previous
            self.last = last
            self.commit = commit
            self.entries = entries
        }
    }

    /// A piece of a base's contents; `checksum` is over the whole, so that pieces of two snapshots
    /// at one position never mix.
    package struct SnapshotChunk: Hashable, Sendable {
        package var position: Position
        package var byteCount: Int
        package var checksum: UInt32
        package var offset: Int
        package var bytes: [UInt8]

        package init(
            position: Position, byteCount: Int, checksum: UInt32, offset: Int, bytes: [UInt8]
        ) {
            self.position = position
            self.byteCount = byteCount
            self.checksum = checksum
            self.offset = offset
            self.bytes = bytes
        }
    }
}
