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

    /// It lacks what it had acknowledged to this leader (`Raft+Loss.swift`).
    package struct Loss: Hashable, Sendable {
        /// What it had acknowledged.
        package let acknowledged: LogIndex
        /// Where the leader's log ended, and the newest round, when that was noticed.
        let logEnd: LogIndex
        let newestRound: UInt64
        /// It counts again; what is left is to find out what happened.
        package internal(set) var isMadeGood = false
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
    package var witness: WitnessFeed? {
        didSet { (isWitness, takesEntries) = (witness != nil, witness?.streams ?? true) }
    }
    /// Asked of each follower with every event, like the next: a look into the feed copies it.
    package private(set) var isWitness = false
    /// A witness gets entries only while too few data voters keep up.
    private(set) var takesEntries = true
    package internal(set) var loss: Loss?
    /// Its log counts, and its volumes lack something: it is no heir.
    package private(set) var isPartial = false
    /// Up to here it said that its volumes are whole. What it acknowledges later it may do as a copy: one
    /// whose log was damaged can have taken a peer's base, and tells so with its next answer (ADR 7).
    private(set) var wholeThrough: LogIndex = .zero
    /// Up to here it took a base of this leader: what it said of its volumes before is of the past.
    private var tookBase: LogIndex = .zero
    /// The log here begins behind what it has.
    package internal(set) var isLeftBehind = false
    /// Rounds, oldest first, that asked for what was acknowledged when they were sent.
    private var certainRounds: [UInt64] = []
    var fetching = false
    /// It is no member any more, and at this time it is given up at the latest.
    var leavesAt: Instant?

    /// A new leader knows nothing of a follower before its first answer; `match` is then no fact.
    package var knownMatch: LogIndex? { match == .zero ? nil : match }
    /// Whether it said anything in this term, so that `heardAt` is more than the election's time.
    package var hasAnswered: Bool { round > 0 || match > .zero }
    /// Until its loss is made good it counts for nothing but being heard.
    @inline(__always) package var isForgetful: Bool { loss?.isMadeGood == false }
    /// Whether it can lead, and serve.
    package var isHeir: Bool { !isForgetful && !isPartial }

    init(_ node: NodeID, next: LogIndex, at now: Instant) {
        self.node = node
        self.next = next
        (heardAt, movedAt) = (now, now)
    }

    /// A base has no volume's bytes.
    mutating func tookBase(_ index: LogIndex) {
        guard !isWitness else { return }
        (isPartial, tookBase) = (true, index)
    }

    mutating func said(isWhole: Bool, through index: LogIndex, in round: UInt64) {
        guard round >= self.round, !isWhole || index >= tookBase else { return }
        isPartial = !isWhole
        if isWhole { wholeThrough = max(wholeThrough, index) }
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

    /// An answer to an older round is not looked at for a loss; the next one shows it as well.
    private static var certainRoundsMax: Int { 64 }

    mutating func asked(_ index: LogIndex, in round: UInt64) {
        guard index <= match else { return }
        if certainRounds.count == Self.certainRoundsMax { certainRounds.removeFirst() }
        certainRounds.append(round)
    }

    func hadAcknowledged(whatWasAskedIn round: UInt64) -> Bool { certainRounds.contains(round) }

    /// Where the logs agree now is found out like that of any other, from where they should.
    mutating func lost(logEnd: LogIndex, newestRound: UInt64) {
        loss = Loss(
            acknowledged: max(match, loss?.acknowledged ?? .zero), logEnd: logEnd,
            newestRound: newestRound)
        next = match.next
        match = .zero
        certainRounds = []
        witness?.disregardPast()
        probe(from: next)
    }

    /// What it acknowledged before its loss may still arrive, and tells nothing.
    func isFromAfterLoss(_ answered: UInt64?) -> Bool {
        guard let loss, !loss.isMadeGood else { return true }
        return answered.map { $0 > loss.newestRound } ?? false
    }

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
