internal import Decisions
internal import Gossip
internal import JournalCore
internal import Mesh
internal import Node
internal import Raft
internal import Record
internal import VolumeCore

/// What a member may promise, and what it must still keep after a restart. Judged by the disks, not by
/// what a core believes of them.
extension Simulation {
    /// A leader that was deposed learns of it, or misses its quorum, within this.
    static let lingeringMax = Interval.seconds(3)

    /// Nothing counts as committed that a quorum's disks don't hold; and a leader counts replicas only
    /// of its own term's entries (Raft §5.4.2).
    mutating func checkCommit(_ index: LogIndex, _ term: Term?, _ at: Int) {
        guard let term, report.violation == nil else { return }
        // A follower learns late under whom it was decided.
        let isDecided =
            machines[at].role == .leader
            ? (machines[at].raft { $0.membership } ?? membership).isQuorum {
                isHeld($0, index, term)
            }
            : recruiting.configurations.reversed().contains {
                $0.membership.isQuorum { isHeld($0, index, term) }
            }
        if !isDecided {
            let holders = machines.filter { $0.holds(index, term) }.map(\.id)
            check(
                "a commit is on a quorum's disks: node \(machines[at].id) takes \(index)@\(term) for "
                    + "committed, which nodes \(holders) hold")
        }
        let leads = machines[at].role == .leader ? machines[at].term : nil
        if let leads, leads != term {
            check(
                "a leader commits its own term: node \(machines[at].id) leads term \(leads) and "
                    + "counts \(index)@\(term)")
        }
    }

    private func isHeld(_ node: NodeID, _ index: LogIndex, _ term: Term) -> Bool {
        machines[place(of: node)].holds(index, term)
    }

    /// What is on its way to a member's log.
    mutating func checkChange(_ change: LogChange, _ at: Int) {
        checkReplacement(change.entries, at)
        for entry in change.entries where entry.kind == .membership { checkMembership(entry, at) }
        if let base = change.base { checkBase(base.position, at) }
        let leads = machines[at].role == .leader
        if machines[at].isWitness, leads, !change.entries.isEmpty {
            check("a witness appends nothing of its own: node \(machines[at].id) does as leader")
        }
    }

    /// What is committed and on a disk stays there.
    private mutating func checkReplacement(_ entries: [Entry], _ at: Int) {
        guard let first = entries.first?.index, let last = machines[at].journal?.end().index
        else { return }
        var index = first
        while index <= last, let term = watch.committedTerm(at: index) {
            let offset = Int(index.distance(above: first))
            let new = offset < entries.count ? entries[offset].term : nil
            if machines[at].journal?.term(at: index) == term, new != term {
                let what = new.map { "replaces it by one of term \($0)" } ?? "drops it"
                return check(
                    "committed never lost: node \(machines[at].id) holds \(index)@\(term), which is "
                        + "committed, and \(what)")
            }
            index = index.next
        }
    }

    /// A log forgets only what every data member holds or, where some are left behind (ADR 5), every
    /// majority; a witness, what so many hold that one of them is in every majority with it (ADR 2,
    /// rule 1). Judged when the first data member moves its base there: whoever follows takes what is
    /// forgotten already, and a disk that was hurt since is a fault of its own.
    private mutating func checkBase(_ base: Position, _ at: Int) {
        let (id, isWitness) = (machines[at].id, machines[at].isWitness)
        func holders(_ half: Electorate, whole: Bool) -> Int {
            half.data.count { node in
                let machine = machines[place(of: node)]
                return machine.holds(base.index, base.term) && !(whole && machine.isPartial)
            }
        }
        func isHeld(_ half: Electorate) -> Bool {
            let data = half.data.count
            if isWitness {
                return half.witness != id
                    || holders(half, whole: false) >= data - half.quorum + 2
            }
            let toOutlast = data - half.quorum + (half.witness == nil ? 1 : 2)
            let all = plan.keepsLittleLog || changesMembers ? toOutlast : data
            // Who takes a base from a leader lacks what lies below it.
            return holders(half, whole: false) >= all && holders(half, whole: true) >= toOutlast
        }
        // One that never voted has forgotten nothing.
        let all = recruiting.configurations.map(\.membership)
        // And a witness whose vote goes is told so by a base.
        let deciding = isWitness ? all.suffix(3) : all.filter { $0.votes(id) }[...]
        guard isWitness || base.index > lawfullyForgotten, all.contains(where: { $0.votes(id) })
        else { return }
        if deciding.contains(where: { $0.halves.allSatisfy(isHeld) }) {
            if !isWitness { lawfullyForgotten = base.index }
            return
        }
        check(
            "nothing is forgotten too early: node \(id) moves its base to \(base), which too few "
                + "data members hold")
    }

