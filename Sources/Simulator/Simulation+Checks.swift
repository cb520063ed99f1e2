internal import Decisions
internal import Mesh
internal import Node
internal import Raft
internal import SimulatedDisk
internal import VolumeCore
internal import Voting

/// What is looked at after a step, now and then, and at the end.
extension Simulation {
    /// After each turn of a core: what it newly takes for committed.
    mutating func observe(_ at: Int) {
        // A witness's commit index is a hint.
        let machine = machines[at]
        guard let agent = machine.agent else { return }
        let index = agent.node.voter.raft.commitIndex
        guard index > machine.commitSeen else { return }
        machine.commitSeen = index
        let (term, current) = agent.raft { ($0.term(at: index), $0.term) }
        check(watch.commits(machine.id, index, term, knownIn: current))
        checkCommit(index, term, at)
    }

    /// At most one acting primary per instant of true time, over all clocks: whoever may serve now
    /// or later is told apart by when its lease ends.
    ///
    /// What was posted to the volumes counts: no answer leaves under a lease that has ended there.
    mutating func noteLease(_ at: Int) {
        let machine = machines[at]
        guard let end = machine.agent?.volumes.lease.until else {
            machine.servesUntil = .zero
            return
        }
        let until = machine.clock.moment(of: end)
        guard until != machine.servesUntil else { return }
        machine.servesUntil = until
        guard until > time else { return }
        for other in machines.indices where other != at && machines[other].servesUntil > time {
            check(
                "one acting primary: node \(machine.id) serves until \(until), while node "
                    + "\(machines[other].id) serves until \(machines[other].servesUntil)")
        }
    }

    /// A promotion only after the lease's end: nobody else holds the seat in true time.
    mutating func promoted(_ takeover: Takeover, _ at: Int) {
        if plan.isDetailed {
            tell(at, "learns that node \(takeover.to) is primary of epoch \(takeover.epoch)")
        }
        for other in machines.indices where machines[other].id != takeover.to {
            guard case .acting(let acting) = machines[other].agent?.node.office,
                acting.epoch < takeover.epoch, acting.handOver == nil, let end = acting.lease.until
            else { continue }
            let until = machines[other].clock.moment(of: end)
            guard until > time else { continue }
            check(
                "a promotion only after the lease's end: node \(takeover.to) is promoted to epoch "
                    + "\(takeover.epoch), while node \(machines[other].id) holds its lease until "
                    + "\(until)")
        }
    }

    /// Every acknowledged flush is on every later primary: reads all blocks through the new export.
    mutating func audit(
        _ at: Int, _ volume: VolumeID, _ name: String, _ generation: ExportGeneration
    ) {
        guard let disk = clients.first(where: { $0.name == name })?.disk else { return }
        let byteCount = machines[at].open(name).map { Int($0.byteCount) } ?? 0
        if byteCount < Int(ledgers[disk].byteCount) {
            check(
                "a volume never gets shorter: node \(machines[at].id) serves \(byteCount) bytes of "
                    + "\(name), and a client was told of \(ledgers[disk].byteCount)")
        }
        ledgers[disk].grow(to: UInt64(byteCount))
        var effects: [ExportEffect] = []
        let now = machines[at].clock.local(time)
        // Another one may have written since.
        guard machines[at].agent?.volumes.mayTell(at: now) == true else { return }
        let id = RequestID(ConnectionID(.max), 0)
        let asked = ExportEvent.request(
            id, volume, generation, .read(offset: 0, byteCount: byteCount))
        do {
            try machines[at].agent?.exports.handle(asked, at: now, &effects)
        } catch { return volumesFailed(error, at) }
        // Nothing is answered where the lease has ended by now, or where a block is damaged.
        if case .reply(id, .data(let bytes)) = effects.first {
            judge(bytes, of: disk, from: 0, generation) { ledger, block in
                ledger.least(block, in: generation)
            }
        } else {
            _ = try? machines[at].agent?.exports.handle(
                .cancelled(id.connection), at: now, &effects)
        }
        // A read may find damage, of which nobody is told twice.
        effects.removeAll { if case .reply(id, _) = $0 { true } else { false } }
        carryOut(&effects, at)
    }

    mutating func judge(
        _ bytes: [UInt8], of disk: Int, from first: Int, _ generation: ExportGeneration,
        _ least: (Ledger, Int) -> UInt64
    ) {
        let count = Ledger.blockByteCount
        for offset in 0..<bytes.count / count {
            let block = first + offset
            let part = bytes[offset * count..<(offset + 1) * count]
            check(
                ledgers[disk].judge(
                    block, part, least: least(ledgers[disk], block), in: generation))
        }
    }

