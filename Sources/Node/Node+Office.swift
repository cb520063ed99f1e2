internal import Decisions
internal import Gossip
internal import Mesh
internal import Planted
internal import Raft
internal import Record
internal import Voting
internal import Wire

/// The primary's seat: who claims it, how long it is held, how it is given up.
extension Node {
    /// Leads, and has applied everything that an earlier leader may have committed: only then does
    /// the seat's state say the truth.
    ///
    /// Inlined, or every event would copy the whole node to ask it this.
    @inline(__always) var knowsTheSeat: Bool {
        guard voter.raft.role == .leader else { return false }
        return voter.raft.termStartIndex.map { decisions.appliedIndex >= $0 } ?? false
    }

    mutating func tend() {
        tendAt = .distantFuture
        guard knowsTheSeat else { return }
        if let until = restsUntil { return tendAt = until }
        switch office {
        case .clearing, .claiming: return
        case .acting(let acting): hold(acting)
        case .yielding(_, let until) where now < until: tendAt = until
        case .yielding, .idle:
            office = .idle
            seek()
        }
    }

    /// When there is next anything to hold the seat for. An open primary looks with every event and
    /// hardly ever finds something, so this looks in place; to change an office copies it.
    @inline(__always) private var restsUntil: Instant? {
        guard case .acting(let acting) = office, acting.isOpen, acting.handOver == nil,
            let until = acting.lease.until, now < until, !isWorthTelling(until, acting.toldUntil)
        else { return nil }
        let renewal = acting.lease.nextRenewal(at: now)
        return now < renewal ? max(renewal, now + Self.pauseMin) : nil
    }

    @inline(__always) private func isWorthTelling(_ until: Instant, _ told: Instant) -> Bool {
        until.since(told) > settings.lease.length / 20
    }

    private static var pauseMin: Interval { .milliseconds(1) }

    /// This node leads and holds no seat.
    private mutating func seek() {
        switch decisions.tenure {
        case .vacant:
            let patienceEnds = ledAt + settings.firstPrimaryPatience
            if rank(seat) > 0, now < patienceEnds {
                yieldToBetter()
                tendAt = min(tendAt, patienceEnds)
            } else {
                claim(.firstPrimary)
            }
        case .relinquished(_, let index): claim(.relinquished(at: index))
        case .held(let primary, _) where primary.node == seat:
            let index = propose(.relinquish(epoch: primary.epoch))
            if let index { office = .clearing(index) }
        case .held(let primary, _): succeed(primary)
        }
    }

    /// consensus.md, "Primary, epoch, lease": the named primary gets the leadership back if it
    /// lives and is complete; otherwise its lease has to end.
    private mutating func succeed(_ primary: Primary) {
        let silentUntil = ledAt + raftSettings.heartbeat * 2
        if wasHeard(primary.node), !isPartial(primary.node), now < ledAt + settings.returnPatience,
            transfers.allows(primary.node)
        {
            tendAt = ledAt + settings.returnPatience
            if isComplete(primary.node) { transfer(to: primary.node) }
            return
        }
        guard now >= silentUntil else {
            tendAt = silentUntil
            return
        }
        guard let warrant = observed.warrant(for: decisions.tenure, at: now) else {
            // Only while there is time: whoever could claim now does.
            if !yieldToBetter() { tendAt = observed.ends }
            return
        }
        claim(warrant)
    }

    private var raftSettings: RaftSettings { voter.raft.settings }

    /// Whether it has answered in this term.
    private func wasHeard(_ node: NodeID) -> Bool {
        voter.raft.progress.contains { $0.node == node && $0.round > 0 && isRecent($0.heardAt) }
    }

    /// Whether its volumes lack something: it can't lead before it has it.
    private func isPartial(_ node: NodeID) -> Bool {
        voter.raft.progress.contains { $0.node == node && $0.isPartial }
    }

    private func isRecent(_ heardAt: Instant) -> Bool {
        now < heardAt + raftSettings.heartbeat * 4
    }

    private func isComplete(_ node: NodeID) -> Bool {
        voter.raft.progress.contains {
            $0.node == node && $0.match == voter.raft.lastPosition.index && $0.isHeir
        }
    }

    /// Gives the leadership to a living, complete node that should rather be primary.
    @discardableResult
    private mutating func yieldToBetter() -> Bool {
        let better = order.prefix(rank(seat)).first {
            transfers.allows($0) && wasHeard($0) && isComplete($0) && !isShort(of: $0)
        }
        guard let better else { return false }
        transfer(to: better)
        return true
    }

    /// Whether it says of itself that its disk is full.
    private func isShort(of node: NodeID) -> Bool { report(of: node).map { !$0.hasRoom } ?? false }

    /// What it last said of itself.
    func report(of node: NodeID) -> Report? {
        voter.gossip.healthMap[node].flatMap { Report(parsing: $0.bytes) }
    }

    private mutating func transfer(to node: NodeID) {
        guard !voter.raft.isTransferring, now >= transfers.nextAt else {
            tendAt = min(tendAt, max(transfers.nextAt, now + raftSettings.heartbeat))
            return
        }
        transfers.note(node, nextAt: now + voter.raft.electionTimeout)
        tendAt = min(tendAt, transfers.nextAt)
        out.append(.happened(.handBack(to: node)))
        turn(.raft(.transferLeadership(to: node)))
    }

