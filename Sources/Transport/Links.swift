internal import Mesh
internal import NIOCore

/// A link's name.
struct LinkKey: Hashable, Comparable, Sendable {
    let node: NodeID
    let lane: Lane
    static func < (a: Self, b: Self) -> Bool { (a.node, a.lane) < (b.node, b.lane) }
}

/// What the hub knows of one link; outlives its connections.
struct Link: Sendable {
    var state = LinkState.idle
    let dials: Bool
    var channel: (any Channel)?
    var queuedBytes = 0
    var isPaused = false
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    var dropped: UInt64 = 0
    var roundTrip: Interval?
    var featureLevel: UInt32?
    var lastError: String?

    func status(_ key: LinkKey) -> LinkStatus {
        LinkStatus(
            node: key.node, lane: key.lane, state: state, bytesIn: bytesIn, bytesOut: bytesOut,
            queuedBytes: queuedBytes, dropped: dropped,
            roundTrip: state.upConnection == nil ? nil : roundTrip,
            featureLevel: featureLevel, lastError: lastError)
    }
}

/// Everything the transport's threads share, behind one lock that is held for arithmetic only.
struct Shared: Sendable {
    enum Phase: Sendable { case made, started, stopped }

    struct Open: Sendable {
        let channel: any Channel
        /// Accepted, and not yet known who it is.
        var isStranger: Bool
    }

    var phase = Phase.made
    var credentials: Credentials
    var gate: Gate
    var links: [LinkKey: Link] = [:]
    var open: [ConnectionID: Open] = [:]
    var refusals = Refusals()
    var listener: (any Channel)?
    var random: SeededRandom
    private var connections: UInt64 = 0

    init(credentials: Credentials, gate: Gate, random: SeededRandom) {
        self.credentials = credentials
        self.gate = gate
        self.random = random
        for entry in gate.roster.entries where entry.node != gate.own.node { meet(entry.node) }
    }

    mutating func meet(_ node: NodeID) {
        for lane in Lane.allCases {
            // One connection per lane and pair, dialed by the lower id.
            links[LinkKey(node: node, lane: lane)] = Link(dials: gate.own.node < node)
        }
    }

    var keys: [LinkKey] { links.keys.sorted() }

    mutating func newConnection() -> ConnectionID {
        connections += 1
        return ConnectionID(number: connections)
    }

    var strangers: Int { open.values.count(where: \.isStranger) }
}
