import Gossip
import Mesh

/// Node 1 of a mesh, alone with whatever a test says to it.
struct OneNode {
    var gossip: Gossip
    var now = Instant.zero + .seconds(1_000)
    var effects: [Gossip.Effect] = []

    init(members: UInt64 = 3, incarnation: UInt64 = 1, boot: UInt64 = 11) {
        gossip = Gossip(
            self: Self.peer(1), roster: (1...members).map { Self.peer($0) }, settings: .init(),
            boot: BootID(boot), incarnation: Incarnation(incarnation),
            random: SeededRandom(seed: 7), at: now)
    }

    static func peer(_ id: UInt64) -> Gossip.Peer {
        guard let region = RegionName("r\(id)") else { preconditionFailure("a lawful name") }
        return Gossip.Peer(node: NodeID(id), region: region, role: id == 3 ? .witness : .data)
    }

    mutating func give(_ event: Gossip.Event) {
        effects = []
        gossip.handle(event, at: now, &effects)
    }

    /// A message from `sender` in its first life.
    mutating func hear(
        _ body: Gossip.Body, from sender: UInt64, _ claims: [Gossip.Claim] = [],
        _ registers: [HealthMap.Register] = []
    ) {
        let message = Gossip.Message(
            sender: NodeID(sender), incarnation: Incarnation(1), boot: BootID(sender * 10),
            body: body, claims: claims, registers: registers)
        give(.received(message, from: NodeID(sender)))
    }

    /// Runs every deadline until `length` has passed; what was sent is kept.
    mutating func wait(_ length: Interval) {
        let end = now + length
        var kept: [Gossip.Effect] = []
        while gossip.deadline <= end {
            now = max(now, gossip.deadline)
            give(.deadlineReached)
            kept += effects
        }
        now = end
        effects = kept
    }

    var persists: [Gossip.Persist] {
        effects.compactMap { if case .persist(let persist) = $0 { persist } else { nil } }
    }

    var sent: [(message: Gossip.Message, to: NodeID)] {
        effects.compactMap {
            if case .send(let message, let to) = $0 { (message, to) } else { nil }
        }
    }

    /// A claim on a member in its first life.
    static func claim(
        _ node: UInt64, _ standing: Gossip.Liveness, _ incarnation: UInt64 = 1, by: [UInt64] = []
    ) -> Gossip.Claim {
        Gossip.Claim(
            NodeID(node), standing, Incarnation(incarnation), BootID(node == 1 ? 11 : node * 10),
            accusers: by.map { NodeID($0) })
    }
}