    /// Now and then: do logs and images agree?
    mutating func look() {
        agenda.push(time + .seconds(1), .watch)
        let up = machines.indices.filter { machines[$0].isUp }
        for (place, a) in up.enumerated() {
            for b in up[(place + 1)...] {
                let broken = machines[a].raft { a in
                    machines[b].raft { b in watch.matches(a, b) } ?? nil
                }
                check(broken ?? nil)
            }
        }
        for at in machines.indices { lookForLingerers(at) }
        looks += 1
        announceWitnesses()
        scrub()
        tendCut()
        if looks % 4 == 0 { compareImages() }
    }

    /// The volumes of all replicas that have applied equally much are equal.
    private mutating func compareImages() {
        var replicas = machines.indices.compactMap { at in
            machines[at].agent.map { ReplicaImages(at: at, $0.exports.core) }
        }
        for a in replicas.indices {
            for b in replicas.indices.dropFirst(a + 1) { compareImages(a, b, &replicas) }
        }
    }

    private mutating func compareImages(_ one: Int, _ other: Int, _ all: inout [ReplicaImages]) {
        let (a, b, applied) = (all[one].at, all[other].at, all[one].applied)
        guard applied == all[other].applied, !all[one].isResyncing, !all[other].isResyncing,
            applied >= max(machines[a].appliedBefore, machines[b].appliedBefore)
        else { return }
        let volumes = all[one].volumes
        guard volumes.map(\.name) == all[other].volumes.map(\.name) else {
            return check("nodes \(a + 1) and \(b + 1) have other volumes at \(applied)")
        }
        for volume in volumes {
            guard let left = all[one].bytes(of: volume), let right = all[other].bytes(of: volume),
                !areSame(left[...], right[...])
            else { continue }
            let offset = left.indices.first { left[$0] != right[$0] } ?? 0
            check(
                "replicas are equal: \(volume.name) differs at \(offset) between nodes \(a + 1) "
                    + "and \(b + 1), which both have applied \(applied)")
        }
    }

    /// The storm is over: everything is whole again from here on.
    mutating func clearSky() {
        tell(nil, "the storm is over for all")
        for spell in spells.indices { calm(spell) }
        for at in machines.indices where machines[at].power == .down { boot(at) }
        if upgrades { finishUpgrade() }
    }

    /// Whether the only whole replica is damaged itself: each of the two would have to be mended by the
    /// other. One was left behind while a block of the other was hurt, which is a copy too few.
    private func lacksSource(_ machine: Machine) -> Bool {
        let sources = holdsWhole(except: [place(of: machine.id)])
        guard sources.count == 1, let source = machines[sources[0]].agent else { return false }
        return source.exports.core.damagedBlockCount > 0
    }

    /// Seconds for a disk, so that much happens meanwhile.
    static let copyBytesPerSecond: UInt64 = 48 << 10
    static let copyLookedAfter = Interval.seconds(1)

    /// A replica that began late, behind the mending of its log, and copies grown disks, may need longer than all else. It is waited for
    /// while it comes on by a quarter of its rate at least, and for no other reason.
    mutating func waitsForCopies() -> Bool {
        let voters = recruiting.newest?.voters.all ?? []
        let left = machines.filter { voters.contains($0.id) }.reduce(UInt64(0)) {
            $0 + ($1.agent?.exports.core.missingByteCount ?? 0)
        }
        defer { copiesLeft = left }
        return left > 0 && copiesLeft.map { left + Self.copyBytesPerSecond / 4 <= $0 } ?? true
    }

    /// The storm is long over: the mesh works, and all replicas are equal.
    mutating func judge() {
        guard hasRecovered else {
            return check(
                "liveness: no flush was answered within \(plan.recovery) after the storm")
        }
        compareImages()
        judgeGossip()
        judgeLevel()
        check(operators.judge())
        let voters = Set(recruiting.newest?.voters.all ?? [])
        let voting = machines.filter { voters.contains($0.id) }
        let lengths = voting.compactMap { $0.agent?.node.decisions.appliedIndex.rawValue }
        if let least = lengths.min(), UInt64(watch.appliedCount) > least + 2_000 {
            check("liveness: a node has applied \(least) of \(watch.appliedCount) entries")
        }
        for machine in voting where machine.power == .down && !machine.isGone {
            check("liveness: node \(machine.id) still does not run")
        }
        for machine in voting
        where machine.agent?.exports.core.isResyncing == true && !lacksSource(machine) {
            check("liveness: node \(machine.id) is still no whole replica")
        }
        for at in machines.indices where machines[at].patient != nil {
            check("liveness: node \(machines[at].id) still mends its log")
        }
        for at in machines.indices {
            for open in machines[at].agent?.open ?? [] {
                audit(at, open.volume, open.name, open.generation)
            }
        }
    }
}
