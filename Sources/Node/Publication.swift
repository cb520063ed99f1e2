internal import Decisions
internal import Gossip
internal import Mesh
internal import Raft
internal import Voting

/// What a node says of itself in the gossip, once in a while.
struct Publication: Sendable {
    var nextAt = Instant.zero
    /// What the shell wants said besides.
    var bulletin: [UInt8] = []
}

extension Node {
    mutating func publish() {
        guard now >= published.nextAt else { return }
        published.nextAt = now + settings.publishEvery
        let report = Report(
            applied: decisions.appliedIndex, last: voter.raft.lastPosition.index, hasRoom: hasRoom,
            resync: resync, bulletin: published.bulletin, speaks: settings.speaks, mesh: meshLevel)
        turn(.gossip(.publish(report.encoded)))
    }
}
