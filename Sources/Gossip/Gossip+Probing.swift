import Mesh
internal import Planted

extension Gossip {
    /// In a small mesh each member is probed once in two periods, in a large one a member a period
    /// (SWIM §3.1): either way the cost of a node is constant. With few the order of a round counts
    /// more, hence the probe in addition.
    var probeGap: Interval {
        let interval = stretched(settings.probeInterval)
        guard isSmall, members.count > 1 else { return interval }
        return interval * 2 / UInt64(members.count + 1)
    }

    /// SWIM §4.3: round-robin over a shuffled order bounds the time to the first probe.
    mutating func probeNext(at now: Instant, _ effects: inout [Effect]) {
        for _ in 0...members.count where !isPlanted(.neverProbes) {
            if ring.isEmpty {
                ring = nodes { $0 <= .suspect }
                guard !ring.isEmpty else { return }
                ring.shuffle(using: &random)
            }
            let target = ring.removeLast()
            guard let i = places[target], members[i].claim.standing <= .suspect,
                !probes.contains(where: { $0.target == target })
            else { continue }
            return probe(target, at: now, &effects)
        }
    }

    /// A suspect is looked at again in the pace of its suspicion, which own trouble doesn't stretch:
    /// twice directly and twice through helpers in a period.
    mutating func probe(
        _ target: NodeID, again isRepeat: Bool = false, at now: Instant,
        _ effects: inout [Effect]
    ) {
        sequence &+= 1
        let (timeout, interval) = (settings.probeTimeout, settings.probeInterval)
        probes.append(
            Probe(
                sequence: sequence, target: target,
                indirectAt: now + (isRepeat ? timeout : stretched(timeout)),
                endsAt: now + (isRepeat ? interval : stretched(interval)), isRepeat: isRepeat))
        send(.ping(sequence), to: target, &effects)
        if isRepeat { askHelpers(of: probes.count - 1, &effects) }
    }

    mutating func advanceProbes(at now: Instant, _ effects: inout [Effect]) {
        for i in probes.indices where !probes[i].asked && now >= probes[i].indirectAt {
            probes[i].asked = true
            if probes[i].isRepeat {
                send(.ping(probes[i].sequence), to: probes[i].target, &effects)
            }
            askHelpers(of: i, &effects)
        }
        // Hardly ever.
        guard probes.contains(where: { now >= $0.endsAt }) else { return }
        let failed = probes.filter { now >= $0.endsAt }
        probes.removeAll { now >= $0.endsAt }
        for probe in failed { fail(probe, at: now, &effects) }
    }

    private mutating func askHelpers(of i: Int, _ effects: inout [Effect]) {
        probes[i].helpers = chooseHelpers(for: probes[i].target)
        for helper in probes[i].helpers {
            send(.pingRequest(probes[i].sequence, target: probes[i].target), to: helper, &effects)
        }
    }

    /// SWIM §3.1's k helpers. A small mesh asks everybody: memberlist drew at random with
    /// replacement by rejection, and with three members often asked nobody (its #350).
    private mutating func chooseHelpers(for target: NodeID) -> [NodeID] {
        let able = nodes { $0 <= .suspect }.filter { $0 != target }
        if isSmall || able.count <= settings.helpers { return able }
        return Array(able.shuffled(using: &random).prefix(settings.helpers))
    }

    private mutating func fail(_ probe: Probe, at now: Instant, _ effects: inout [Effect]) {
        counters.probesFailed += 1
        // Lifeguard §IV.A: helpers that decline show that the own links work; their silence means
        // the fault may be here. A majority decides, for with everybody asked, other suspects are
        // among the helpers.
        if !probe.isRepeat, probe.nacked.count * 2 <= probe.helpers.count { worsen(by: 1) }
        guard let i = places[probe.target], members[i].claim.standing <= .suspect else { return }
        var claim = members[i].claim
        let known = claim.accusers
        claim = claim.joined(
            with: Claim(
                probe.target, .suspect, claim.incarnation, claim.boot, accusers: [own.node]))
        if learn(claim, at: now, &effects), claim.accusers != known {
            announce(probe.target, &effects)
        }
        // In a small mesh a few messages decide, and any of them may be lost: a suspect is asked until
        // it is dead or has refuted.
        if isSmall, members[i].claim.standing == .suspect, !hasLeft {
            askSuspect(probe.target, at: now, &effects)
        }
    }