    private mutating func claim(_ warrant: Warrant) {
        let epoch = decisions.tenure.epoch.next
        story.claimed(at: now)
        if let index = propose(.promote(node: seat, epoch: epoch, warrant: warrant)) {
            office = .claiming(index)
        } else {
            tendAt = now + raftSettings.heartbeat
        }
    }

    /// A command that needs no session: the state itself refuses its repetition.
    private mutating func propose(_ command: Command) -> LogIndex? {
        guard propose([Draft(.command, epoch: .zero, payload: command.encoded)]) == nil else {
            tendAt = now + raftSettings.heartbeat
            return nil
        }
        return accepted?.first.index
    }

    private mutating func hold(_ acting: Office.Acting) {
        var acting = acting
        if acting.handOver?.relinquished == nil, now >= acting.lease.nextRenewal(at: now) {
            office = .acting(acting)
            renew()
            guard case .acting(let renewed) = office else { return }
            acting = renewed
        }
        let unrenewed = isPlanted(.opensUnrenewed) ? now + settings.lease.holderStops : nil
        if let until = acting.lease.until ?? unrenewed, now < until {
            if !acting.isOpen {
                acting.isOpen = true
                (acting.toldUntil, toldDurable) = (until, .zero)
                out.append(.open(acting.epoch, until: until))
                opened(acting.epoch)
            } else if isWorthTelling(until, acting.toldUntil) {
                acting.toldUntil = until
                out.append(.lease(until: until))
            }
        }
        if let handOver = acting.handOver, handOver.relinquished == nil {
            if now >= handOver.deadline {
                office = .acting(acting)
                return drained()
            }
            tendAt = handOver.deadline
        }
        office = .acting(acting)
        tendAt = min(tendAt, max(acting.lease.nextRenewal(at: now), now + Self.pauseMin))
    }

    private mutating func renew() {
        guard case .acting(let acting) = office else { return }
        if propose([Draft(.blank, epoch: acting.epoch)]) == nil { noteRenewal() }
    }

    /// Whatever this node proposes in its epoch renews its lease once it commits.
    mutating func noteRenewal() {
        guard let accepted else { return }
        let last = accepted.first.index.advanced(by: accepted.count - 1)
        let now = now
        office.change { $0.lease.proposed(last, epoch: $0.epoch, at: now) }
    }

    private mutating func opened(_ epoch: Epoch) {
        guard let at = takeovers.lastIndex(where: { $0.epoch == epoch }) else { return }
        takeovers[at].phases = story.phases(openedAt: now)
        out.append(.happened(.takeover(takeovers[at])))
    }

    /// The leadership is gone, and with it the right to act.
    mutating func resign() {
        if case .acting(let acting) = office {
            if !isPlanted(.keepsExportsWhenDeposed) { out.append(.close) }
            out.append(.happened(.resigned(acting.epoch)))
            drafts.removeAll()
            if acting.handOver?.relinquished == nil { story.ruled(at: now) }
        }
        office = .idle
    }

    /// Why the seat can't go to `region`; nil once it is on its way.
    mutating func beginHandOver(to region: RegionName) -> String? {
        guard case .acting(var acting) = office, acting.isOpen else {
            return "node \(seat) does not act as primary"
        }
        guard acting.handOver == nil else { return "a hand-over is under way" }
        guard
            let target = order.first(where: {
                settings.region(of: $0) == region && $0 != seat
            })
        else { return "region \(region) has no data member but this one" }
        guard wasHeard(target) else { return "node \(target) in \(region) does not answer" }
        guard !isForgetful(target) else {
            return "node \(target) in \(region) lost writes that it had acknowledged"
        }
        guard !isPartial(target) else {
            return "node \(target) in \(region) is still taking what it missed from another"
        }
        guard let behind = lag(of: target), behind <= Self.handOverLagMax else {
            return "node \(target) in \(region) is \(lag(of: target) ?? 0) entries behind"
        }
        acting.handOver = Office.HandOver(target: target, deadline: now + settings.drainMax)
        office = .acting(acting)
        out.append(.drain)
        out.append(.happened(.handOver(to: target)))
        return nil
    }

    /// A target further behind than this would keep the clients waiting.
    static var handOverLagMax: UInt64 { 1_000 }

    private func lag(of node: NodeID) -> UInt64? {
        voter.raft.progress.first { $0.node == node }
            .map { voter.raft.lastPosition.index.distance(above: $0.match) }
    }

    private func isForgetful(_ node: NodeID) -> Bool {
        voter.raft.progress.contains { $0.node == node && $0.isForgetful }
    }

    /// All that clients were promised stands in the log: the seat can be given up.
    mutating func drained() {
        guard case .acting(var acting) = office, var handOver = acting.handOver,
            handOver.relinquished == nil
        else { return }
        if !isPlanted(.handsOverUnclosed) { out.append(.close) }
        story.ruled(at: now)
        drafts.removeAll()
        let index = propose(.relinquish(epoch: acting.epoch))
        guard case .acting = office else { return }
        handOver.relinquished = index
        guard index != nil else { return resign() }
        acting.handOver = handOver
        office = .acting(acting)
    }

    /// The relinquishing is applied: the target is to lead, and claims the seat as leader.
    mutating func yield(to target: NodeID) {
        office = .yielding(to: target, until: now + voter.raft.electionTimeout * 2)
        turn(.raft(.transferLeadership(to: target)))
    }
}
