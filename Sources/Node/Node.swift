package import Decisions
internal import Gossip
package import Mesh
internal import Raft
internal import Record
internal import VolumeCore
package import Voting
internal import Wire

/// The engine room of a data member: consensus, gossip, decisions and the primary's office behind
/// one synchronous door. Disks, sockets and clocks are outside.
package struct Node: Core {
    package internal(set) var settings: Settings
    package internal(set) var voter: Voter
    package internal(set) var decisions: Decisions
    package internal(set) var office = Office.idle
    /// What became of the primary's seat, the newest last.
    package internal(set) var takeovers: [Takeover] = []

    var now: Instant
    var wall = WallClock()
    var observed: ObservedLease
    /// Writes of the exports that the log has not taken yet, in order.
    var drafts = DraftQueue()
    /// Since this node leads.
    package internal(set) var lags = ReplicaLags()
    var operations = OperationQueue()
    var checkpoints = Checkpoints()
    /// The last entry that the volumes were handed by this process.
    var lastRuled: CutOrder.Place?
    /// Never goes back; nil where this process applied nothing yet.
    package var appliedTime: WallTime? { lastRuled?.time }
    package internal(set) var members = WishWatch()
    var levels = LevelWatch()
    var story = TakeoverStory()
    /// When the office has to be looked at again, whatever else happens.
    var tendAt = Instant.distantFuture
    var ledAt = Instant.zero
    var transfers = TransferAttempts()
    var formerPrimary: NodeID?
    /// When a renewal of the present primary's last came from its leader.
    var renewalSeenAt: Instant?
    /// Where the log ended when this process began: what it decides up to here is no news.
    let historyEnd: Position
    /// Set while applying: leadership can't move in the middle of that.
    var pendingYield: NodeID?
    var published = Publication()
    package internal(set) var hasRoom = true
    /// What the volumes here lack; nil where they are a whole replica.
    package internal(set) var resync: ResyncStanding?
    /// Of the volumes here, damaged.
    var damagedBlocks = 0
    var distrustedBlocks = 0
    /// Where the log began when that was last told to the volumes.
    var behind: LogIndex
    /// When the volumes may next ask for what they lack.
    var pullAt = Instant.zero
    var toldDurable = LogIndex.zero
    /// A member said so, and no leader has been heard since.
    var isCalledFormer = false

    /// What a proposal became; read right behind it.
    var accepted: (first: Position, count: Int)?
    var proposalRefusal: ProposalRefusal?
    /// Found once an event: it is asked for more often.
    package private(set) var deadline = Instant.distantFuture
    /// What this event wants, in order: while one is handled, the caller's.
    var out: [Effect] = []
    private var wanted: [Voter.Effect] = []

    package init(settings: Settings, voter: Voter, decisions: Decisions, at now: Instant) {
        self.settings = settings
        self.voter = voter
        self.decisions = decisions
        self.now = now
        observed = ObservedLease(settings.lease, processStart: now)
        formerPrimary = decisions.tenure.primary?.node
        historyEnd = voter.raft.lastPosition
        behind = voter.raft.basePosition.index
        if !voter.raft.isWhole { resync = .unknown }
        deadline = due
    }

    package static var wake: Event { .wake }

    package var seat: NodeID { settings.seat }

    // Inlined, or every event would copy the whole node to ask it this.
    @inline(__always) private var due: Instant {
        let volumes = resync == nil && !wantsBlocks ? Instant.distantFuture : pullAt
        return min(
            min(voter.deadline, tendAt),
            min(
                min(operations.deadline, min(members.nextAt, levels.nextAt)),
                min(published.nextAt, volumes)))
    }

    package mutating func handle(_ event: Event, at now: Instant, _ effects: inout [Effect]) {
        self.now = max(self.now, now)
        // What this event wants goes where it is wanted, without a copy.
        swap(&out, &effects)
        defer { swap(&out, &effects) }
        switch event {
        case .wake: turn(.wake)
        case .letter(let letter): received(letter)
        case .gossip(let message, let from): turn(.gossip(.received(message, from: from)))
        case .note(let note, let from): received(note, from: from)
        case .saved(let number): saved(through: number)
        case .storageFailed: turn(.raft(.storageFailed))
        case .fetched(let fetch, let entries): turn(.raft(.fetched(fetch, entries)))
        case .applied(let index): turn(.raft(.applied(index)))
        case .checkpointed(let index): checkpoints.volumesDurable(through: index)
        case .write(let drafts, let round, let time): queue(drafts, round, answeredAt: time)
        case .operate(let id, let operation): accept(operation, id)
        case .resync(let standing, let index): resynced(standing, behind: index)
        case .damage(let blocks): noteWanted { $0.damagedBlocks = blocks }
        case .distrust(let blocks): noteWanted { $0.distrustedBlocks = blocks }
        case .drained: drained()
        case .incarnationPersisted(let own): turn(.gossip(.persisted(own)))
        case .wallClock(let time, let readAt): wall.set(time, at: readAt)
        case .disk(let hasRoom): self.hasRoom = hasRoom
        case .announce(let bulletin): published.bulletin = bulletin
        case .cut(let ticket, let since): orderCut(ticket, since: since)
        case .roster(let members, let order): adopt(members, order: order)
        case .leave: turn(.gossip(.leave))
        }
        settle()
        deadline = due
    }

    /// What every event may have made possible.
    private mutating func settle() {
        if let target = pendingYield {
            pendingYield = nil
            yield(to: target)
        }
        lags.look(voter.raft.progress, at: now)
        pumpDrafts()
        tend()
        pumpOperations()
        driveMembers()
        driveLevel()
        compact()
        pull()
        publish()
    }

    mutating func turn(_ event: Voter.Event) {
        var effects: [Voter.Effect] = []
        swap(&effects, &wanted)
        voter.handle(event, at: now, &effects)
        effects.drain { take($0) }
        swap(&effects, &wanted)
    }

    private mutating func take(_ effect: consuming Voter.Effect) {
        switch effect {
        case .raft(let effect): take(effect)
        case .gossip(.send(let message, let to)): out.append(.gossip(message, to: to))
        case .gossip(.persist(let persist)): out.append(.persist(persist))
        case .gossip(.became(let node, let liveness)):
            out.append(.happened(.liveness(node, liveness)))
        case .gossip(.restarted(let node, _)): out.append(.happened(.restarted(node)))
        case .gossip(.conflict(let node, _)): out.append(.happened(.conflict(node)))
        case .gossip(.registersChanged): break
        }
    }

    private mutating func take(_ effect: consuming RaftEffect) {
        switch effect {
        case .save(let write):
            observeRenewals(in: write.change.entries)
            out.append(.save(write))
        case .send(let letter): out.append(.send(letter))
        case .fetch(let fetch): out.append(.fetch(fetch))
        case .apply(let entries): apply(entries)
        case .became(let role, let term, let leader): became(role, term, leader)
        case .accepted(let first, let count): accepted = (first, count)
        case .proposalsRefused(_, let why): proposalRefusal = why
        case .restore(let base): restore(base)
        case .steppedDown(let why): out.append(.happened(.steppedDown(why)))
        case .replicaLost(let node, let acknowledged):
            out.append(.happened(.replicaLost(node, acknowledged: acknowledged)))
        case .leftBehind(let node, let index):
            out.append(.happened(.leftBehind(node, through: index)))
        case .contradicted(let found): out.append(.happened(.contradicted(found)))
        case .membershipRefused(let why): membershipRefused(why)
        case .membershipChanged(let members, let index):
            out.append(.happened(.membershipChanged(members, at: index)))
        case .readReady, .readRefused: break
        }
    }

    private mutating func received(_ letter: Letter) {
        switch letter.body {
        case .append(_, _, let entries):
            if heardRule(of: letter) { sawRenewal(in: entries) }
        case .heartbeat, .snapshot: heardRule(of: letter)
        case .preVote where decisions.former.contains(letter.from):
            // It was away when it was removed, and the log does not come to it any more.
            return out.append(.note(.former, to: letter.from))
        default: break
        }
        turn(.raft(.received(letter)))
    }

    /// By whichever letter they came: all that enters the log is in a write.
    private mutating func observeRenewals(in entries: [Entry]) {
        // What this node proposed itself, as leader, renews no other's lease.
        let own = voter.raft.role == .leader ? voter.raft.term : nil
        // A new leader's own blank renews nobody's lease, and must not seem to.
        if entries.contains(where: {
            $0.term != own && ($0.epoch != .zero || $0.kind == .command)
        }) {
            observed.received(at: now)
        }
    }

    /// The primary rules while it leads. One that leads no more may not know it yet.
    @discardableResult
    private mutating func heardRule(of letter: Letter) -> Bool {
        guard case .held(let primary, _) = decisions.tenure, letter.from == primary.node,
            letter.term >= voter.raft.term
        else { return false }
        story.ruled(at: now)
        return true
    }

    private mutating func saved(through number: UInt64) {
        turn(.raft(.saved(through: number)))
        guard case .acting = office, voter.raft.durableIndex > toldDurable,
            decisions.volumes.contains(where: { $0.durability == .async })
        else { return }
        toldDurable = voter.raft.durableIndex
        out.append(.durable(through: toldDurable))
    }

    private mutating func became(_ role: RaftRole, _ term: Term, _ leader: NodeID?) {
        out.append(.happened(.raft(role, term, leader: leader)))
        reviewWish()
        switch role {
        case .preCandidate, .candidate: story.stood(at: now)
        case .leader:
            ledAt = now
            lags = ReplicaLags()
            levels.begin(at: now)
            transfers = TransferAttempts()
            story.led(at: now)
            return
        case .follower: break
        }
        levels.end()
        resign()
    }

    /// Offers drafts to the log; nil when it took them.
    mutating func propose(_ drafts: [Draft]) -> ProposalRefusal? {
        (accepted, proposalRefusal) = (nil, nil)
        turn(.raft(.propose(drafts, time: wall.time(at: now))))
        return accepted == nil ? proposalRefusal ?? .notLeader(leader: voter.raft.leader) : nil
    }
}
