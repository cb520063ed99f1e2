package import Mesh
package import Record

@usableFromInline package enum Role: Hashable, Sendable {
    case follower, preCandidate, candidate, leader

    // Asked with every event, from other modules too: what the compiler writes would be called there by
    // way of a witness table.
    @inlinable package static func == (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.follower, .follower), (.preCandidate, .preCandidate), (.candidate, .candidate),
            (.leader, .leader):
            true
        default: false
        }
    }
}

/// All that can happen to a core.
package enum Event: Hashable, Sendable {
    case deadlineReached
    case received(Letter)
    /// All writes up to this number are durable.
    case saved(through: UInt64)
    /// The disk refused a write; which ones it kept is not known.
    case storageFailed
    case propose([Draft], time: WallTime)
    case applied(LogIndex)
    /// The state up to here is durable elsewhere as `contents`; the log before it may go.
    case checkpointed(Base)
    case transferLeadership(to: NodeID)
    /// The members shall be these; answered by `membershipRefused` or, in time, on every member by
    /// `membershipChanged`.
    case changeMembership(MembershipChange)
    /// The state up to here, for who joins a mesh whose log still begins at the beginning.
    case lend(Base)
    case read(UInt64)
    /// Whether the volumes here are a whole replica. One that took a base takes no volume's bytes with
    /// it, and is none until this says so.
    case replica(isWhole: Bool)
    /// The answer to `.fetch`: the entries from its first on, or none if they are gone.
    case fetched(Fetch, [Entry])
}

/// All that a core can want, in the order in which it is to be done.
package enum Effect: Hashable, Sendable {
    case save(Write)
    case send(Letter)
    case apply([Entry])
    case fetch(Fetch)
    case readReady(UInt64, LogIndex)
    case readRefused(UInt64)
    case became(Role, Term, leader: NodeID?)
    /// This node led and gave it up, for this reason; `became` follows.
    case steppedDown(SteppedDown)
    /// This follower lacks what it had acknowledged to this leader up to here: its disk was emptied or
    /// rolled back. Said once a loss.
    case replicaLost(NodeID, acknowledged: LogIndex)
    /// The log is no longer kept for this member: what it lacks, up to here, it has to take from
    /// another one's volumes. Said once until it is back.
    case leftBehind(NodeID, through: LogIndex)
    /// The leader says otherwise than what is committed here: some voters lost their disks, and what
    /// they had promised. Said once a term.
    case contradicted(Contradiction)
    /// The drafts stand in the log from here on, and may still be lost.
    case accepted(first: Position, count: Int)
    case proposalsRefused(count: Int, ProposalRefusal)
    /// The members stay as they are.
    case membershipRefused(MembershipRefusal)
    /// These are the members from here on: it is committed, and no longer joint.
    case membershipChanged(Membership, at: LogIndex)
    /// The state is to become these contents; what was applied before is past.
    case restore(Base)
}

/// A step of the log, and the letters that may leave only once it is durable. A write with an empty
/// change is a barrier: it is durable when all before it are.
package struct Write: Hashable, Sendable {
    package let number: UInt64
    package let change: LogChange
    package let releases: [Letter]
}

/// A leader's log and what is committed here part.
package struct Contradiction: Hashable, Sendable {
    package let leader: NodeID
    package let term: Term
    /// What is committed here, and what the leader has at the same index.
    package let committed: Position
    package let claimed: Position
}

/// Why a leader leads no more.
package enum SteppedDown: Hashable, Sendable {
    /// A write has been under way for so long, or failed (`since` is then zero).
    case disk(since: Interval)
    /// Whether its volumes are a whole replica changed under it.
    case replicaChanged
    /// No quorum has answered for so long (check-quorum, Raft thesis §6.2).
    case quorumSilent(since: Interval)
    /// This process was not run for so long: paused, or starved of a processor.
    case paused(for: Interval)
    /// Somebody speaks in a later term.
    case laterTerm(Term)
    /// It was handing the leadership to this node, and a later term began.
    case transferred(to: NodeID)
    /// It is no voter any more, and who omits it is committed.
    case removed
}

package struct Fetch: Hashable, Sendable {
    package enum Purpose: Hashable, Sendable {
        case apply
        case follower(NodeID)
        /// For who asks for a vote and lacks them.
        case offer(NodeID)
    }
    package let purpose: Purpose
    package let first: LogIndex
    package let last: LogIndex
    package let bytesMax: Int
}

package enum ProposalRefusal: Hashable, Sendable {
    case notLeader(leader: NodeID?)
    /// Leadership is about to move; that of a witness always is.
    case transferring
    /// Too few data voters keep up, and the witness has no room left for what they miss.
    case witnessFull
    case uncommittedBytes
    /// A membership is never a client's draft.
    case membership
    /// The voters are about to change, and all before has to be committed first.
    case changingMembership
}
