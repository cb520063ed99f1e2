import Mesh

extension Gossip {
    mutating func receive(
        _ message: Message, from: NodeID, at now: Instant, _ effects: inout [Effect]
    ) {
        guard message.sender == from, from != own.node else {
            counters.forged += 1
            return
        }
        guard let i = places[from] else {
            counters.strangers += 1
            return
        }
        guard message.incarnation < Limit.incarnationMax else {
            counters.implausible += 1
            return
        }
        guard message.claims.count <= Limit.claimsMax,
            message.registers.count <= Limit.registersMax
        else {
            counters.oversized += 1
            return
        }
        members[i].heardAt = now
        learn(Claim(from, .alive, message.incarnation, message.boot), at: now, &effects)
        for claim in message.claims { hear(claim, from: from, at: now, &effects) }
        for register in message.registers { take(register, from: from, &effects) }
        switch message.body {
        case .ping(let number): send(.ack(number), to: from, &effects)
        case .ack(let number): acknowledged(number, by: from, at: now, &effects)
        case .pingRequest(let number, let target):
            relay(number, to: target, for: from, at: now, &effects)
        case .nack(let number): declined(number, by: from)
        case .digest(let rows, let wantsAnswer):
            guard rows.count <= Limit.rowsMax else {
                counters.oversized += 1
                return
            }
            answer(rows, to: from, wantsAnswer: wantsAnswer, at: now, &effects)
        case .news:
            // The refutation was lost. Who holds this node for dead asks it nothing, and is asked
            // nothing where it is held for dead itself: without an answer both wait for chance.
            if message.claims.contains(where: { isOutbid($0) }) { send(.news, to: from, &effects) }
        }
    }

    /// It buries this node under an incarnation that is no longer the own one.
    private func isOutbid(_ claim: Claim) -> Bool {
        claim.node == own.node && claim.standing > .suspect && claim.incarnation < incarnation
    }

    private mutating func hear(
        _ claim: Claim, from: NodeID, at now: Instant, _ effects: inout [Effect]
    ) {
        if claim.node == own.node {
            hearOfSelf(claim, from: from, &effects)
        } else {
            learn(claim, at: now, &effects)
        }
    }

    private mutating func take(
        _ register: HealthMap.Register, from: NodeID, _ effects: inout [Effect]
    ) {
        guard register.bytes.count <= Limit.registerBytesMax,
            register.heard.count <= Limit.heardMax
        else {
            counters.oversized += 1
            return
        }
        guard register.version.incarnation < Limit.incarnationMax else {
            counters.implausible += 1
            return
        }
        if register.node == own.node {
            // A register of an earlier life that would outlast everything this one writes.
            let high = register.version.incarnation
            let isNewer = register.version > healthMap.version(of: own.node)
            if isNewer, high >= pending ?? .zero, !hasLeft {
                refute(above: high, tell: from, &effects)
            }
            return
        }
        guard places[register.node] != nil else {
            counters.strangers += 1
            return
        }
        guard healthMap.merge(register) else { return }
        Self.renew(register.node, in: &registerRumours)
        if !changedRegisters.contains(register.node) { changedRegisters.append(register.node) }
    }

    mutating func publish(_ bytes: [UInt8], at now: Instant) {
        guard bytes.count <= Limit.registerBytesMax else {
            counters.oversized += 1
            return
        }
        payload = bytes
        writeRegister(at: now)
    }

    mutating func writeRegister(at now: Instant) {
        versionCounter += 1
        var heard: [HealthMap.Heard] = []
        for member in members {
            guard let at = member.heardAt else { continue }
            let ago = min(now.since(at).nanoseconds / 1_000_000, UInt64(UInt32.max))
            heard.append(HealthMap.Heard(node: member.peer.node, agoMilliseconds: UInt32(ago)))
        }
        if heard.count > Limit.heardMax {
            // What was heard last is what a large mesh can still compare.
            heard.sort { ($0.agoMilliseconds, $0.node) < ($1.agoMilliseconds, $1.node) }
            heard = heard.prefix(Limit.heardMax).sorted()
        }
        healthMap.merge(
            HealthMap.Register(
                node: own.node,
                version: HealthMap.Version(incarnation: incarnation, counter: versionCounter),
                bytes: payload, heard: heard))
        Self.renew(own.node, in: &registerRumours)
    }

    mutating func passOn(claim node: NodeID) { Self.renew(node, in: &claimRumours) }

    private static func renew(_ node: NodeID, in rumours: inout [Rumour]) {
        rumours.removeAll { $0.node == node }
        rumours.append(Rumour(node: node))
    }

    func message(
        _ body: Body, claims: [Claim], registers: [HealthMap.Register] = []
    ) -> Message {
        Message(
            sender: own.node, incarnation: incarnation, boot: boot, body: body, claims: claims,
            registers: registers)
    }

