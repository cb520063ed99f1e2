internal import Decisions
internal import Gossip
package import Mesh
package import Raft
internal import Record
internal import Voting
internal import Wire

/// What a change of the members waits for.
package enum WishWait: Hashable, Sendable, CustomStringConvertible {
    /// The entries that carry it out are on their way.
    case settling
    /// This leader's cluster file does not name the newcomer, or names it with another region or role.
    case unnamed(NodeID)
    /// The witness that is to come was not heard: the present one would go for one that may not be.
    case silentWitness(NodeID)
    /// Its program speaks less than the mesh: it would stop at once.
    case lowLevel(NodeID, speaks: FeatureLevel, mesh: FeatureLevel)
    /// The primary can't go before another one is.
    case primary(NodeID)
    case refused(MembershipRefusal)

    package var description: String {
        switch self {
        case .settling: "the entries that change the members are being committed"
        case .unnamed(let node):
            "the leader's cluster file does not name node \(node) as it is wished for, with this "
                + "region and role; mend the file and reload"
        case .silentWitness(let node):
            "nothing is heard of node \(node), which is to be the witness; see that it runs"
        case .lowLevel(let node, let speaks, let mesh):
            "node \(node) speaks feature level \(speaks), and this mesh is at \(mesh): install the "
                + "release that the others run on it"
        case .primary(let node):
            "node \(node) is the primary; make another region primary first"
        case .refused(let why): why.description
        }
    }
}

/// How the leader fulfils what is wished of the members, and what it sees of it.
package struct WishWatch: Sendable {
    package internal(set) var waitsFor: WishWait?
    /// When it was last seen to come nearer.
    package internal(set) var movedAt = Instant.zero
    /// When the leader next looks.
    var nextAt = Instant.distantFuture
    /// Where a wish was taken back in the log, which is not applied yet.
    var cancelledAt = LogIndex.zero
    var toldOf: MembershipRefusal?
    /// The furthest that it came: the step, and how little was missing to it.
    private var reached: (step: Int, missing: UInt64)?

    /// Of two ways to be at one step the one that lacks less is further.
    mutating func came(to step: Int, missing: UInt64, at now: Instant) {
        if let reached, (step, UInt64.max - missing) <= (reached.step, UInt64.max - reached.missing)
        {
            return
        }
        (reached, movedAt) = ((step, missing), now)
    }

    mutating func begin(at now: Instant) {
        (waitsFor, movedAt, nextAt, reached) = (nil, now, now, nil)
    }

    mutating func end() {
        (waitsFor, nextAt, reached) = (nil, .distantFuture, nil)
    }
}

/// Members change as the log says they are wished to: whoever leads makes the newcomer a learner,
/// waits until it holds the log and the volumes, and swaps the voters in one joint change. The wish
/// stands in the decisions, so the next leader goes on where the last one stopped.
extension Node {
    /// A wish came or went, or the leadership did.
    mutating func reviewWish() {
        if voter.raft.role == .leader { members.begin(at: now) } else { members.end() }
    }

    mutating func driveMembers() {
        guard now >= members.nextAt else { return }
        members.nextAt = now + settings.membersRetry
        guard knowsTheSeat else { return }
        guard decisions.wish != nil || !voter.raft.membership.learners.isEmpty else {
            return members.end()
        }
        lendBase()
        // One that was taken back in this term may not be applied yet.
        guard members.cancelledAt <= decisions.appliedIndex else { return }
        members.waitsFor = hindrance
        if members.waitsFor == nil, let target = nextMembers {
            turn(.raft(.changeMembership(target)))
        }
        noteProgress()
    }

    /// A newcomer's log begins with a base, however long the leader's is.
    private mutating func lendBase() {
        let index = decisions.appliedIndex
        guard voter.raft.wantsLentBase, let term = voter.raft.term(at: index) else { return }
        let position = Position(index: index, term: term)
        turn(.raft(.lend(Base(position: position, contents: decisions.encoded))))
    }

    /// Who was only just named counts as alive until it answers no probe; its word alone is proof.
    func isHeard(_ node: NodeID) -> Bool {
        voter.gossip.liveness(of: node) == .alive && voter.gossip.healthMap[node] != nil
    }

    private var hindrance: WishWait? {
        let membership = voter.raft.membership
        if membership.isJoint { return .settling }
        guard let change = decisions.wish?.change else { return nil }
        if let coming = change.coming {
            guard settings.names(coming) else { return .unnamed(coming.node) }
            if let speaks = report(of: coming.node)?.speaks, speaks < meshLevel {
                return .lowLevel(coming.node, speaks: speaks, mesh: meshLevel)
            }
            if coming.isWitness, !isHeard(coming.node) {
                return .silentWitness(coming.node)
            }
        }
        if case .held(let primary, _) = decisions.tenure, primary.node == change.leaving {
            return .primary(primary.node)
        }
        return nil
    }

