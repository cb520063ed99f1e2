internal import Disk
internal import JournalCore
internal import Mesh
internal import Node
internal import Raft
internal import SimulatedDisk
internal import VolumeCore
internal import Voting

/// The weather: what strikes whom, for how long.
extension Simulation {
    mutating func bite(_ spell: Int) {
        guard !spells[spell].hasBitten else { return }
        spells[spell].hasBitten = true
        report.faults[spells[spell].fault, default: 0] += 1
    }

    mutating func blow() {
        guard isStormy, !weather.faults.isEmpty else { return }
        agenda.push(time + sky.interval(in: weather.pause), .weather)
        let fault = weather.faults[Int(sky.next() % UInt64(weather.faults.count))]
        // Each draws from chances of its own, so that leaving one out changes no other.
        let kept = random
        random = sky.fork()
        let spell = begin(fault)
        if strikes(spell) { agenda.push(time + strike(fault, spell), .calm(spell)) }
        random = kept
    }

    private mutating func begin(_ fault: Fault) -> Int {
        spells.append(Spell(fault: fault))
        report.spells = spells.count
        return spells.count - 1
    }

    private func strikes(_ spell: Int) -> Bool { plan.spells?.contains(spell) ?? true }

    mutating func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }

    /// Begins a spell, and tells how long it lasts.
    private mutating func strike(_ fault: Fault, _ spell: Int) -> Interval {
        let at = pick(machines.count)
        switch fault {
        case .powerCut:
            if random.chance(1, in: 5) { return blackout(spell) }
            guard maySpare(at), machines[at].isUp else { return .zero }
            bite(spell)
            cutPower(at)
            return start(at, spell)
        case .absence:
            agenda.push(time, .absence(spell: spell))
            return .seconds(12)
        case .kill:
            guard maySpare(at), machines[at].isUp else { return .zero }
            bite(spell)
            tell(at, "is killed")
            stop(at)
            return start(at, spell)
        case .pause:
            guard maySpare(at), machines[at].power == .up else { return .zero }
            let lasts = random.interval(in: .milliseconds(100)...(.seconds(3)))
            tell(at, "stands still for \(lasts)")
            machines[at].power = .paused(until: time + lasts, by: spell)
            spells[spell].machine = at
            agenda.push(time + lasts, .resume(at))
            return lasts
        case .cut: return cut(spell)
        case .loss, .duplication, .reordering, .slowLink: return trouble(fault, spell)
        case .reset:
            let other = (at + 1 + pick(machines.count - 1)) % machines.count
            tell(nil, "the connections between nodes \(at + 1) and \(other + 1) break")
            for (from, to) in [(at, other), (other, at)] {
                links[from, to].connection += 1
                links[from, to].resetBy = spell
            }
            return .zero
        case .diskStall:
            guard machines[at].isUp else { return .zero }
            let lasts = random.interval(in: .milliseconds(50)...(.seconds(3)))
            stall(at, until: time + lasts)
            bite(spell)
            return lasts
        case .syncFailure: return failSync(at, spell)
        case .diskFull: return fill(at, spell)
        case .bitRot, .lostWrite, .misdirectedWrite: return hurt(at, fault, spell)
        case .imageRot, .lostImageWrite, .misdirectedImageWrite:
            return hurtImage(fault, at, spell)
        case .clientReset:
            let client = pick(clients.count)
            guard clients[client].session != nil else { return .zero }
            bite(spell)
            hangUp(client)
            return .zero
        case .members: return recruit(spell)
        case .upgrade: return upgrade(spell)
        case .clockDrift:
            guard plan.mutant != .driftsBeyondBound else { return .zero }
            machines[at].clock.run(at: 997_700 + random.next() % 4_600, from: time)
            machines[at].wakeAt = .never
            bite(spell)
            let moment = machines[at].clock.moment(of: machines[at].deadline)
            agenda.push(max(time, moment), .wake(at, life: machines[at].life))
            return .zero
        }
    }

    /// Images that are written back hold up nobody's log, and the other way round, where they lie on
    /// disks of their own: what one of them forgets must not be what the other still waits for.
    private mutating func stall(_ at: Int, until end: Moment) {
        let kinds: [(log: Bool, images: Bool)] = [(true, false), (false, true), (true, true)]
        let struck = kinds[machines[at].isWitness ? 0 : pick(kinds.count)]
        if struck.log {
            tell(at, "has a log that stalls until \(end)")
            machines[at].logStalledUntil = max(machines[at].logStalledUntil, end)
        }
        if struck.images {
            tell(at, "has images that stall until \(end)")
            machines[at].volumesStalledUntil = max(machines[at].volumesStalledUntil, end)
        }
    }

    /// As the plan has it: the primary falls, and comes back as a follower.
    mutating func primaryFalls() {
        let acting = machines.indices.first { at in
            machines[at].power == .up && machines[at].servesUntil > time
        }
        guard let acting else { return check("no primary acts that could fall") }
        fallen = (time, watch.epoch)
        cutPower(acting)
        agenda.push(time + .seconds(3), .boot(acting))
    }

    /// A data member that is no leader, if one may go, and for so long that others forget it.
    mutating func absent(_ spell: Int?) {
        let able = machines.indices.filter { at in
            machines[at].power == .up && !machines[at].isWitness
                && machines[at].role != .leader && maySpare(at) && mayLose(at)
        }
        guard isStormy, !able.isEmpty else { return }
        let at = able[pick(able.count)]
        if let spell { bite(spell) } else { report.faults[.absence, default: 0] += 1 }
        tell(at, "goes away for long")
        cutPower(at)
        agenda.push(time + random.interval(in: .seconds(6)...(.seconds(12))), .boot(at))
    }

    /// Faults by chance rarely meet a member right behind its vote, or its first word in a term; some
    /// are aimed there.
    mutating func aim(_ at: Int) {
        guard weather.faults.contains(.powerCut), random.chance(1, in: 6) else { return }
        let spell = begin(.powerCut)
        let soon = random.interval(in: .zero...(.milliseconds(3)))
        guard strikes(spell) else { return }
        agenda.push(time + soon, .stroke(at, life: machines[at].life, spell: spell))
    }

    /// So with letters of terms that are over: chance rarely has one arrive while it could matter.
    mutating func haunt(_ at: Int) {
        guard weather.faults.contains(.duplication), random.chance(1, in: 2) else { return }
        let spell = begin(.duplication)
        for from in machines.indices where from != at {
            let past = links.past(from, at)
            guard !past.isEmpty else { continue }
            let parcel = past[pick(past.count)]
            let soon = random.interval(in: .zero...(.milliseconds(20)))
            guard strikes(spell), parcel.connection == links[from, at].connection else { continue }
            bite(spell)
            agenda.push(time + soon, .arrival(parcel))
        }
    }

    /// Back at once: whatever the machine forgot is asked for while it matters.
    mutating func struck(_ at: Int, _ life: UInt64, _ spell: Int) {
        guard isStormy, machines[at].life == life, machines[at].power == .up else { return }
        bite(spell)
        cutPower(at)
        agenda.push(time + random.interval(in: .microseconds(100)...(.milliseconds(4))), .boot(at))
    }

    private mutating func blackout(_ spell: Int) -> Interval {
        tell(nil, "power fails everywhere")
        bite(spell)
        for at in machines.indices where machines[at].isUp {
            cutPower(at)
            agenda.push(time + random.interval(in: .milliseconds(50)...(.seconds(2))), .boot(at))
        }
        return .zero
    }

    /// After a fall the machine comes back by itself.
    mutating func start(_ at: Int, _ spell: Int) -> Interval {
        let lasts = random.interval(in: .milliseconds(50)...(.seconds(4)))
        agenda.push(time + lasts, .boot(at))
        return lasts
    }

    private mutating func cut(_ spell: Int) -> Interval {
        let lasts = random.interval(in: .milliseconds(200)...(.seconds(5)))
        let alone = pick(machines.count)
        let other = (alone + 1 + pick(machines.count - 1)) % machines.count
        // Halves are where a deposed leader finds hands for what is never committed.
        let kind = min(pick(8), 4)
        let sides = machines.indices.map { _ in random.chance(1, in: 2) }
        let names = ["alone", "deaf", "mute", "cut from node \(other + 1)", "in one of two halves"]
        tell(alone, "is \(names[kind]) for \(lasts)")
        for from in machines.indices {
            for to in machines.indices where to != from {
                let isCut =
                    switch kind {
                    case 0: from == alone || to == alone
                    case 1: to == alone
                    case 2: from == alone
                    case 3: from == alone && to == other || from == other && to == alone
                    default: sides[from] != sides[to]
                    }
                if isCut { links[from, to].cut = spell }
            }
        }
        return lasts
    }

    private mutating func trouble(_ fault: Fault, _ spell: Int) -> Interval {
        let lasts = random.interval(in: .milliseconds(300)...(.seconds(6)))
        let percent = 2 + random.next() % 40
        // Some letters come so late that whole elections lie between.
        let late = percent * (random.chance(1, in: 4) ? 12 : 1)
        let isEverywhere = random.chance(1, in: 3)
        let (a, b) = (pick(machines.count), pick(machines.count))
        tell(nil, "\(fault.rawValue) \(isEverywhere ? "everywhere" : "at node \(a + 1)")")
        for from in machines.indices {
            for to in machines.indices where isEverywhere || from == a || to == a && from == b {
                switch fault {
                case .loss: links[from, to].loss = (spell, percent)
                case .duplication: links[from, to].duplication = (spell, percent)
                case .reordering: links[from, to].reordering = (spell, .milliseconds(late))
                default: links[from, to].slow = (spell, .milliseconds(max(percent * 3, late)))
                }
            }
        }
        return lasts
    }

    private mutating func failSync(_ at: Int, _ spell: Int) -> Interval {
        guard maySpare(at), machines[at].power == .up else { return .zero }
        spells[spell].machine = at
        if random.chance(1, in: 2) || machines[at].agent == nil {
            machines[at].journal?.alterDisk { $0.failingSync = $0.counts.syncs + 1 }
        } else {
            machines[at].agent?.exports.alterDisk { $0.failingSync = $0.counts.syncs + 1 }
        }
        return .seconds(5)
    }

    private mutating func fill(_ at: Int, _ spell: Int) -> Interval {
        guard maySpare(at), machines[at].power == .up, machines[at].agent != nil else {
            return .zero
        }
        spells[spell].machine = at
        let lasts = random.interval(in: .milliseconds(300)...(.seconds(3)))
        if random.chance(1, in: 2) {
            tell(at, "has a disk that is full down to its reserve for \(lasts)")
            bite(spell)
            machines[at].hasRoom = false
            tellRoom(at)
        } else {
            tell(at, "has a disk without a byte of room for \(lasts)")
            machines[at].journal?.alterDisk { $0.byteCountMax = $0.byteCount }
        }
        return lasts
    }

    mutating func calm(_ spell: Int) {
        guard !spells[spell].isOver else { return }
        spells[spell].isOver = true
        links.calm(spell)
        guard let at = spells[spell].machine else { return }
        switch spells[spell].fault {
        case .pause:
            if !isStormy, machines[at].isPaused {
                machines[at].power = .paused(until: time, by: spell)
                resume(at)
            }
        case .syncFailure:
            machines[at].alterDisks { $0.failingSync = nil }
        case .diskFull:
            machines[at].alterDisks { $0.byteCountMax = .max }
            machines[at].hasRoom = true
            tellRoom(at)
        case .lostImageWrite, .misdirectedImageWrite: calmImages(spell, at)
        default: break
        }
    }

    /// What the agent finds when it next looks at its disk.
    mutating func tellRoom(_ at: Int) {
        guard machines[at].power == .up, let node = machines[at].agent?.node,
            node.hasRoom != machines[at].hasRoom
        else { return }
        turn(at, .disk(hasRoom: machines[at].hasRoom))
    }

    /// A disk refused a deed, which is final: the process stops, and starts again from the disk.
    mutating func failed(_ why: String, _ at: Int) {
        tell(at, "stops over \(why)")
        for spell in spells.indices
        where spells[spell].machine == at && !spells[spell].isOver
            && [.syncFailure, .diskFull].contains(spells[spell].fault)
        {
            bite(spell)
        }
        if random.chance(1, in: 2) { cutPower(at) } else { stop(at) }
        agenda.push(time + random.interval(in: .milliseconds(50)...(.seconds(2))), .boot(at))
    }

    /// The process is gone; what the kernel has taken, it keeps.
    mutating func stop(_ at: Int) {
        // The sync that was under way may or may not have been taken by the kernel.
        if random.chance(1, in: 2), case .save(let writes) = machines[at].log.finish() {
            _ = try? machines[at].journal?.append(writes.map(\.change))
        }
        fall(at, isQuiet: false)
    }

    /// The machine is dark: any subset of what was not synced is gone.
    mutating func cutPower(_ at: Int) {
        tell(at, "loses power")
        strikeUnderWay(at)
        let isQuiet = random.chance(1, in: 2)
        fall(at, isQuiet: isQuiet)
        machines[at].logDisk.crash(using: &random)
        machines[at].volumesDisk.crash(using: &random)
    }

    /// What the threads were doing is cut off at any of its steps.
    private mutating func strikeUnderWay(_ at: Int) {
        if case .save(let writes) = machines[at].log.finish() {
            let steps = 1 + Int(random.next() % 12)
            machines[at].journal?.alterDisk { $0.powerCutAtStep = $0.counts.steps + steps }
            _ = try? machines[at].journal?.append(writes.map(\.change))
            _ = try? machines[at].journal?.prepareNext()
        }
        let events = machines[at].agent?.volumes.events ?? []
        guard !events.isEmpty else { return }
        let steps = 1 + Int(random.next() % 12)
        machines[at].agent?.exports.alterDisk { $0.powerCutAtStep = $0.counts.steps + steps }
        let now = machines[at].clock.local(time)
        var effects: [ExportEffect] = []
        for event in events {
            guard
                (try? machines[at].agent?.exports.handle(event, at: now, &effects)) != nil
            else { break }
        }
    }

    private mutating func fall(_ at: Int, isQuiet: Bool) {
        if var journal = machines[at].journal {
            machines[at].logDisk = journal.disk
            journal.alterDisk { $0 = SimulatedDisk() }
            machines[at].remains = journal
        }
        if let exports = machines[at].agent?.exports {
            machines[at].volumesDisk = exports.core.disk
            machines[at].appliedBefore = max(machines[at].appliedBefore, exports.core.applied)
        }
        if let durable = machines[at].raft({ $0.durableIndex }) {
            machines[at].promised = max(machines[at].promised, durable)
        }
        if let mend = machines[at].mend.take() { machines[at].logDisk = mend.close() }
        machines[at].patient = nil
        machines[at].journal = nil
        machines[at].agent = nil
        machines[at].voter = nil
        machines[at].power = .down
        machines[at].life += 1
        machines[at].servesUntil = .zero
        machines[at].resignedAt = nil
        machines[at].inbox = []
        for client in clients.indices where clients[client].session?.door.machine == at {
            guard !isQuiet, let connection = clients[client].session?.connection else { continue }
            agenda.push(time + .microseconds(200), .lost(connection))
        }
    }
}