    /// Everything that leaves takes news along, the least told first (SWIM §4.1).
    mutating func send(_ body: Body, to node: NodeID, _ effects: inout [Effect]) {
        let limit = settings.transmissionsMax(members: members.count + 1)
        var room = Limit.piggybackBytesMax
        var claims: [Claim] = []
        if let farewell { claims.append(farewell) }
        // Lifeguard §IV.C, buddy: whoever is suspected hears it first, and always.
        let isFirst = settings.tellsSuspectsFirst
        if isFirst, let i = places[node], members[i].claim.standing != .alive {
            claims.append(members[i].claim)
            room -= GossipCodec.byteCount(members[i].claim)
        }
        Self.arrange(&claimRumours, max: limit)
        for at in claimRumours.indices {
            let told = claimRumours[at].node
            guard told != node || !isFirst, let i = places[told] else { continue }
            let bytes = GossipCodec.byteCount(members[i].claim)
            guard bytes <= room, claims.count < Limit.claimsMax else { break }
            room -= bytes
            claims.append(members[i].claim)
            claimRumours[at].transmissions += 1
        }
        var registers: [HealthMap.Register] = []
        Self.arrange(&registerRumours, max: limit)
        for at in registerRumours.indices where registerRumours[at].node != node {
            guard let register = healthMap[registerRumours[at].node] else { continue }
            let bytes = GossipCodec.byteCount(register)
            guard bytes <= room else { break }
            room -= bytes
            registers.append(register)
            registerRumours[at].transmissions += 1
        }
        effects.append(.send(message(body, claims: claims, registers: registers), to: node))
    }

    /// Drops what was told often enough; the rest by how often it was told.
    private static func arrange(_ rumours: inout [Rumour], max limit: Int) {
        guard !rumours.isEmpty else { return }
        rumours.removeAll { $0.transmissions >= limit }
        // In place, for all that counts is what was told how often.
        if rumours.count > 1 {
            rumours.sort { ($0.transmissions, $0.node) < ($1.transmissions, $1.node) }
        }
    }

    /// Those who stand so. Not by filtering members: each is copied then, with all that it refers to.
    func nodes(_ isMeant: (Liveness) -> Bool) -> [NodeID] {
        var nodes: [NodeID] = []
        for member in members where isMeant(member.claim.standing) {
            nodes.append(member.peer.node)
        }
        return nodes
    }

    /// Who hears a verdict at once: in a small mesh everybody who has not left, also the dead, who
    /// may not be; in a large one a few, and the rest by piggyback.
    mutating func audience() -> [NodeID] {
        let present = nodes { $0 != .left }
        guard !isSmall else { return present }
        return Array(present.shuffled(using: &random).prefix(settings.helpers))
    }

    /// A verdict of this node's own goes out now: confirmations are what shortens suspicion.
    mutating func announce(_ subject: NodeID, _ effects: inout [Effect]) {
        guard isSmall else { return send(.news, to: subject, &effects) }
        for node in audience() { send(.news, to: node, &effects) }
    }

    /// Push-pull anti-entropy: with everybody at the first (joining) in a small mesh, later with
    /// one at random, the dead included.
    mutating func synchronize(_ effects: inout [Effect]) {
        let present = nodes { $0 != .left }
        guard let partner = present.randomElement(using: &random) else { return }
        let isJoining = !members.contains { $0.heardAt != nil }
        for node in isJoining ? audience() : [partner] {
            digest(
                (members.map(\.peer.node) + [own.node]).sorted(), to: node, wantsAnswer: true,
                &effects)
        }
    }

    private mutating func digest(
        _ nodes: [NodeID], to partner: NodeID, wantsAnswer: Bool, _ effects: inout [Effect]
    ) {
        for start in stride(from: 0, to: nodes.count, by: Limit.rowsMax) {
            let rows = nodes[start..<min(start + Limit.rowsMax, nodes.count)].map { row(on: $0) }
            let body = Body.digest(rows, wantsAnswer: wantsAnswer)
            effects.append(.send(message(body, claims: []), to: partner))
        }
    }

    private func row(on node: NodeID) -> Row {
        let claim = places[node].map { members[$0].claim } ?? ownClaim
        return Row(claim: claim, register: healthMap.version(of: node))
    }

    /// Tells what the sender does not know and, when asked to, names what it knows better.
    private mutating func answer(
        _ rows: [Row], to partner: NodeID, wantsAnswer: Bool, at now: Instant,
        _ effects: inout [Effect]
    ) {
        var claims: [Claim] = []
        var registers: [HealthMap.Register] = []
        var wanted: [NodeID] = []
        var previous: NodeID?
        for row in rows {
            let node = row.claim.node
            // A row repeated five hundred times would be answered as often.
            if let previous, previous >= node { continue }
            previous = node
            hear(row.claim, from: partner, at: now, &effects)
            guard node == own.node || places[node] != nil else { continue }
            let mine = self.row(on: node)
            if mine.claim.joined(with: row.claim) != row.claim { claims.append(mine.claim) }
            if mine.register < row.register {
                wanted.append(node)
            } else if row.register < mine.register, let register = healthMap[node] {
                registers.append(register)
            }
        }
        tell(claims, registers, to: partner, &effects)
        if wantsAnswer, !wanted.isEmpty {
            digest(wanted, to: partner, wantsAnswer: false, &effects)
        }
    }

    private func tell(
        _ claims: [Claim], _ registers: [HealthMap.Register], to partner: NodeID,
        _ effects: inout [Effect]
    ) {
        var letter = message(.news, claims: claims)
        var bytes = claims.reduce(0) { $0 + GossipCodec.byteCount($1) }
        for register in registers {
            let size = GossipCodec.byteCount(register)
            if bytes + size > Limit.messageBytesMax / 2
                || letter.registers.count == Limit.registersMax
            {
                effects.append(.send(letter, to: partner))
                letter = message(.news, claims: [])
                bytes = 0
            }
            letter.registers.append(register)
            bytes += size
        }
        guard !letter.claims.isEmpty || !letter.registers.isEmpty else { return }
        effects.append(.send(letter, to: partner))
    }
}