    /// Nothing is applied that the own log could forget; and all know the same epoch.
    mutating func checkApplied(_ ruled: [Ruled], _ at: Int) {
        guard let last = ruled.last?.entry, report.violation == nil else { return }
        if !machines[at].holds(last.index, last.term) {
            check("node \(machines[at].id) applies \(last.position), which its disk does not hold")
        }
        guard let decisions = machines[at].agent?.node.decisions,
            decisions.appliedIndex.rawValue == UInt64(watch.appliedCount),
            decisions.tenure.epoch != watch.seat.epoch
        else { return }
        check(
            "a promotion needs its warrant: node \(machines[at].id) is in epoch "
                + "\(decisions.tenure.epoch) at \(last.position), where the log gives \(watch.seat.epoch)"
        )
    }

    /// A letter is about to leave. True if it is one that a crash would best be aimed at.
    mutating func checkPromise(_ letter: Letter, _ at: Int) -> Bool {
        let isVote: Bool
        switch letter.body {
        case .vote:
            check(watch.votes(letter.from, for: letter.from, in: letter.term))
            isVote = true
        case .voteAnswer(granted: true):
            check(watch.votes(letter.from, for: letter.to, in: letter.term))
            isVote = true
        case .append, .appended, .heartbeat, .heard, .snapshot: isVote = false
        default: return false
        }
        defer { machines[at].spokenTerm = max(machines[at].spokenTerm, letter.term) }
        return isVote || letter.term > machines[at].spokenTerm
    }

    /// All that was promised is there after a restart.
    mutating func checkRecovered(_ recovered: Recovered, _ at: Int) {
        let (id, state) = (machines[at].id, recovered.hardState)
        if state.term < machines[at].spokenTerm {
            check(
                "no term is forgotten: node \(id) starts in term \(state.term), and spoke in "
                    + "\(machines[at].spokenTerm)")
        }
        if let vote = watch.lastVote(of: id), vote.term == state.term, vote.candidate != state.vote
        {
            check(
                "no vote is forgotten: node \(id) voted for node \(vote.candidate) in term "
                    + "\(vote.term), and starts with \(state.vote.map { "\($0)" } ?? "none")")
        }
        guard let remains = machines[at].remains else { return }
        for position in recovered.positions where position.index <= machines[at].promised {
            guard let term = remains.term(at: position.index), term != position.term else {
                continue
            }
            return check(
                "durability: node \(id) starts with \(position), though it said that "
                    + "\(position.index)@\(term) was safe")
        }
    }

    /// Whatever is said in gossip is said under an incarnation that is durable, and these only grow.
    mutating func gossip(_ message: Gossip.Message, _ at: Int, _ to: NodeID) {
        let said = message.incarnation
        if said > machines[at].incarnation {
            check(
                "incarnations are durable: node \(machines[at].id) speaks under \(said), and its disk "
                    + "knows \(machines[at].incarnation)")
        }
        if said < machines[at].spokenIncarnation {
            check(
                "incarnations grow: node \(machines[at].id) speaks under \(said) after "
                    + "\(machines[at].spokenIncarnation)")
        }
        machines[at].spokenIncarnation = max(machines[at].spokenIncarnation, said)
        post(at, to, .gossip, GossipCodec.encode(message))
    }

    mutating func checkIncarnation(_ at: Int) {
        guard machines[at].incarnation <= machines[at].spokenIncarnation else { return }
        check(
            "incarnations grow: node \(machines[at].id) starts under \(machines[at].incarnation) after "
                + "\(machines[at].spokenIncarnation)")
    }

