internal import Decisions
internal import Gossip
internal import Mesh
internal import Node
internal import Raft
internal import Record
internal import VolumeCore
internal import Voting

/// Turns the cores, and carries out what they want.
extension Simulation {
    mutating func turn(_ at: Int, _ event: Node.Event) {
        let machine = machines[at]
        guard let agent = machine.agent else { return }
        var effects = effectsPool.popLast() ?? []
        machine.deadline = agent.handle(event, at: machine.clock.local(time), &effects)
        let life = machine.life
        effects.drain { if machine.life == life && machine.isUp { carryOut($0, at) } }
        effectsPool.append(effects)
        guard machine.isUp else { return }
        observe(at)
        arm(at)
    }

    mutating func turnVoter(_ at: Int, _ event: Voter.Event) {
        let machine = machines[at]
        guard machine.voter != nil else { return }
        let now = machine.clock.local(time)
        var effects: [Voter.Effect] = []
        machine.voter?.handle(event, at: now, &effects)
        if now >= machine.voterDeadline { machine.voter?.handle(.wake, at: now, &effects) }
        machine.deadline = machine.voterDeadline
        effects.drain { if machine.isUp { carryOut($0, at) } }
        guard machine.isUp else { return }
        observe(at)
        arm(at)
    }

    /// Either core takes what both know. Only what it takes is made: each holds a copy of the message.
    mutating func turnRaft(
        _ at: Int, _ event: @autoclosure () -> Node.Event,
        _ voterEvent: @autoclosure () -> Voter.Event
    ) {
        // Nearly always it is an agent, and to look at a patient copies it.
        if machines[at].agent != nil { return turn(at, event()) }
        if machines[at].patient != nil {
            turnPatient(at, event())
        } else {
            turnVoter(at, voterEvent())
        }
    }

    func hasProcess(_ at: Int) -> Bool { machines[at].agent != nil || machines[at].voter != nil }

    /// Puts the next wake on the agenda unless an earlier one is there already.
    mutating func arm(_ at: Int) {
        let machine = machines[at]
        let moment = max(machine.clock.moment(of: machine.deadline), time)
        guard moment < machine.wakeAt else { return }
        machine.wakeAt = moment
        agenda.push(moment, .wake(at, life: machine.life))
    }

    mutating func woken(_ at: Int) {
        // One that was superseded by an earlier one comes later, and finds nothing due.
        let machine = machines[at]
        if time >= machine.wakeAt { machine.wakeAt = .never }
        if machine.clock.local(time) >= machine.deadline {
            turnRaft(at, .wake, .wake)
        } else {
            arm(at)
        }
    }

    private mutating func carryOut(_ effect: consuming Node.Effect, _ at: Int) {
        switch effect {
        case .save(let write): save(write, at)
        case .send(let letter): send(letter, at)
        case .fetch(let fetch):
            machines[at].log.submit(fetch)
            beginLogJob(at)
        case .gossip(let message, let to): gossip(message, at, to)
        case .persist(let persist): self.persist(persist, at)
        case .note(let note, let to): send(note, at, to)
        case .apply(let ruled): apply(ruled, at)
        case .checkpoint:
            post(.checkpoint, toVolumesOf: at)
        case .cut(let order): ordered(order, at)
        case .behind(let index): post(.behind(index), toVolumesOf: at)
        case .pull(let source): post(.pull(from: source), toVolumesOf: at)
        case .placed(let first, let count, let round):
            post(.proposed(first: first, count: count, round: round), toVolumesOf: at)
        case .durable(let index): post(.durable(through: index), toVolumesOf: at)
        case .open(let epoch, let until):
            tell(at, "acts as primary of epoch \(epoch)")
            report.takeovers += 1
            machines[at].resignedAt = nil
            check(watch.opens(machines[at].id, epoch))
            post(.opened(epoch, until: leaseEnd(until)), toVolumesOf: at)
        case .lease(let until): post(.leased(until: leaseEnd(until)), toVolumesOf: at)
        case .drain: post(.drain, toVolumesOf: at)
        case .close: post(.closed, toVolumesOf: at)
        case .answer(let id, let answer) where id.rawValue > BackupRivals.firstRequest:
            check(rivals.answered(id, answer))
        case .answer(let id, let answer) where id.rawValue > Recruiting.firstRequest:
            recruitsAnswered(id, answer)
        case .answer(let id, let answer): operators.answered(id, answer, at: time)
        case .halt(.levelAhead(let ahead)): turnedAway(ahead, at)
        case .halt(let halt): check("node \(machines[at].id) halts: \(halt)")
        case .happened(let happening): happened(happening, at)
        }
    }

    private func leaseEnd(_ until: Instant) -> Instant {
        plan.mutant == .servesPastLease ? until + .milliseconds(800) : until
    }

