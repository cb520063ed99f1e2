package import Mesh

extension Raft {
    /// What a core says of itself to operators: a copy that costs nothing to keep.
    package struct Standing: Hashable, Sendable {
        package let role: RaftRole
        package let term: Term
        package let leader: NodeID?
        package let commit: LogIndex
        package let applied: LogIndex
        package let durable: LogIndex
        package let last: Position
        package let base: Position
        package let electionTimeout: Interval
    }

    package var standing: Standing {
        Standing(
            role: role, term: term, leader: leader, commit: commitIndex, applied: appliedIndex,
            durable: durableIndex, last: lastPosition, base: basePosition,
            electionTimeout: electionTimeout)
    }
}
