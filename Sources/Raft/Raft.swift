package import Mesh
internal import Planted
internal import Record

/// One member's consensus core (Ongaro and Ousterhout 2014; Ongaro's thesis): values in, effects
/// out. Equal histories give equal effects.
package struct Raft: Sendable {
    package let seat: NodeID
    package let group: GroupID
    package let settings: RaftSettings
    /// Whether this node votes and holds no data: what it is, whoever the voters are.
    package let isWitness: Bool

    /// Whether this node knows the state before the first entry. One that is to join a mesh does not:
    /// it takes nothing of the log before a base brought it a state.
    let isFounded: Bool
    /// Whether the volumes here are a whole replica.
    package internal(set) var isWhole: Bool

    package internal(set) var role = Role.follower
    package internal(set) var term: Term
    package internal(set) var leader: NodeID?
    /// When the leader, this one or an earlier one, was last heard here.
    package internal(set) var leaderHeardAt: Instant?
    package internal(set) var commitIndex: LogIndex
    /// On a witness, which applies nothing, where the log began at the start.
    package internal(set) var appliedIndex: LogIndex
    /// Every follower and learner, sorted; empty unless this node leads.
    package internal(set) var progress: [Progress] = []
    /// With the leader of this term.
    package internal(set) var contradiction: Contradiction?

    var vote: NodeID?
    var log: LogWindow
    var base: Base
    var sealedBase: SealedBase?
    /// A leader's, for newcomers, while its own log still begins at the beginning.
    var lentBase: SealedBase?
    /// Handed out by `apply`; the next batch waits until it is applied.
    var handedIndex: LogIndex
    var fetchingToApply = false
    var fetchingToOffer = false
    /// The log that is being copied from somebody's offers.
    var taken: TakenOffer?
    /// The last term in which this node followed a leader, or, until it did, the one it began in.
    var followedTerm: Term
    var disk: DiskProgress

    var now: Instant
    var random: SeededRandom
    var electionAt: Instant = .distantFuture
    var heartbeatAt: Instant = .distantFuture
    var handOverAt: Instant = .zero
    var failedElections: UInt64 = 0
    /// Round trip and save time, smoothed; a follower takes its leader's if that is longer.
    var roundTrip: Interval = .zero
    var announcedByLeader: Interval = .zero

    var consents: [NodeID] = []
    /// The write that makes this candidate's vote for itself durable.
    var ownVoteWrite: UInt64?
    /// The highest index known to equal the present leader's log.
    var matched: LogIndex
    var incoming: IncomingSnapshot?
    /// A snapshot that waits until write `number` is durable.
    var restoring: (number: UInt64, base: Base)?

    var termStart: LogIndex = .zero
    /// The highest `Heartbeat.floor` heard or sent, as far as it was committed here.
    var knownFloor: LogIndex = .zero
    var round: UInt64 = 0
    var rounds: [SentRound] = []
    var reads: [PendingRead] = []
    var transfer: Transfer?
    /// A change of the voters that waits until all before it is settled.
    var pendingChange: PendingChange?
    /// Whom this witness last told to stand.
    var caredFor: NodeID?

    /// When something is due of which nobody else will tell: `.deadlineReached` must be delivered then;
    /// earlier does no harm. Found once an event: it is
    /// asked for more often.
    package private(set) var deadline = Instant.distantFuture
    /// The first index of this leader's own term; nil while this node doesn't lead, and on a
    /// witness, which appends nothing. Found once an event, too.
    package private(set) var termStartIndex: LogIndex?

    /// What this event wants, in order: while one is handled, the caller's.
    var out: [Effect] = []
    var change = LogChange()
    var changedFirst: LogIndex?
    var releases: [Letter] = []
    var announced: Announcement
    var announcedMembership: Configuration

    struct TakenOffer: Hashable, Sendable {
        /// Where the offered log ends.
        let end: Position
        /// Whether anything came since the last election timed out.
        var isFresh = true
    }
    struct SentRound: Hashable, Sendable {
        let number: UInt64
        let at: Instant
        /// What was known to be committed then.
        let commit: LogIndex
    }
    struct PendingRead: Hashable, Sendable {
        let id: UInt64
        /// nil until this term has committed an entry (Raft thesis §6.4, step 1).
        var index: LogIndex?
        let round: UInt64
    }
    struct Transfer: Hashable, Sendable {
        let target: NodeID
        let deadline: Instant
    }
    struct Announcement: Hashable, Sendable {
        let role: Role
        let term: Term
        let leader: NodeID?
    }

    package init(
        seat: NodeID, isWitness: Bool, isFounded: Bool = true, isWhole: Bool = true, group: GroupID,
        settings: RaftSettings, restored: Restored, random: SeededRandom, at now: Instant
    ) {
        self.seat = seat
        self.isWitness = isWitness
        self.isFounded = isFounded
        self.isWhole = isWhole
        self.group = group
        self.settings = settings
        (self.random, self.now) = (random, now)
        log = LogWindow(restored)
        base = restored.base
        (term, vote) = (restored.hardState.term, restored.hardState.vote)
        followedTerm = term
        let start = restored.base.position.index
        commitIndex = max(start, min(restored.hardState.commit, restored.lastIndex))
        (appliedIndex, handedIndex, matched) = (start, start, start)
        disk = DiskProgress(
            durable: restored.lastIndex, term: restored.hardState.term, base: start)
        announced = Announcement(role: .follower, term: restored.hardState.term, leader: nil)
        announcedMembership =
            log.settled(at: commitIndex)
            ?? Configuration(index: start, membership: restored.baseMembership)
        invariant(log.last.term <= term, "a node knows the term of every entry it holds")
        if awaitsBase { self.isWhole = false }
        rearmElection()
        rearm()
    }

    package var lastPosition: Position { log.last }
    package var basePosition: Position { log.base }
    package var membership: Membership { log.membership }
    package var durableIndex: LogIndex { disk.durable }
    /// Writes that the disk has not answered yet.
    package var writesUnderWay: Int { disk.outstanding.count }
    package var isTransferring: Bool { transfer != nil }
    /// nil below the base and above the end.
    package func term(at index: LogIndex) -> Term? { log.term(at: index) }
    /// What the entries in memory weigh.
    package var tailByteCount: Int { log.tailBytes }

    /// Finds what is asked between events. Mutating, and so is what it asks:
    /// a getter would work on a copy of the whole core, with every event.
    private mutating func rearm() {
        deadline =
            role == .leader
            ? min(heartbeatAt, disk.stallsAt(after: stallLimit), nextWitnessDue()) : electionAt
        termStartIndex = role == .leader && !isCaretaker ? termStart : nil
    }

    /// The only door.
    package mutating func handle(_ event: Event, at now: Instant, _ effects: inout [Effect]) {
        self.now = max(self.now, now)
        // What this event wants goes where it is wanted, without a copy.
        swap(&out, &effects)
        defer { swap(&out, &effects) }
        switch event {
        case .deadlineReached: deadlineReached()
        case .received(let letter): received(letter)
        case .saved(let number): saved(through: number)
        case .storageFailed: storageFailed()
        case .propose(let drafts, let time): propose(drafts, time: time)
        case .applied(let index): applied(index)
        case .checkpointed(let state): checkpointed(state)
        case .transferLeadership(let target): beginTransfer(to: target)
        case .changeMembership(let target): changeMembership(to: target)
        case .lend(let state): lend(state)
        case .read(let id): read(id)
        // What the volumes said of themselves before they heard of a base says nothing any more.
        case .replica(isWhole: true) where restoring != nil || awaitsBase: break
        case .replica(let isWhole): replicaChanged(isWhole: isWhole)
        case .fetched(let fetch, let entries): fetched(fetch, entries)
        }
        settle()
        rearm()
    }

    /// What every event may have made possible.
    private mutating func settle() {
        if role == .leader {
            advanceCommit()
            advanceChange()
            answerReads()
        }
        flush()
        if role == .leader { replicate() }
        handOut()
        // A witness applies nothing, so nobody there waits for what is not committed.
        let evictable = isWitness ? disk.durable : min(commitIndex, disk.durable)
        log.evict(through: evictable, bytesMax: settings.windowBytesMax)
        announceMembership()
        let present = Announcement(role: role, term: term, leader: leader)
        if present != announced {
            announced = present
            out.append(.became(role, term, leader: leader))
        }
    }

    private mutating func deadlineReached() {
        if role == .leader {
            if disk.isStalled(at: now, limit: stallLimit) {
                // The "zombie leader" (etcd #13527): its heartbeats would keep others from leading.
                out.append(.steppedDown(pause ?? .disk(since: disk.stalledFor(at: now))))
                becomeFollower(term: term, leader: nil)
            } else if now >= heartbeatAt {
                tick()
            }
        } else if now >= electionAt {
            electionTimedOut()
        }
    }

    /// A leader is turned with every heartbeat. One that was not for so long stood still itself, and
    /// can't tell yet what others did meanwhile: operators would look at the wrong disk or link.
    var pause: SteppedDown? {
        guard now >= heartbeatAt + electionTimeout else { return nil }
        return .paused(for: now.since(heartbeatAt))
    }

    @inline(__always) func letter(to node: NodeID, _ body: Letter.Body) -> Letter {
        Letter(from: seat, to: node, group: group, term: term, body: body)
    }

    mutating func send(_ body: Letter.Body, to node: NodeID) {
        out.append(.send(letter(to: node, body)))
    }

    /// The letter promises what may not be on disk yet: it rides behind every write there is.
    mutating func release(_ letter: Letter) { releases.append(letter) }

    mutating func received(_ letter: Letter) {
        guard letter.group == group, letter.to == seat, letter.from != seat else { return }
        switch letter.body {
        case .preVote(let last): return preVoteAsked(by: letter.from, term: letter.term, last)
        case .preVoteAnswer(true): return preVoteGranted(by: letter.from, term: letter.term)
        case .offer(let offer): return offered(offer, in: letter.term, by: letter.from)
        case .offerWanted(let place): return offer(to: letter.from, after: place)
        default: break
        }
        if letter.term > term {
            if role == .leader { out.append(.steppedDown(reason(ofLater: letter.term))) }
            becomeFollower(term: letter.term, leader: nil)
        }
        guard letter.term == term || isLetThrough(letter) else { return answerOutdated(letter) }
        switch letter.body {
        case .preVote, .preVoteAnswer, .offer, .offerWanted, .outdated: break
        case .vote(let last): voteAsked(by: letter.from, last)
        case .voteAnswer(let granted): if granted { voteGranted(by: letter.from) }
        case .append(let previous, let commit, let entries):
            guard hear(letter.from) else { return }
            append(entries, after: previous, commit: commit, from: letter.from)
        case .heartbeat(let heartbeat):
            guard hear(letter.from) else { return }
            heartbeatArrived(heartbeat, from: letter.from)
        case .snapshot(let chunk):
            guard hear(letter.from) else { return }
            chunkArrived(chunk, from: letter.from)
        case .timeoutNow:
            guard hear(letter.from), canStand, isWhole else { return }
            stand()
        case .appended, .appendRefused, .heard, .snapshotHeard: followerAnswered(letter)
        }
    }

    private func reason(ofLater term: Term) -> SteppedDown {
        transfer.map { .transferred(to: $0.target) } ?? .laterTerm(term)
    }

    /// What a past term said counts for nothing, unless a bug is planted.
    private func isLetThrough(_ letter: Letter) -> Bool {
        switch letter.body {
        case .append: isPlanted(.takesStaleAppends)
        case .heartbeat: isPlanted(.takesStaleHeartbeats)
        default: false
        }
    }

    /// Tells a leader or candidate of a past term that it is past; without it, one cut off would
    /// never learn, because pre-vote keeps terms from growing.
    private mutating func answerOutdated(_ letter: Letter) {
        switch letter.body {
        case .append, .heartbeat, .snapshot: send(.outdated, to: letter.from)
        case .vote: send(.voteAnswer(granted: false), to: letter.from)
        default: break
        }
    }
}
