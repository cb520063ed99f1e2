package import Mesh

/// One change of the primary as this node saw it.
package struct Takeover: Hashable, Sendable {
    package enum Reason: String, Hashable, Sendable {
        /// There was no primary before.
        case start
        /// The former primary's lease had ended.
        case takeover
        /// The former primary gave its seat up: a switchover, or its own restart.
        case handOver
    }
    package struct Phase: Hashable, Sendable {
        package let name: String
        package let took: Interval
    }

    package let epoch: Epoch
    package let from: NodeID?
    package let to: NodeID
    package let reason: Reason
    package let at: WallTime
    /// Known to the node that became primary, and to no other.
    package internal(set) var phases: [Phase]
}

/// When the steps of a takeover happened on this node.
struct TakeoverStory: Sendable {
    private var heardAt: Instant?
    private var stoodAt: Instant?
    private var ledAt: Instant?
    var claimedAt: Instant?
    var promotedAt: Instant?

    mutating func leaderHeard(at now: Instant) {
        self = TakeoverStory()
        heardAt = now
    }
    mutating func stood(at now: Instant) { if stoodAt == nil { stoodAt = now } }
    mutating func led(at now: Instant) { ledAt = now }

    /// detect, elect, lease, promote, open: each from the end of the one before.
    func phases(openedAt: Instant) -> [Takeover.Phase] {
        let steps = [
            ("detect", stoodAt), ("elect", ledAt), ("lease", claimedAt), ("promote", promotedAt),
            ("open", openedAt),
        ]
        var phases: [Takeover.Phase] = []
        var last = heardAt
        for (name, at) in steps {
            guard let at else { continue }
            if let last { phases.append(Takeover.Phase(name: name, took: at.since(last))) }
            last = at
        }
        return phases
    }
}

extension Node {
    package static let takeoversMax = 16

    mutating func remember(_ takeover: Takeover) {
        takeovers.append(takeover)
        if takeovers.count > Self.takeoversMax { takeovers.removeFirst() }
    }
}
