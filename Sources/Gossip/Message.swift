package import Mesh

extension Gossip {
    package struct Message: Hashable, Sendable {
        /// Who speaks; must be whom the link authenticated.
        package var sender: NodeID
        /// Every message is its sender's own claim to be alive.
        package var incarnation: Incarnation
        package var boot: BootID
        package var body: Body
        /// What rides along (SWIM §4.1).
        package var claims: [Claim]
        package var registers: [HealthMap.Register]

        package init(
            sender: NodeID, incarnation: Incarnation, boot: BootID, body: Body,
            claims: [Claim] = [], registers: [HealthMap.Register] = []
        ) {
            self.sender = sender
            self.incarnation = incarnation
            self.boot = boot
            self.body = body
            self.claims = claims
            self.registers = registers
        }
    }

    package enum Body: Hashable, Sendable {
        case ping(UInt64)
        case ack(UInt64)
        /// Probe `target` for me (SWIM §3.1).
        case pingRequest(UInt64, target: NodeID)
        /// The helper lives but did not hear the target in time (Lifeguard §IV.A).
        case nack(UInt64)
        /// What the sender knows of these members; the answer is what it does not know.
        case digest([Row], wantsAnswer: Bool)
        /// Nothing but what rides along.
        case news
    }

    package struct Row: Hashable, Sendable {
        package var claim: Claim
        package var register: HealthMap.Version
        package init(claim: Claim, register: HealthMap.Version) {
            self.claim = claim
            self.register = register
        }
    }

    package struct Letter: Hashable, Sendable {
        package let to: NodeID
        package let message: Message
        package init(to: NodeID, message: Message) {
            self.to = to
            self.message = message
        }
    }
}
