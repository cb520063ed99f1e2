package import Mesh

/// Who is alive, and what each says of itself: SWIM (Das 2002) with Lifeguard (Dadgar 2018), made
/// for three to seven members first.
package struct Gossip: Sendable {
    package let own: Peer
    package let settings: Settings
    package let boot: BootID
    /// Durable, and what every message carries.
    package internal(set) var incarnation: Incarnation
    package internal(set) var healthMap = HealthMap()
    package internal(set) var counters = Counters()
    /// Lifeguard §IV.A's local health: 0 is healthy; each point stretches the own times by one.
    package internal(set) var score = 0

    /// Everybody else, sorted.
    var members: [Member] = []
    var places = Places()
    var random: SeededRandom
    var sequence: UInt64
    var probes: [Probe] = []
    var relays: [Relay] = []
    var suspects: [NodeID] = []
    var held: [NodeID] = []
    var claimRumours: [Rumour] = []
    var registerRumours: [Rumour] = []
    /// The rest of this round of probes (SWIM §4.3).
    var ring: [NodeID] = []
    var payload: [UInt8] = []
    var versionCounter: UInt64 = 0
    /// Handed out to be made durable, not yet the own one.
    var pending: Incarnation?
    var foreignBoot: BootID?
    var foreignOutbids = 0
    var changedRegisters: [NodeID] = []
    var lateInARow = 0
    /// The last word, once it is spoken.
    var farewell: Claim?
    /// How many others are neither suspect nor gone: who could confirm a suspicion.
    var aliveCount = 0
    var nextProbe: Instant
    var nextSync: Instant
    var nextReconnect: Instant
    var nextRow: Instant
    /// When `deadlineReached` has to be delivered. Found once an event: it is asked for more often.
    package private(set) var deadline = Instant.distantFuture

    /// `incarnation` is one above the highest this node ever persisted, and is durable already.
    package init(
        self own: Peer, roster: [Peer], settings: Settings, boot: BootID, incarnation: Incarnation,
        random: SeededRandom, at now: Instant
    ) {
        invariant(settings.areLawful, "gossip settings are checked when they are read")
        invariant(incarnation < Limit.incarnationMax, "an incarnation leaves room to refute")
        self.own = own
        self.settings = settings
        self.boot = boot
        self.incarnation = incarnation
        self.random = random
        sequence = self.random.next() >> 1
        nextProbe = now
        nextSync = now
        nextReconnect = now + settings.reconnectInterval
        nextRow = now
        adopt(roster)
        rearm()
    }

    /// Finds when anything here is due. A getter would work on a copy of the whole core.
    private mutating func rearm() {
        deadline = .distantFuture
        guard !hasLeft, !members.isEmpty else { return }
        var first = min(min(nextProbe, nextSync), min(nextReconnect, nextRow))
        for probe in probes { first = min(first, probe.asked ? probe.endsAt : probe.indirectAt) }
        for relay in relays { first = min(first, relay.nacked ? relay.endsAt : relay.nackAt) }
        for node in suspects {
            if let i = places[node] { first = min(first, suspicionEnd(of: members[i])) }
        }
        for node in held {
            if let i = places[node], let until = members[i].holdUntil { first = min(first, until) }
        }
        deadline = first
    }

    /// The only door: equal histories give equal effects.
    package mutating func handle(_ event: Event, at now: Instant, _ effects: inout [Effect]) {
        forgiveLateness(at: now)
        switch event {
        case .deadlineReached:
            rearm()
            if now >= deadline { work(at: now, &effects) }
        case .received(let message, let from): receive(message, from: from, at: now, &effects)
        case .publish(let bytes): publish(bytes, at: now)
        case .persisted(let saved): adopt(saved, at: now)
        case .rosterChanged(let roster): adopt(roster)
        case .leave: leave(&effects)
        }
        if !changedRegisters.isEmpty {
            effects.append(.registersChanged(changedRegisters.sorted()))
            changedRegisters.removeAll(keepingCapacity: true)
        }
        rearm()
    }

    /// How the mesh sees a member; its own view of itself is not a question.
    package func liveness(of node: NodeID) -> Liveness? {
        places[node].map { members[$0].reported }
    }

    package func claim(on node: NodeID) -> Claim? { places[node].map { members[$0].claim } }

    /// Who was heard directly, and when; the own row of the reachability matrix.
    package func lastHeard(_ node: NodeID) -> Instant? {
        places[node].flatMap { members[$0].heardAt }
    }

    package var roster: [Peer] { members.map(\.peer) }

    package var hasLeft: Bool { farewell != nil }

    /// What this node says of itself.
    var ownClaim: Claim { farewell ?? Claim(own.node, .alive, incarnation, boot) }

    var isSmall: Bool { members.count < Limit.smallMesh }

    private mutating func adopt(_ roster: [Peer]) {
        invariant(roster.count <= Limit.rosterMax, "the roster is bounded")
        var next: [Member] = []
        for peer in roster.sorted(by: { $0.node < $1.node }) where peer.node != own.node {
            if next.last?.peer.node == peer.node { continue }
            let claim = Claim(peer.node, .alive, .zero, BootID(0))
            if let i = places[peer.node] {
                var kept = Member(peer: peer, claim: members[i].claim)
                kept.reported = members[i].reported
                kept.suspectedAt = members[i].suspectedAt
                kept.heardAt = members[i].heardAt
                kept.answeredAt = members[i].answeredAt
                kept.toldAt = members[i].toldAt
                kept.deaths = members[i].deaths
                kept.diedAt = members[i].diedAt
                kept.holdUntil = members[i].holdUntil
                next.append(kept)
            } else {
                next.append(Member(peer: peer, claim: claim))
            }
        }
        members = next
        aliveCount = members.count { $0.claim.standing == .alive }
        places = Places(next.map(\.peer.node))
        let known = places
        let me = own.node
        probes.removeAll { known[$0.target] == nil }
        relays.removeAll { known[$0.target] == nil || known[$0.origin] == nil }
        suspects.removeAll { known[$0] == nil }
        held.removeAll { known[$0] == nil }
        claimRumours.removeAll { known[$0.node] == nil }
        registerRumours.removeAll { known[$0.node] == nil && $0.node != me }
        ring.removeAll { known[$0] == nil }
        healthMap.keep { known[$0] != nil || $0 == me }
    }

    /// A node that woke late judges nobody by the time it slept through: the answers may lie
    /// unread in its own queue (Lifeguard §III: slow processing is the main cause of false
    /// positives). The forgiveness is bounded, or an always late node would never detect anything.
    private mutating func forgiveLateness(at now: Instant) {
        let due = deadline
        guard due != .distantFuture else { return }
        let late = now.since(due)
        guard late > settings.probeTimeout else {
            if now >= due { lateInARow = 0 }
            return
        }
        counters.lateWakes += 1
        worsen(by: 1)
        nextProbe = max(nextProbe, now)
        nextSync = max(nextSync, now)
        nextReconnect = max(nextReconnect, now)
        nextRow = max(nextRow, now)
        lateInARow += 1
        guard lateInARow <= Limit.latenessForgivenMax else { return }
        let shift = late + settings.probeTimeout
        for i in probes.indices {
            probes[i].indirectAt = probes[i].indirectAt + shift
            probes[i].endsAt = probes[i].endsAt + shift
        }
        for i in relays.indices {
            relays[i].nackAt = relays[i].nackAt + shift
            relays[i].endsAt = relays[i].endsAt + shift
        }
        for node in suspects {
            if let i = places[node] { members[i].suspectedAt = members[i].suspectedAt + shift }
        }
    }

    private mutating func work(at now: Instant, _ effects: inout [Effect]) {
        advanceProbes(at: now, &effects)
        advanceRelays(at: now, &effects)
        buryOverdue(at: now, &effects)
        reportHeld(at: now, &effects)
        if now >= nextRow {
            nextRow = now + settings.rowInterval(members: members.count + 1)
            writeRegister(at: now)
        }
        if now >= nextSync {
            let pause = settings.syncInterval(members: members.count + 1)
            // Half an interval of chance keeps members from synchronizing in step.
            nextSync = now + random.interval(in: pause / 2...pause + pause / 2)
            synchronize(&effects)
        }
        if now >= nextReconnect {
            nextReconnect = now + settings.reconnectInterval
            reconnect(at: now, &effects)
        }
        if now >= nextProbe {
            nextProbe = now + probeGap
            probeNext(at: now, &effects)
        }
    }

    mutating func worsen(by points: Int) {
        if settings.mindsOwnHealth { score = min(Limit.scoreMax, score + points) }
    }
    mutating func recover() { score = max(0, score - 1) }

    /// Lifeguard §IV.A: local trouble stretches the own times.
    func stretched(_ interval: Interval) -> Interval { interval * UInt64(score + 1) }

    private mutating func leave(_ effects: inout [Effect]) {
        guard !hasLeft else { return }
        // A refutation on its way to the disk must not overtake the farewell and raise the leaver.
        let last = Claim(own.node, .left, max(incarnation, pending ?? .zero), boot)
        farewell = last
        // SWIM's dissemination would need a member that stays; in a large mesh some hear it first.
        for node in audience() {
            effects.append(.send(message(.news, claims: [last]), to: node))
        }
        probes.removeAll()
        relays.removeAll()
    }
}
