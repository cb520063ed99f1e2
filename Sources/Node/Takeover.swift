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
///
/// The fault is the last sign of the former primary's rule. An interim leader's letters are none:
/// while it leads nobody serves, and that time belongs to the takeover.
struct TakeoverStory: Sendable {
    private var ruledAt: Instant?
    private var stoodAt: Instant?
    private var ledAt: Instant?
    private var claimedAt: Instant?
    private var promotedAt: Instant?

    /// The primary still ruled: every step before this belongs to another story.
    mutating func ruled(at now: Instant) {
        self = TakeoverStory()
        ruledAt = now
    }
    /// The first time: failed rounds of the election count as the election.
    mutating func stood(at now: Instant) { if stoodAt == nil { stoodAt = now } }
    mutating func led(at now: Instant) { ledAt = now }
    mutating func claimed(at now: Instant) { claimedAt = now }
    mutating func promoted(at now: Instant) { promotedAt = now }

    /// detect, elect, lease, promote, open: each from the end of the one before, the first from the
    /// fault. A step that was not taken is left out; where no rule was seen the first step taken
    /// begins the story.
    func phases(openedAt: Instant) -> [Takeover.Phase] {
        let steps = [
            ("detect", stoodAt), ("elect", ledAt), ("lease", claimedAt), ("promote", promotedAt),
            ("open", openedAt),
        ]
        var phases: [Takeover.Phase] = []
        var last = ruledAt
        for (name, at) in steps {
            guard let at else { continue }
            if let last { phases.append(Takeover.Phase(name: name, took: at.since(last))) }
            last = max(last ?? at, at)
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
