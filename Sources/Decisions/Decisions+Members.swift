package import Mesh
internal import Planted

/// Who may be a member, and what was wished of it. The log's membership entries say who votes; the
/// decisions remember what they cannot tell: the witness that stands by, who was a member once, and
/// the wish that the leader of the day is to fulfil.
extension Decisions {
    /// Data members and the witness together.
    package static let membersMax = 7
    /// Of each so many bytes are kept in every snapshot.
    package static let formersMax = 1_024

    /// Whether it votes, listens, or stands by as the witness.
    package func isMember(_ node: NodeID) -> Bool {
        seats.contains { $0.node == node } || witness?.node == node || learners.contains(node)
    }

    /// A witness votes only beside an even number of data members (ADR 2).
    package func witnessVotes(beside dataCount: Int) -> Bool { dataCount % 2 == 0 }

    mutating func wish(_ change: MemberChange, at index: LogIndex) throws(Refusal) -> Outcome {
        if let wish { throw .wishPending(wish.change) }
        if let coming = change.coming { try checkComing(coming, change.leaving) }
        if let leaving = change.leaving { try checkLeaving(leaving, change.coming) }
        let isWitness = change.coming?.isWitness ?? (witness?.node == change.leaving)
        guard isWitness, !witnessVotes(beside: seats.count) else {
            wish = Wish(change, since: index)
            return .wished(change)
        }
        // A witness that stands by is in no electorate: nothing waits for it.
        swapWitness(change)
        return .membersChanged(change)
    }

    private func checkComing(_ coming: Newcomer, _ leaving: NodeID?) throws(Refusal) {
        guard !isMember(coming.node) else { throw .memberExists(coming.node) }
        guard !former.contains(coming.node) || isPlanted(.reusesMemberIds) else {
            throw .memberFormer(coming.node)
        }
        if coming.isWitness, let witness, witness.node != leaving {
            throw .witnessExists(witness.node)
        }
        let count = seats.count + (witness == nil ? 0 : 1) + (leaving == nil ? 1 : 0)
        guard count <= Self.membersMax else { throw .tooManyMembers(limit: Self.membersMax) }
        guard former.count < Self.formersMax else {
            throw .tooManyFormers(limit: Self.formersMax)
        }
    }

    private func checkLeaving(_ leaving: NodeID, _ coming: Newcomer?) throws(Refusal) {
        let isWitness = witness?.node == leaving
        guard isWitness || seats.contains(where: { $0.node == leaving }) else {
            throw .memberUnknown(leaving)
        }
        if let coming, coming.isWitness != isWitness { throw .otherRole(leaving) }
        if case .held(let primary, _) = tenure, primary.node == leaving {
            throw .memberIsPrimary(leaving)
        }
        if coming == nil, !isWitness, seats.count == 1 { throw .lastDataMember(leaving) }
    }

    mutating func cancelWish() throws(Refusal) -> Outcome {
        guard let wish else { throw .noWish }
        guard wish.joint == nil else { throw .wishIsJoint(wish.change) }
        if !isPlanted(.overlooksCancelling) { self.wish = nil }
        return .cancelled(wish.change)
    }

    /// A membership entry is committed: who may be primary follows who votes.
    mutating func enroll(_ roll: Roll, at index: LogIndex) -> Outcome {
        let before = learners
        learners = roll.learners
        if let coming = wish?.change.coming, roll.data.contains(coming.node),
            !seats.contains(where: { $0.node == coming.node })
        {
            seats.append(Seat(node: coming.node, region: coming.region))
            seats.sort { $0.node < $1.node }
        }
        if roll.isJoint {
            wish?.joint = index
            return .nothing
        }
        let gone = seats.map(\.node).filter { !roll.data.contains($0) }
        seats.removeAll { gone.contains($0.node) }
        if let region = preferred, !seats.contains(where: { $0.region == region }) {
            preferred = nil
        }
        retire(gone + before.filter { !isMember($0) })
        guard let wish, wish.joint != nil else { return .nothing }
        swapWitness(wish.change)
        self.wish = nil
        return .membersChanged(wish.change)
    }

    private mutating func swapWitness(_ change: MemberChange) {
        if let leaving = change.leaving, witness?.node == leaving {
            witness = nil
            retire([leaving])
        }
        if let coming = change.coming, coming.isWitness {
            witness = Seat(node: coming.node, region: coming.region)
        }
    }

    /// A node that was a member may have promised something under its id.
    private mutating func retire(_ nodes: [NodeID]) {
        former = Set(former + nodes).sorted()
    }
}
