package import Decisions
package import Mesh

/// What this node is to the primary's seat.
package enum Office: Sendable {
    case idle
    /// It is named by an earlier process or leadership of its own, and gives that up first: the
    /// seat is only ever held by whoever claimed it and has led ever since.
    case clearing(LogIndex)
    /// Its promotion stands in the log and is not applied yet.
    case claiming(LogIndex)
    case acting(Acting)
    /// It gave the seat up for `to` and does not claim it back before `until`.
    case yielding(to: NodeID, until: Instant)

    /// Changes what an acting primary knows, in place: it does so with every write.
    mutating func change(_ body: (inout Acting) -> Void) {
        guard case .acting(var acting) = self else { return }
        self = .idle
        body(&acting)
        self = .acting(acting)
    }

    package struct Acting: Sendable {
        package let epoch: Epoch
        package var lease: HeldLease
        /// Whether the exports were told; they are once a renewal of this node's has committed.
        package var isOpen = false
        /// What the exports know of the lease's end.
        var toldUntil = Instant.zero
        package var handOver: HandOver?
    }

    package struct HandOver: Sendable {
        package let target: NodeID
        let deadline: Instant
        /// Where the seat was given up; nil while the exports drain.
        var relinquished: LogIndex?
    }
}

/// Hand-backs of the leadership, so that a node that can't take it is not asked for ever.
struct TransferAttempts: Sendable {
    static let triesMax = 2
    private var tries: [NodeID: Int] = [:]
    private(set) var nextAt = Instant.zero

    func allows(_ node: NodeID) -> Bool { tries[node, default: 0] < Self.triesMax }

    mutating func note(_ node: NodeID, nextAt: Instant) {
        tries[node, default: 0] += 1
        self.nextAt = nextAt
    }
}