    /// Takes the place of a probe that own trouble may stretch beyond the suspicion; what still comes
    /// for that one is a late answer.
    mutating func askSuspect(_ target: NodeID, at now: Instant, _ effects: inout [Effect]) {
        guard !probes.contains(where: { $0.target == target && $0.isRepeat }) else { return }
        probes.removeAll { $0.target == target }
        probe(target, again: true, at: now, &effects)
    }

    mutating func acknowledged(
        _ number: UInt64, by sender: NodeID, at now: Instant, _ effects: inout [Effect]
    ) {
        if let i = probes.firstIndex(where: { $0.sequence == number }) {
            guard probes[i].target == sender || probes[i].helpers.contains(sender) else {
                counters.strayAcks += 1
                return
            }
            let probe = probes.remove(at: i)
            if let target = places[probe.target] { members[target].answeredAt = now }
            recover()
        } else if let i = relays.firstIndex(where: {
            $0.sequence == number && $0.target == sender
        }) {
            let relay = relays.remove(at: i)
            send(.ack(relay.originSequence), to: relay.origin, &effects)
        } else if let i = places[sender], sequence &- number < Limit.lateAnswersMax {
            // Too late for its probe, and a sign of life all the same.
            members[i].answeredAt = now
            counters.lateAnswers += 1
        } else {
            counters.strayAcks += 1
        }
    }

    mutating func declined(_ number: UInt64, by sender: NodeID) {
        guard let i = probes.firstIndex(where: { $0.sequence == number }),
            probes[i].helpers.contains(sender), !probes[i].nacked.contains(sender)
        else { return }
        probes[i].nacked.append(sender)
    }

    mutating func relay(
        _ number: UInt64, to target: NodeID, for origin: NodeID, at now: Instant,
        _ effects: inout [Effect]
    ) {
        guard target != own.node else { return send(.ack(number), to: origin, &effects) }
        guard places[target] != nil, relays.count < Limit.relaysMax, !hasLeft else {
            counters.relaysDeclined += 1
            return send(.nack(number), to: origin, &effects)
        }
        sequence &+= 1
        relays.append(
            Relay(
                sequence: sequence, target: target, origin: origin, originSequence: number,
                // Lifeguard §IV.A: early enough that the nack still meets its probe.
                nackAt: now + settings.probeTimeout * 6 / 10,
                endsAt: now + settings.probeInterval))
        send(.ping(sequence), to: target, &effects)
    }

    mutating func advanceRelays(at now: Instant, _ effects: inout [Effect]) {
        for i in relays.indices where !relays[i].nacked && now >= relays[i].nackAt {
            relays[i].nacked = true
            send(.nack(relays[i].originSequence), to: relays[i].origin, &effects)
        }
        relays.removeAll { $0.nacked && now >= $0.endsAt }
    }

    /// The dead are not in the ring, for they would slow the detection of others; but one a period
    /// is told of its death, so that both sides of a healed cut find each other. They are told in
    /// turn, by chance only among those who have waited equally long: whoever lives is found within
    /// as many periods as there are dead.
    mutating func reconnect(at now: Instant, _ effects: inout [Effect]) {
        guard members.contains(where: { $0.claim.standing == .dead }) else { return }
        let dead = members.filter { $0.claim.standing == .dead }
        let longest = dead.map(\.toldAt).min()
        guard
            let chosen = dead.filter({ $0.toldAt == longest }).randomElement(using: &random),
            let i = places[chosen.peer.node]
        else { return }
        members[i].toldAt = now
        send(.news, to: chosen.peer.node, &effects)
    }
}
