internal import Gossip
internal import JournalCore
internal import Mending
internal import Mesh
internal import Node
internal import Raft
internal import Record
internal import SimulatedDisk
internal import Voting

/// Damaged logs, and what makes them whole, as the agent does it.
extension Simulation {
    /// True where nothing lacks that does not stand on the disk a second time.
    mutating func beginMend(_ at: Int, _ damage: LogDamage) throws -> Bool {
        tell(at, "finds its log damaged: \(damage)")
        guard
            var mend = try LogMend(
                &machines[at].logDisk, settings: Self.journalSettings, random: random.fork())
        else { return true }
        do throws(JournalError) { try mend.mendHere() } catch {
            // What the disk has become by then, the next start finds.
            machines[at].logDisk = mend.close()
            throw error
        }
        guard !damage.needsNobody else {
            report.mends.here += 1
            machines[at].logDisk = mend.close()
            return true
        }
        if machines[at].isWitness { throw JournalError.mendable(damage) }
        let now = machines[at].clock.local(time)
        let others = machines.filter { $0.id != machines[at].id && isInFile($0) }
        let mending = Mending(
            Mending.Settings(peers: others.map(\.id)),
            Mending.Need(
                entries: damage.missing, base: damage.base, basePosition: damage.basePosition,
                commit: damage.commit), session: MendSession(random.next()), at: now)
        machines[at].patient = MendingMember(
            gossip: gossip(at, now), mending: mending,
            dataPeers: others.filter { !$0.isWitness }.map(\.id), last: damage.last.index,
            speaks: machines[at].speaks, at: now)
        machines[at].mend = mend
        machines[at].logDisk = SimulatedDisk()
        machines[at].life += 1
        machines[at].power = .up
        machines[at].inbox = []
        machines[at].wakeAt = .never
        machines[at].runsSince = time
        return false
    }

    /// Operators take out of the cluster file who was lost for good and replaced: it would be waited for.
    func isInFile(_ machine: Machine) -> Bool {
        let isMember = recruiting.newest?.isMember(machine.id) ?? true
        return !machine.isSpare && (!machine.isGone || isMember)
    }

    /// What reaches a node without a vote: all but gossip and what it asked for is lost on it.
    mutating func turnPatient(_ at: Int, _ event: Node.Event) {
        switch event {
        case .wake: treat(at, .wake)
        case .gossip(let message, let from): treat(at, .gossip(message, from: from))
        case .incarnationPersisted(let own): treat(at, .incarnationPersisted(own))
        default: break
        }
    }

    mutating func treat(_ at: Int, _ event: MendingMember.Event) {
        let machine = machines[at]
        let now = machine.clock.local(time)
        var effects: [MendingMember.Effect] = []
        machine.patient?.handle(event, at: now, &effects)
        if let deadline = machine.patient?.deadline, now >= deadline {
            machine.patient?.handle(.wake, at: now, &effects)
        }
        machine.deadline = machine.patient?.deadline ?? .distantFuture
        let life = machine.life
        do {
            for effect in effects where machine.life == life { try carryOut(effect, at) }
        } catch { return failed("its log: \(error)", at) }
        guard machine.life == life, machine.isUp else { return }
        arm(at)
    }

    private mutating func carryOut(_ effect: MendingMember.Effect, _ at: Int) throws {
        switch effect {
        case .gossip(.send(let message, let to)): gossip(message, at, to)
        case .gossip(.persist(let persist)): self.persist(persist, at)
        case .gossip: break
        case .mend(.send(let message, let to)): post(at, to, .mend, message.encoded)
        case .mend(.restore(let entry)):
            if plan.isDetailed { tell(at, "has \(entry.position) back") }
            if try machines[at].mend?.restore(entry) == false {
                check("node \(machines[at].id) is given \(entry.position), which it does not lack")
            }
        case .mend(.restoreBase(let base)):
            if try machines[at].mend?.restore(base) == false {
                check("node \(machines[at].id) is given base \(base.position), not its own")
            }
        case .over(let outcome): try over(outcome, at)
        }
    }

    private mutating func over(_ outcome: Mending.Outcome, _ at: Int) throws {
        try machines[at].mend?.sync()
        guard let mend = machines[at].mend.take() else { return }
        machines[at].logDisk = mend.close()
        machines[at].patient = nil
        machines[at].power = .down
        machines[at].life += 1
        let resolution: LogResolution
        switch outcome {
        case .whole:
            report.mends.byPeers += 1
            resolution = .none
            tell(at, "has its log mended")
        case .base(let base):
            report.mends.byBase += 1
            resolution = .base(base)
            tell(at, "has a base at \(base.position) in place of what it lost")
        case .cut(let index):
            report.mends.cuts += 1
            resolution = .cut(before: index)
            tell(at, "ends its log before \(index), which nobody has")
        }
        begin(at, resolution)
    }

    /// What a log may lack behind a mend that it had promised: nothing that is committed.
    mutating func noteResolution(_ resolution: LogResolution, _ found: Recovered, _ at: Int) {
        if resolution == .none { return }
        var index = found.last.index.next
        while index <= machines[at].promised {
            if let term = watch.committedTerm(at: index),
                machines[at].remains?.term(at: index) == term
            {
                check(
                    "committed never lost: node \(machines[at].id) held \(index)@\(term), which is "
                        + "committed, and ends its log at \(found.last)")
            }
            index = index.next
        }
        machines[at].promised = min(machines[at].promised, found.last.index)
    }
}

/// The other side of it.
extension Simulation {
    mutating func mendHeard(_ message: MendMessage, _ at: Int, _ from: NodeID) {
        switch message {
        case .ask(let session, let entries): answer(entries, session, at, from)
        case .askBase(let least, let wanted, let offset):
            let own = machines[at].mend?.ownBase
            let node = machines[at].agent?.node
            let answer = machines[at].baseDesk.answer(atLeast: least, of: wanted, offset: offset) {
                node?.base(atLeast: least) ?? own
            }
            if let answer { post(at, from, .mend, answer.encoded) }
        case .give, .say, .basePiece:
            if machines[at].patient != nil { treat(at, .mend(message, from: from)) }
        }
    }

    private mutating func answer(
        _ entries: [EntryIdentity], _ session: MendSession, _ at: Int, _ to: NodeID
    ) {
        let inLog = machines[at].raft { $0.held(of: entries) }
        var left = MendMessage.giveByteCountMax
        for entry in entries {
            let found: LookUp
            do throws(JournalError) { found = try lookUp(entry, at) } catch {
                return failed("its log: \(error)", at)
            }
            switch found {
            case .holds(let entry):
                guard left >= entry.bytes.count || left == MendMessage.giveByteCountMax else {
                    return
                }
                left -= entry.bytes.count
                post(at, to, .mend, MendMessage.give(entry).encoded)
            case .lacks where inLog?.contains(entry) != true:
                post(at, to, .mend, MendMessage.say(session, .lacks, [entry]).encoded)
            case .compacted:
                post(at, to, .mend, MendMessage.say(session, .compacted, [entry]).encoded)
            case .lacks, .damaged: break
            }
        }
    }

    private func lookUp(_ entry: EntryIdentity, _ at: Int) throws(JournalError) -> LookUp {
        if machines[at].mend != nil { return try machines[at].mend?.lookUp(entry) ?? .damaged }
        return try machines[at].journal?.lookUp(entry) ?? .damaged
    }
}
