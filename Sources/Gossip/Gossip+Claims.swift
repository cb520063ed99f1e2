import Mesh
internal import Planted

extension Gossip {
    /// Takes in a claim; true when it told something new.
    @discardableResult
    mutating func learn(_ claim: Claim, at now: Instant, _ effects: inout [Effect]) -> Bool {
        guard claim.incarnation < Limit.incarnationMax else {
            counters.implausible += 1
            return false
        }
        guard let i = places[claim.node] else {
            counters.strangers += 1
            return false
        }
        // As nearly every message says: asked in place, before anything is copied.
        guard !members[i].claim.covers(claim) else { return false }
        let before = members[i].claim
        let merged = before.joined(with: claim)
        guard merged != before else { return false }
        members[i].claim = merged
        aliveCount += (merged.standing == .alive ? 1 : 0) - (before.standing == .alive ? 1 : 0)
        if merged.boot != before.boot, before.boot != BootID(0),
            merged.incarnation > before.incarnation
        {
            effects.append(.restarted(claim.node, merged.boot))
        }
        if merged.standing != .suspect {
            suspects.removeAll { $0 == claim.node }
        } else if before.standing != .suspect || before.incarnation != merged.incarnation {
            members[i].suspectedAt = now
            if !suspects.contains(claim.node) { suspects.append(claim.node) }
        }
        passOn(claim: claim.node)
        settle(i, at: now, &effects)
        let isNews = merged.standing == .suspect && before.standing != .suspect
        if isNews, isSmall, !hasLeft, settings.tellsSuspectsFirst,
            !merged.accusers.contains(own.node)
        {
            // In a small mesh the accused hears at once (Lifeguard §IV.C, buddy), and the accuser
            // is confirmed or contradicted within a period.
            askSuspect(claim.node, at: now, &effects)
        }
        return true
    }

    /// Counted from the last answer on: whoever answers this node is not dead, be its refutation lost
    /// or late. What a member says unasked is no answer, or one that hears nothing would never die.
    func suspicionEnd(of member: Member) -> Instant {
        max(member.suspectedAt, member.answeredAt)
            + settings.suspicion(
                members: members.count + 1, confirmations: member.claim.accusers.count - 1,
                confirmers: aliveCount)
    }

    mutating func buryOverdue(at now: Instant, _ effects: inout [Effect]) {
        guard !suspects.isEmpty else { return }
        for node in suspects.sorted() {
            guard let i = places[node], members[i].claim.standing == .suspect,
                now >= suspicionEnd(of: members[i])
            else { continue }
            var claim = members[i].claim
            claim = Claim(node, .dead, claim.incarnation, claim.boot)
            if learn(claim, at: now, &effects) { announce(node, &effects) }
        }
    }

    /// Turns what is known into what is reported. Getting worse is reported at once; a return from
    /// the dead is held back the longer the more often the member died lately (as RFC 2439 damps
    /// routes), so that a flapping link can't make the mesh's answer flap.
    mutating func settle(_ i: Int, at now: Instant, _ effects: inout [Effect]) {
        let standing = members[i].claim.standing
        let node = members[i].peer.node
        guard standing != members[i].reported else { return release(i) }
        if members[i].reported == .dead, standing == .suspect { return release(i) }
        if members[i].reported == .dead, standing == .alive {
            if let until = members[i].holdUntil {
                guard now >= until else { return }
            } else if let hold = hold(of: members[i], at: now) {
                members[i].holdUntil = now + hold
                held.append(node)
                return
            }
        }
        release(i)
        if standing == .dead {
            members[i].deaths = deaths(of: members[i], at: now) + 1
            members[i].diedAt = now
        }
        members[i].reported = standing
        effects.append(.became(node, standing))
    }

    private mutating func release(_ i: Int) {
        guard members[i].holdUntil != nil else { return }
        members[i].holdUntil = nil
        let node = members[i].peer.node
        held.removeAll { $0 == node }
    }

    private func deaths(of member: Member, at now: Instant) -> Int {
        let halvings = now.since(member.diedAt).nanoseconds / settings.deathsHalfLife.nanoseconds
        return halvings < 32 ? member.deaths >> Int(halvings) : 0
    }

    private func hold(of member: Member, at now: Instant) -> Interval? {
        let excess = deaths(of: member, at: now) - settings.deathsFree
        guard excess > 0 else { return nil }
        return settings.holdBase * (1 << UInt64(min(excess - 1, Limit.holdDoublingsMax)))
    }

    mutating func reportHeld(at now: Instant, _ effects: inout [Effect]) {
        guard !held.isEmpty else { return }
        for node in held.sorted() {
            if let i = places[node] { settle(i, at: now, &effects) }
        }
    }

    /// What others say of this node. Whatever is not exactly its own word is outbid (SWIM §4.2):
    /// also an *Alive* that is too high, which is what a node hears that lost its counter.
    mutating func hearOfSelf(
        _ claim: Claim, from sender: NodeID, _ effects: inout [Effect]
    ) {
        guard !hasLeft, !isPlanted(.neverRefutes) else { return }
        let mine = ownClaim
        let isForeign = claim.standing == .alive && claim.boot != boot
        let outranks = mine.joined(with: claim) != mine
        guard outranks || (isForeign && claim.incarnation == incarnation) else { return }
        guard claim.incarnation < Limit.incarnationMax else {
            counters.implausible += 1
            return
        }
        if let pending {
            let isEcho = pending == claim.incarnation && claim.standing == .alive && !isForeign
            if isEcho || pending > claim.incarnation { return }
        }
        if isForeign {
            // An older start's claim is outbid once or twice; one that always comes back higher
            // lives, and outbidding it for ever would wear out both disks.
            foreignOutbids = foreignBoot == claim.boot ? foreignOutbids + 1 : 1
            foreignBoot = claim.boot
            guard foreignOutbids <= Limit.outbidsMax else {
                if foreignOutbids == Limit.outbidsMax + 1 {
                    effects.append(.conflict(own.node, other: claim.boot))
                }
                foreignOutbids = Limit.outbidsMax + 1
                return
            }
        }
        // Lifeguard §IV.A: being suspected is a sign of own trouble.
        if claim.standing == .suspect { worsen(by: 1) }
        refute(above: claim.incarnation, tell: sender, &effects)
    }

    mutating func refute(
        above heard: Incarnation, tell sender: NodeID, _ effects: inout [Effect]
    ) {
        let known = max(max(heard, incarnation), pending ?? .zero)
        let next = isPlanted(.refutesTooLow) ? known : known.next
        guard next < Limit.incarnationMax else {
            counters.implausible += 1
            return
        }
        counters.refutations += 1
        pending = next
        var refutation = message(.news, claims: [])
        refutation.incarnation = next
        var listeners = audience()
        if !listeners.contains(sender) { listeners.append(sender) }
        if isPlanted(.refutesUnsaved) {
            for node in listeners { effects.append(.send(refutation, to: node)) }
        }
        effects.append(
            .persist(
                Persist(
                    incarnation: next,
                    releases: listeners.map { Letter(to: $0, message: refutation) })))
    }

    mutating func adopt(_ saved: Incarnation, at now: Instant) {
        guard let asked = pending, saved <= asked, saved > incarnation else { return }
        if saved == asked { pending = nil }
        incarnation = saved
        writeRegister(at: now)
    }
}
