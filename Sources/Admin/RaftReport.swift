package enum RaftRole: String, Codable, Hashable, Sendable {
    case follower, precandidate, candidate, leader
    /// A witness that leads because only it holds the newest entries.
    case caretaker
}

/// An entry's place: index and term together.
package struct PositionReport: Codable, Hashable, Sendable {
    package var index: UInt64
    package var term: UInt64
    package init(index: UInt64, term: UInt64) {
        self.index = index
        self.term = term
    }
}

/// How far the answering node's own log is.
package struct RaftStanding: Codable, Hashable, Sendable {
    package var role: RaftRole
    package var term: UInt64
    package var commit: UInt64
    package var applied: UInt64
    package var last: PositionReport
    /// On this node's disk up to here.
    package var durable: UInt64
    package var base: PositionReport
    package var logBytes: UInt64
    /// Data voters in the order in which they should lead.
    package var preferred: [UInt64]

    package init(
        role: RaftRole, term: UInt64, commit: UInt64, applied: UInt64, last: PositionReport,
        durable: UInt64, base: PositionReport, logBytes: UInt64, preferred: [UInt64] = []
    ) {
        self.role = role
        self.term = term
        self.commit = commit
        self.applied = applied
        self.last = last
        self.durable = durable
        self.base = base
        self.logBytes = logBytes
        self.preferred = preferred
    }
}

/// How the leader feeds one follower.
package struct FollowerReport: Codable, Hashable, Sendable {
    package enum Feeding: String, Codable, Hashable, Sendable {
        case probe, replicate, snapshot
    }
    package var node: UInt64
    package var feeding: Feeding
    /// nil until it has answered this leader.
    package var matchIndex: UInt64?
    package var nextIndex: UInt64
    package var inFlightBytes: UInt64
    /// nil while `matchIndex` is.
    package var lagEntries: UInt64?
    /// Since it last said anything in this term; nil when it never did.
    package var heardMilliseconds: UInt64?
    /// nil of a witness, and until it has acknowledged a write.
    package var writes: WriteLagReport?

    package init(
        node: UInt64, feeding: Feeding, matchIndex: UInt64?, nextIndex: UInt64,
        inFlightBytes: UInt64, lagEntries: UInt64?, heardMilliseconds: UInt64?,
        writes: WriteLagReport? = nil
    ) {
        self.node = node
        self.feeding = feeding
        self.matchIndex = matchIndex
        self.nextIndex = nextIndex
        self.inFlightBytes = inFlightBytes
        self.lagEntries = lagEntries
        self.heardMilliseconds = heardMilliseconds
        self.writes = writes
    }
}

/// How long clients' writes took from their answer at the primary to this follower's disk, since the answering node leads.
///
/// A percentile is the shortest time that so many hundredths of all these writes took at most, rounded up by a sixteenth or less.
package struct WriteLagReport: Codable, Hashable, Sendable {
    /// Writes that it has acknowledged as durable.
    package var count: UInt64
    package var p50Microseconds: UInt64
    package var p99Microseconds: UInt64
    package var maxMicroseconds: UInt64

    package init(
        count: UInt64, p50Microseconds: UInt64, p99Microseconds: UInt64, maxMicroseconds: UInt64
    ) {
        self.count = count
        self.p50Microseconds = p50Microseconds
        self.p99Microseconds = p99Microseconds
        self.maxMicroseconds = maxMicroseconds
    }
}

/// `GET /v1/raft`.
package struct RaftReport: Codable, Hashable, Sendable {
    package var node: UInt64
    package var leader: UInt64?
    package var standing: RaftStanding
    package var voters: [UInt64]
    package var learners: [UInt64]
    /// By node id; empty unless the answering node leads.
    package var followers: [FollowerReport]

    package init(
        node: UInt64, leader: UInt64?, standing: RaftStanding, voters: [UInt64],
        learners: [UInt64] = [], followers: [FollowerReport] = []
    ) {
        self.node = node
        self.leader = leader
        self.standing = standing
        self.voters = voters
        self.learners = learners
        self.followers = followers
    }
}
