package import Mesh

/// Who shall be a member, as somebody wishes it: never joint, for the way there is the leader's.
package struct MembershipChange: Hashable, Sendable {
    package var voters: Electorate
    package var learners: [NodeID]
    package var preferred: [NodeID]

    package init(voters: Electorate, learners: [NodeID] = [], preferred: [NodeID] = []) {
        (self.voters, self.learners, self.preferred) = (voters, learners, preferred)
    }

    /// What is or, of a joint configuration, is to be: to be altered, and asked for.
    package init(_ membership: Membership) {
        self.init(
            voters: membership.voters, learners: membership.learners,
            preferred: membership.preferred)
    }

    /// As it stands in the log once it is reached.
    var final: Membership {
        Membership(voters: voters, learners: learners, preferred: preferred)
    }

    /// The way there, where the voters differ (Raft §6).
    func joint(with outgoing: Electorate) -> Membership {
        Membership(voters: voters, outgoing: outgoing, learners: learners, preferred: preferred)
    }

    /// Why nobody's membership can be this.
    package var fault: MembershipFault? {
        if voters.data.isEmpty { return .noDataVoter }
        let count = final.members.count
        if count > Membership.membersMax { return .tooMany(count) }
        for node in learners where voters.contains(node) { return .twoRoles(node) }
        if let witness = voters.witness, voters.data.contains(witness) { return .twoRoles(witness) }
        for (at, node) in preferred.enumerated() {
            if !voters.data.contains(node) { return .preferredIsNoDataVoter(node) }
            if preferred[..<at].contains(node) { return .preferredTwice(node) }
        }
        return nil
    }
}

/// Why nobody's membership can be so.
package enum MembershipFault: Hashable, Sendable, CustomStringConvertible {
    case noDataVoter
    case tooMany(Int)
    /// It would vote and learn, or vote with data and as the witness.
    case twoRoles(NodeID)
    case preferredIsNoDataVoter(NodeID)
    case preferredTwice(NodeID)

    package var description: String {
        switch self {
        case .noDataVoter: "nobody would vote who stores volumes; leave at least one data voter"
        case .tooMany(let count):
            "\(count) members are more than \(Membership.membersMax); remove some first"
        case .twoRoles(let node): "node \(node) would have two roles; name it once"
        case .preferredIsNoDataVoter(let node):
            "node \(node) is to lead early and is no data voter; name data voters only"
        case .preferredTwice(let node):
            "node \(node) is twice in the order of preference; name it once"
        }
    }
}

/// Why the members stay as they are. Nothing was written when a change is refused.
package enum MembershipRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case notLeader(leader: NodeID?)
    /// Leadership is about to move; that of a witness always is.
    case transferring
    /// The leader has committed nothing of its own term, so it does not know yet whether an earlier
    /// leader's change stands (Ongaro 2015, "bug in single-server membership changes").
    case termNotShown
    /// Another change is not committed.
    case changing
    case unchanged
    case malformed(MembershipFault)
    /// It holds data and would be the witness, or the other way round.
    case otherKind(NodeID)
    case notLearner(NodeID)
    case silent(NodeID)
    /// The learner lacks so many bytes of what is committed.
    case behind(NodeID, byteCount: Int)
    /// Its volumes lack what is still copied to it.
    case partial(NodeID)
    /// So few of the new voters are heard and have caught up that nothing would be committed any
    /// more.
    case noQuorum(able: [NodeID], needed: Int)
    /// What was proposed before did not become durable on a majority of the new data voters in time.
    case unsettled
    case witnessFull

    package var description: String {
        switch self {
        case .notLeader(let leader?): "this node doesn't lead; ask node \(leader)"
        case .notLeader(nil): "nobody leads; ask again once there is a leader"
        case .transferring: "the leadership is moving; ask the next leader"
        case .termNotShown:
            "the leader is new and has committed nothing yet; ask again in a moment"
        case .changing: "another change of the members is under way; ask again once it is committed"
        case .unchanged: "the members are these already; nothing is to be done"
        case .malformed(let fault): fault.description
        case .otherKind(let node):
            "node \(node) can't be a witness once and hold data another time; give it a new id"
        case .notLearner(let node):
            "node \(node) would vote at once; add it as a learner first, and let it catch up"
        case .silent(let node):
            "nothing is heard of node \(node), which is to vote; see that it runs and is reached"
        case .behind(let node, let count):
            "node \(node) lacks \(count) bytes of the log; ask again once it has caught up"
        case .partial(let node):
            "node \(node) still copies the volumes; ask again once it has them"
        case .noQuorum(let able, let needed):
            "\(able.count) of the new voters are heard and have caught up (\(able)), and "
                + "\(needed) are needed to commit anything; bring the others back first"
        case .unsettled:
            "the new data voters did not acknowledge in time what was written before; ask again, "
                + "and if it stays so, look for a slow disk or link"
        case .witnessFull:
            "the witness has no room left; bring the data voters back that it stands in for"
        }
    }
}