    private mutating func apply(_ ruled: [Ruled], _ at: Int) {
        let current = machines[at].term ?? .zero
        check(watch.applies(machines[at].id, ruled, in: current))
        checkApplied(ruled, at)
        for one in ruled where one.entry.kind == .membership { enroll(one.entry) }
        for one in ruled where one.entry.kind == .command { checkRaise(one.entry, at) }
        checkLevel(at)
        var ruled = ruled
        if plan.mutant == .losesReplicaWrite, at == 1 {
            ruled = ruled.map { one in
                one.ruling == .accepted && one.entry.index.rawValue % 37 == 0
                    ? Ruled(one.entry, .nothing) : one
            }
        }
        post(.apply(ruled), toVolumesOf: at)
    }

    private mutating func carryOut(_ effect: consuming Voter.Effect, _ at: Int) {
        switch effect {
        case .raft(.save(let write)): save(write, at)
        case .raft(.send(let letter)): send(letter, at)
        case .raft(.fetch(let fetch)):
            machines[at].log.submit(fetch)
            beginLogJob(at)
        // A witness has no state to apply entries to.
        case .raft(.apply(let entries)):
            if let last = entries.last { turnVoter(at, .raft(.applied(last.index))) }
        case .raft(.became(let role, let term, let leader)): became(role, term, leader, at)
        case .raft(.replicaLost(let node, let index)): lost(node, index, at)
        case .raft(.contradicted(let found)): contradicted(found, at)
        case .raft: break
        case .gossip(.send(let message, let to)): gossip(message, at, to)
        case .gossip(.persist(let persist)): self.persist(persist, at)
        case .gossip: break
        }
    }

    private mutating func happened(_ happening: Node.Happening, _ at: Int) {
        switch happening {
        case .raft(let role, let term, let leader): became(role, term, leader, at)
        case .takeover(let takeover) where !takeover.phases.isEmpty:
            let phases = takeover.phases.map { "\($0.name) \($0.took)" }.joined(separator: ", ")
            tell(at, "\(takeover.reason.rawValue): \(phases)")
        case .takeover(let takeover): promoted(takeover, at)
        case .liveness(let node, let liveness): tell(at, "holds node \(node) for ", liveness)
        case .refused(let index, let refusal): tell(at, "entry \(index) is refused: ", refusal)
        case .handBack(let node): tell(at, "hands the leadership to node \(node)")
        case .handOver(let node): tell(at, "hands the seat over to node \(node)")
        case .steppedDown(let why): tell(at, "leads no more: \(why)")
        case .resigned(let epoch):
            machines[at].resignedAt = time
            tell(at, "resigns from epoch \(epoch)")
        case .replicaLost(let node, let index): lost(node, index, at)
        case .leftBehind(let node, let index): tell(at, "keeps no log for node \(node) to \(index)")
        case .resync(isWhole: false):
            machines[at].isPartial = true
            tell(at, "lacks what the log no longer holds")
        case .resync(isWhole: true):
            machines[at].isPartial = false
            tell(at, "is a whole replica again")
            report.resyncs += 1
        case .contradicted(let found): contradicted(found, at)
        case .membershipRefused(let why): tell(at, "keeps the members: ", why)
        case .membershipChanged(let members, let index):
            tell(at, "has other members since \(index): ", members)
        case .wished(let change): tell(at, "learns that the mesh is to ", change)
        case .wishCancelled(let change):
            tell(at, "learns that the mesh is not to ", change)
            membersChanged(change)
        case .membersChanged(let change):
            tell(at, "learns that this is done: ", change)
            membersChanged(change)
        case .restarted, .conflict, .levelRaised: break
        }
    }

    /// No disk here forgets unless a bug was planted: then a leader may well be the first to notice.
    private mutating func lost(_ node: NodeID, _ acknowledged: LogIndex, _ at: Int) {
        check(
            "no disk forgets: node \(machines[at].id) misses on node \(node) what it had "
                + "acknowledged up to \(acknowledged)")
    }

    private mutating func contradicted(_ found: Contradiction, _ at: Int) {
        check(
            "leader completeness: node \(found.leader), which leads term \(found.term), has "
                + "\(found.claimed), and node \(machines[at].id) has committed \(found.committed)")
    }

    private mutating func became(_ role: RaftRole, _ term: Term, _ leader: NodeID?, _ at: Int) {
        tell(at, "is ", TakenRole(role: role, term: term, leader: leader))
        if isStormy { haunt(at) }
        guard role == .leader else { return }
        if term > newestLeader.term { newestLeader = (term, time) }
        check(machines[at].raft { raft in watch.leads(raft.seat, raft) } ?? nil)
    }
}

/// What a member is from here on: hundreds of times in a run, and hardly ever read.
private struct TakenRole: Sendable, CustomStringConvertible {
    let role: RaftRole
    let term: Term
    let leader: NodeID?

    var description: String {
        "\(role) in term \(term)\(leader.map { ", led by \($0)" } ?? "")"
    }
}
