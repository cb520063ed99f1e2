package import Gossip
package import Mending
package import Mesh
internal import Raft
internal import Voting

/// A data member whose log is damaged: it is heard of, takes back what it lost, and neither votes nor
/// leads nor acknowledges, for Raft has not begun.
package struct MendingMember: Core {
    package enum Event: Sendable {
        case wake
        case gossip(Gossip.Message, from: NodeID)
        case mend(MendMessage, from: NodeID)
        case incarnationPersisted(Incarnation)
        case announce([UInt8])
        case leave
    }

    package enum Effect: Sendable {
        case gossip(Gossip.Effect)
        case mend(Mending.Effect)
        /// Told once, behind all that is to be restored.
        case over(Mending.Outcome)
    }

    package private(set) var gossip: Gossip
    package private(set) var mending: Mending
    private let publishEvery = Interval.seconds(1)
    private var publishAt: Instant
    private var bulletin: [UInt8] = []
    private var isOver = false
    /// Who was away when it was last heard of.
    private var missed: Set<NodeID> = []
    private var gossipEffects: [Gossip.Effect] = []
    private var mendEffects: [Mending.Effect] = []
    /// Where the damaged log ends.
    private let last: LogIndex
    private let dataPeers: [NodeID]
    private let speaks: FeatureLevel

    package init(
        gossip: Gossip, mending: Mending, dataPeers: [NodeID], last: LogIndex,
        speaks: FeatureLevel = .spoken, at now: Instant
    ) {
        self.gossip = gossip
        self.mending = mending
        self.dataPeers = dataPeers
        self.last = last
        self.speaks = speaks
        publishAt = now
    }

    package static var wake: Event { .wake }

    package var deadline: Instant {
        isOver ? .distantFuture : min(publishAt, min(gossip.deadline, mending.deadline))
    }

    package mutating func handle(_ event: Event, at now: Instant, _ effects: inout [Effect]) {
        guard !isOver else { return }
        mending.hasWholePeer = dataPeers.contains(where: isWhole)
        switch event {
        case .wake:
            if now >= gossip.deadline { gossip.handle(.deadlineReached, at: now, &gossipEffects) }
            mending.handle(.wake, at: now, &mendEffects)
        case .gossip(let message, let from):
            gossip.handle(.received(message, from: from), at: now, &gossipEffects)
        case .mend(let message, let from):
            mending.handle(.received(message, from: from), at: now, &mendEffects)
        case .incarnationPersisted(let own): gossip.handle(.persisted(own), at: now, &gossipEffects)
        case .announce(let bytes): bulletin = bytes
        case .leave: gossip.handle(.leave, at: now, &gossipEffects)
        }
        for effect in gossipEffects { note(effect) }
        publish(now)
        for effect in gossipEffects { effects.append(.gossip(effect)) }
        for effect in mendEffects { effects.append(.mend(effect)) }
        gossipEffects.removeAll(keepingCapacity: true)
        mendEffects.removeAll(keepingCapacity: true)
        guard let outcome = mending.outcome else { return }
        isOver = true
        effects.append(.over(outcome))
    }

    /// A suspect was only slow, and goes on to be: its answers are waited for as before.
    private mutating func note(_ effect: Gossip.Effect) {
        switch effect {
        case .became(let node, .dead), .became(let node, .left): missed.insert(node)
        case .became(let node, .alive) where missed.contains(node), .restarted(let node, _):
            missed.remove(node)
            mending.meetsAnew(node)
        default: break
        }
    }

    private func isWhole(_ node: NodeID) -> Bool {
        guard gossip.liveness(of: node) == .alive,
            let report = gossip.healthMap[node].flatMap({ Report(parsing: $0.bytes) })
        else { return false }
        return report.resync == nil && !report.isMending
    }

    private mutating func publish(_ now: Instant) {
        guard now >= publishAt else { return }
        publishAt = now + publishEvery
        // What its log says of the mesh's level is not read yet.
        var report = Report(
            applied: .zero, last: last, hasRoom: true, bulletin: bulletin, speaks: speaks,
            mesh: .first)
        report.isMending = true
        gossip.handle(.publish(report.encoded), at: now, &gossipEffects)
    }
}