    /// The next step on the way; nil where nothing is left but to wait.
    private var nextMembers: MembershipChange? {
        let membership = voter.raft.membership
        var target = MembershipChange(membership)
        let wish = decisions.wish?.change
        let newcomer = wish?.coming.flatMap { $0.isWitness ? nil : $0.node }
        // Who learns is whom the wish names, and nobody else: a wish may have been taken back.
        let learners = newcomer.map { [$0] } ?? []
        guard membership.learners == learners else {
            target.learners = learners
            return target
        }
        guard let wish else { return nil }
        target.learners = []
        let data = membership.voters.data.filter { $0 != wish.leaving } + learners
        target.voters = Electorate(data: data, witness: witness(of: wish, beside: data.count))
        target.preferred = preferred(of: wish, membership.preferred, newcomer)
        return target
    }

    /// Its vote goes and comes with the number of data voters, in the same change (protocol rule 5).
    private func witness(of wish: MemberChange, beside dataCount: Int) -> NodeID? {
        guard decisions.witnessVotes(beside: dataCount) else { return nil }
        if let coming = wish.coming, coming.isWitness { return coming.node }
        return decisions.witness.flatMap { $0.node == wish.leaving ? nil : $0.node }
    }

    /// Who replaces another takes its place; who is added comes last.
    private func preferred(
        of wish: MemberChange, _ former: [NodeID], _ newcomer: NodeID?
    ) -> [NodeID] {
        guard let newcomer else { return former.filter { $0 != wish.leaving } }
        let replaced = former.map { $0 == wish.leaving ? newcomer : $0 }
        return replaced.contains(newcomer) ? replaced : replaced + [newcomer]
    }

    mutating func membershipRefused(_ why: MembershipRefusal) {
        let waits: WishWait = why == .changing ? .settling : .refused(why)
        if case .changing = why {
        } else if members.toldOf != why {
            members.toldOf = why
            out.append(.happened(.membershipRefused(why)))
        }
        members.waitsFor = waits
        // Each try holds the clients' writes up for as long.
        if why == .unsettled { members.nextAt = now + settings.membersPause }
    }

    /// How far the newcomer is: a member, with a base, with all volumes, with all of the log.
    private mutating func noteProgress() {
        let membership = voter.raft.membership
        guard !membership.isJoint else { return members.came(to: 9, missing: 0, at: now) }
        guard let coming = decisions.wish?.change.coming?.node, membership.isLearner(coming),
            let follower = voter.raft.progress.first(where: { $0.node == coming })
        else { return members.came(to: 0, missing: 0, at: now) }
        guard let match = follower.knownMatch else {
            return members.came(to: follower.hasAnswered ? 2 : 1, missing: 0, at: now)
        }
        guard !follower.isPartial else {
            let missing = report(of: coming)?.resync.flatMap {
                $0.isCopying ? $0.missingByteCount : nil
            }
            return members.came(to: missing == nil ? 3 : 4, missing: missing ?? 0, at: now)
        }
        members.came(
            to: 5, missing: voter.raft.commitIndex.distance(above: match), at: now)
    }

    /// How the log counts this node or, where no leader brings it the log, what a member says of it.
    package var standingAsMember: MemberStanding {
        if isCalledFormer, voter.raft.leader == nil { return .none }
        return voter.raft.standingAsMember
    }

    /// Its members and addresses as the cluster file now has them.
    mutating func adopt(_ roster: [Member], order: [NodeID]) {
        (settings.members, settings.order) = (roster, order)
        let peers = roster.map {
            Gossip.Peer(node: $0.node, region: $0.region, role: $0.isWitness ? .witness : .data)
        }
        turn(.gossip(.rosterChanged(peers)))
        if members.nextAt < .distantFuture { members.nextAt = now }
    }

    /// Those who vote, in the order in which they should be primary.
    var order: [NodeID] { settings.order.filter { voter.raft.membership.isData($0) } }

    /// 0 should be primary before 1.
    func rank(_ node: NodeID) -> Int { order.firstIndex(of: node) ?? order.count }
}

extension Roll {
    init(_ membership: Membership) {
        self.init(
            data: membership.voters.data, learners: membership.learners,
            isJoint: membership.isJoint)
    }
}