    /// What lies in a volume is told only under the lease.
    mutating func checkAnswers(_ effects: [ExportEffect], _ now: Instant, _ at: Int) {
        for case .reply(_, let answer) in effects where answer.needsLease {
            if let end = machines[at].agent?.exports.leaseEnds, now < end { continue }
            check("a lease for every answer: node \(machines[at].id) tells of a volume without one")
        }
    }

    /// Nor once another one may have been given the seat.
    mutating func checkTelling(_ at: Int) {
        if let end = machines[at].agent?.volumes.lease.until, machines[at].clock.local(time) < end {
            return
        }
        check(
            "a lease for every answer: node \(machines[at].id) tells of a volume behind the end of "
                + "its tenure")
    }

    /// Who is deposed neither leads nor serves for long.
    mutating func lookForLingerers(_ at: Int) {
        guard machines[at].power == .up,
            let term = machines[at].raft({ $0.role == .leader ? $0.term : .zero })
        else { return }
        let ran = machines[at].runsSince
        if term > .zero, term < newestLeader.term,
            time > max(ran, newestLeader.since) + Self.lingeringMax
        {
            check(
                "a leader without a quorum gives up: node \(machines[at].id) leads term \(term), "
                    + "and term \(newestLeader.term) was led since \(newestLeader.since)")
        }
        let heard = max(ran, quorumHeard(at))
        if term > .zero, time > heard + Self.lingeringMax {
            check(
                "a leader without a quorum gives up: node \(machines[at].id) leads term \(term), "
                    + "and heard of no quorum since \(heard)")
        }
        let free = max(ran, machines[at].volumesStalledUntil)
        if let resigned = machines[at].resignedAt, machines[at].agent?.open.isEmpty == false,
            time > max(resigned, free) + .seconds(1)
        {
            check(
                "exports close at demotion: node \(machines[at].id) resigned at \(resigned), and "
                    + "its exports are open")
        }
    }

    /// When so many others had last been heard as make a quorum with itself.
    private func quorumHeard(_ at: Int) -> Moment {
        let membership = machines[at].raft { $0.membership } ?? membership
        let floor = membership.quorumFloor { node in
            let place = place(of: node)
            return place == at ? .max : machines[at].heard[place].nanoseconds
        }
        return Moment(nanoseconds: floor)
    }

    /// No false death lasts, and nobody's incarnation is invented.
    mutating func judgeGossip() {
        for at in machines.indices where machines[at].isUp {
            for other in machines.indices where other != at && machines[other].isUp {
                let (id, node) = (machines[at].id, machines[other].id)
                guard let claim = machines[at].gossip({ $0.claim(on: node) }) ?? nil else {
                    continue
                }
                if claim.standing > .suspect {
                    check(
                        "no false death lasts: node \(id) holds node \(node) for \(claim.standing)")
                }
                if claim.incarnation > machines[other].incarnation {
                    check(
                        "incarnations are their owner's: node \(id) knows node \(node) under "
                            + "\(claim.incarnation), which has \(machines[other].incarnation)")
                }
            }
        }
    }

    /// One is gone for ever: the acting primary, or else any data member.
    mutating func fallForGood() {
        guard report.violation == nil else { return }
        let voters = recruiting.newest?.voters.data ?? []
        let data = voters.map { place(of: $0) }.filter {
            maySpare($0) && !machines[$0].isGone && !holdsWhole(except: [$0]).isEmpty
        }
        guard isSettled, !data.isEmpty else { return }
        let acting = data.first { machines[$0].power == .up && machines[$0].servesUntil > time }
        let at = acting ?? data[Int(random.next() % UInt64(data.count))]
        (fallenForGood, hasRecovered) = (at, false)
        cutPower(at)
    }

    /// The others go on without it, and know that it is gone.
    mutating func judgeLast() {
        guard let gone = fallenForGood else { return }
        guard hasRecovered else {
            return check(
                "liveness: no flush was answered within \(plan.bereavement) after node "
                    + "\(machines[gone].id) fell")
        }
        for at in machines.indices where machines[at].isUp {
            let node = machines[gone].id
            let standing = machines[at].gossip { $0.claim(on: node)?.standing } ?? nil
            if standing != .dead {
                check(
                    "a death is noticed: node \(machines[at].id) holds node \(node) for "
                        + "\(standing.map { "\($0)" } ?? "unknown") \(plan.bereavement) after its fall"
                )
            }
        }
    }
}
