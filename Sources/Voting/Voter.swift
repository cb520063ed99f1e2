package import Gossip
package import Mesh
package import Raft

/// What every member is, the witness included: a vote in the log and a voice in the gossip.
package struct Voter: Core {
    package enum Event: Sendable {
        case wake
        case raft(RaftEvent)
        case gossip(Gossip.Event)
    }
    package enum Effect: Sendable {
        case raft(RaftEffect)
        case gossip(Gossip.Effect)
    }

    package private(set) var raft: Raft
    package private(set) var gossip: Gossip
    package private(set) var deadline: Instant
    /// The highest level that a member was heard to say the mesh has agreed on. A witness applies no
    /// log, and knows no more than this.
    package private(set) var toldLevel = FeatureLevel.first
    private var raftEffects: [RaftEffect] = []
    private var gossipEffects: [Gossip.Effect] = []

    package init(raft: Raft, gossip: Gossip) {
        invariant(raft.seat == gossip.own.node, "one member, not \(raft.seat) and \(gossip.own)")
        self.raft = raft
        self.gossip = gossip
        deadline = min(raft.deadline, gossip.deadline)
    }

    package static var wake: Event { .wake }

    package mutating func handle(_ event: Event, at now: Instant, _ effects: inout [Effect]) {
        switch event {
        case .wake:
            if now >= raft.deadline { raft.handle(.deadlineReached, at: now, &raftEffects) }
            if now >= gossip.deadline { gossip.handle(.deadlineReached, at: now, &gossipEffects) }
        case .raft(let event): raft.handle(event, at: now, &raftEffects)
        case .gossip(let event): gossip.handle(event, at: now, &gossipEffects)
        }
        deadline = min(raft.deadline, gossip.deadline)
        raftEffects.drain { effects.append(.raft($0)) }
        var told: [NodeID] = []
        gossipEffects.drain { effect in
            if case .registersChanged(let nodes) = effect { told += nodes }
            effects.append(.gossip(effect))
        }
        learnLevel(of: told)
    }

    private mutating func learnLevel(of nodes: [NodeID]) {
        for node in nodes {
            guard let report = gossip.healthMap[node].flatMap({ Report(parsing: $0.bytes) })
            else { continue }
            toldLevel = max(toldLevel, report.mesh)
        }
    }
}
