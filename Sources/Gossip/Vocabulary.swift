package import Mesh

extension Gossip {
    package struct Peer: Hashable, Sendable {
        package enum Role: UInt8, Hashable, Sendable { case data, witness }
        package let node: NodeID
        package let region: RegionName
        package let role: Role
        package init(node: NodeID, region: RegionName, role: Role) {
            self.node = node
            self.region = region
            self.role = role
        }
    }

    package enum Event: Hashable, Sendable {
        case deadlineReached
        /// `from` is whom the link authenticated.
        case received(Message, from: NodeID)
        /// The own register's new bytes.
        case publish([UInt8])
        /// The incarnation is durable: from now on it is the own one.
        case persisted(Incarnation)
        /// Raft's configuration changed: gossip never decides who is a member.
        case rosterChanged([Peer])
        case leave
    }

    package enum Effect: Hashable, Sendable {
        case send(Message, to: NodeID)
        case persist(Persist)
        case became(NodeID, Liveness)
        /// The member runs anew, whether or not it was missed in between.
        case restarted(NodeID, BootID)
        /// Two starts live under one name: a cloned data directory. `other` is the start that this
        /// node did not expect.
        case conflict(NodeID, other: BootID)
        /// Sorted by member.
        case registersChanged([NodeID])
    }

    /// Make `incarnation` durable, then send `releases`, then hand back `.persisted`. A refutation
    /// that left earlier could be forgotten by a crash, and the next one would be too low.
    package struct Persist: Hashable, Sendable {
        package let incarnation: Incarnation
        package let releases: [Letter]
        package init(incarnation: Incarnation, releases: [Letter]) {
            self.incarnation = incarnation
            self.releases = releases
        }
    }

    /// What was refused or lost its race, for operators.
    package struct Counters: Hashable, Sendable {
        package internal(set) var forged = 0
        package internal(set) var strangers = 0
        package internal(set) var oversized = 0
        package internal(set) var implausible = 0
        package internal(set) var strayAcks = 0
        package internal(set) var lateAnswers = 0
        package internal(set) var relaysDeclined = 0
        package internal(set) var lateWakes = 0
        package internal(set) var refutations = 0
        package internal(set) var probesFailed = 0
    }

    struct Member: Sendable {
        let peer: Peer
        var claim: Claim
        var reported = Liveness.alive
        var suspectedAt = Instant.zero
        /// When a message came straight from it; nil if never.
        var heardAt: Instant?
        /// When it last answered a probe of ours, be it late or through a helper.
        var answeredAt = Instant.zero
        /// When it was last told of its death in turn.
        var toldAt = Instant.zero
        var deaths = 0
        var diedAt = Instant.zero
        /// A return that is not yet believed.
        var holdUntil: Instant?
    }

    /// One attempt to hear a member (SWIM §3.1). Each runs on its own clock: a peer that hangs
    /// delays nobody else's probe.
    struct Probe: Sendable {
        let sequence: UInt64
        let target: NodeID
        var indirectAt: Instant
        var endsAt: Instant
        /// A second look at a suspect.
        let isRepeat: Bool
        var asked = false
        var helpers: [NodeID] = []
        var nacked: [NodeID] = []
    }

    /// A probe made for somebody else.
    struct Relay: Sendable {
        let sequence: UInt64
        let target: NodeID
        let origin: NodeID
        let originSequence: UInt64
        var nackAt: Instant
        var endsAt: Instant
        var nacked = false
    }

    struct Rumour: Sendable {
        let node: NodeID
        var transmissions = 0
    }
}
