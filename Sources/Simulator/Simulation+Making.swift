internal import Decisions
internal import Disk
internal import Gossip
internal import JournalCore
internal import Mesh
internal import Node
internal import Raft
internal import Record
internal import SimulatedDisk
internal import VolumeCore
internal import Voting
internal import Wire

/// The beginning of a run, and of a process.
extension Simulation {
    static let regions = [
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota",
    ].compactMap(RegionName.init)

    mutating func makeMachines(
        _ count: Int, founders: Int, _ chance: inout SeededRandom
    ) {
        for at in 0..<count {
            let isSlow = chance.chance(1, in: 4)
            let pace = Pace(
                save: isSlow
                    ? .milliseconds(2)...(.milliseconds(20))
                    : .microseconds(100)...(.microseconds(800)),
                apply: .microseconds(20)...(.microseconds(150)),
                checkpoint: .milliseconds(1)...(.milliseconds(isSlow ? 60 : 10)))
            var rate = 997_700 + chance.next() % 4_600
            if plan.mutant == .driftsBeyondBound, at == 1 { rate = 2_000_000 }
            let start = Instant(nanoseconds: chance.next() % 1_000_000_000_000)
            machines.append(
                Machine(
                    id: NodeID(UInt64(at) + 1), isWitness: isWitness(at, of: count),
                    isNewcomer: at >= founders, pace: pace,
                    clock: VirtualClock(startingAt: start, rate: rate), peers: count))
            if upgrades { machines[at].speaks = .first }
            let takesBack = !Fault.takingBack.isDisjoint(with: weather.faults)
            machines[at].logDisk.remembersWrites = takesBack
            if plan.mutant == .skipsLogSync { machines[at].logDisk.losesSyncs = true }
            if plan.mutant == .skipsImageSync { machines[at].volumesDisk.losesSyncs = true }
        }
    }

    mutating func makeClients(_ chance: inout SeededRandom) {
        // Where replicas copy what they lack, a disk of several cells, so that one can be given back.
        let sizes = [64, plan.keepsLittleLog ? 3 * Ledger.cellBlockCount : 64]
        for (disk, count) in sizes.enumerated() {
            ledgers.append(Ledger(volume: disk, blockCount: count))
        }
        operators.missing = sizes.indices.map { "disk-\($0)" }
        // Two clients share the first disk.
        let shares: [(disk: Int, own: Range<Int>)] = [(0, 0..<32), (0, 32..<64), (1, 0..<sizes[1])]
        func isLast(_ own: Range<Int>, of disk: Int) -> Bool { own.upperBound == sizes[disk] }
        // A full load hides what an idle mesh does wrong, and the other way round.
        report.leisure = [1, 2, 6][Int(chance.next() % 3)]
        let leisure = UInt64(report.leisure)
        for share in shares {
            let pace = Interval.milliseconds(UInt64.random(in: 80...190, using: &chance) * leisure)
            clients.append(
                Client(
                    disk: share.disk, name: "disk-\(share.disk)", own: share.own,
                    takesGrowth: isLast(share.own, of: share.disk),
                    random: chance.fork(), thinks: pace...(pace * 4),
                    burstMax: Int.random(in: 4...10, using: &chance)))
        }
    }

    /// The one behind the data members, and the last of the spares.
    private func isWitness(_ at: Int, of count: Int) -> Bool {
        plan.shape.hasWitness
            && (at == plan.shape.dataMembers
                || at == count - 1 && count > plan.shape.dataMembers + 1)
    }

    /// As everybody's cluster file names them.
    var members: [Node.Member] {
        machines.enumerated().filter { !$0.element.isSpare }.map { at, machine in
            Node.Member(
                node: machine.id, region: Self.regions[at],
                isWitness: machine.isWitness)
        }
    }

    var dataMembers: [NodeID] { members.filter { !$0.isWitness }.map(\.node) }

    var peers: [Gossip.Peer] {
        members.map {
            Gossip.Peer(
                node: $0.node, region: $0.region, role: $0.isWitness ? .witness : .data)
        }
    }

    private func founders(areWitnesses: Bool) -> [Decisions.Seat] {
        machines.enumerated().filter {
            !$0.element.isNewcomer && $0.element.isWitness == areWitnesses
        }.map { at, machine in Decisions.Seat(node: machine.id, region: Self.regions[at]) }
    }

    var membership: Membership {
        let data = founders(areWitnesses: false).map(\.node)
        return Membership(
            voters: Electorate(data: data, witness: founders(areWitnesses: true).first?.node),
            preferred: data)
    }

    private func firstDecisions(of machine: Machine) -> Decisions {
        machine.isNewcomer
            ? Decisions(seats: [])
            : Decisions(
                seats: founders(areWitnesses: false), witness: founders(areWitnesses: true).first)
    }

    private var raftSettings: RaftSettings {
        var settings = RaftSettings()
        settings.followsPreference = false
        settings.lendsBases = true
        settings.windowBytesMax = 32 << 10
        if plan.keepsLittleLog {
            settings.logKeptBytesMax = 40 << 10
            settings.awayAfter = .seconds(1)
        }
        return settings
    }

    private func nodeSettings(_ seat: NodeID) -> Node.Settings? {
        guard let lease = LeaseTerms(length: lease) else { return nil }
        var settings = Node.Settings(
            seat: seat, members: members, order: dataMembers, lease: lease)
        settings.checkpointEntries = plan.keepsLittleLog ? 100 : 300
        settings.checkpointBytes = 256 << 10
        settings.speaks = machines[place(of: seat)].speaks
        return settings
    }

    /// Starts a process from what the disks hold, as the agent and the witness do.
    mutating func boot(_ at: Int) {
        guard machines[at].power == .down, !machines[at].isSpare, !machines[at].isGone,
            at != fallenForGood
        else { return }
        begin(at, .none)
    }

    /// `resolution` is what a mend came to.
    mutating func begin(_ at: Int, _ resolution: LogResolution) {
        do {
            guard try restart(at, resolution) else { return treat(at, .wake) }
        } catch let ahead as LevelAhead {
            return turnedAway(ahead, at)
        } catch {
            // What a disk refuses is no damage: the service manager tries again.
            guard isRefusal(error) else {
                return check("node \(machines[at].id) cannot recover: \(error)")
            }
            tell(at, "cannot start: \(error)")
            return agenda.push(time + .milliseconds(500), .boot(at))
        }
        checkLevel(at)
        tell(at, "starts, log to \(machines[at].raft { "\($0.lastPosition)" } ?? "?")")
        if machines[at].agent != nil {
            let base = machines[at].raft { $0.basePosition.index } ?? .zero
            post(.behind(base), toVolumesOf: at)
            let reading = WallTime(1_700_000_000_000_000_000 + time.nanoseconds)
            turn(at, .wallClock(reading, readAt: machines[at].clock.local(time)))
            tellRoom(at)
        } else {
            turnVoter(at, .wake)
        }
    }

    private func isRefusal(_ error: any Error) -> Bool {
        let cause: DiskError.Cause
        switch error {
        case JournalError.disk(let error): cause = error.cause
        case VolumeRecoveryRefused.state(let error): cause = error.cause
        default: return false
        }
        return cause == .full || cause == .system(5)
    }

    static let journalSettings = JournalSettings(
        cluster: cluster, group: group, segmentByteCount: 128 << 10)

    /// False where the log has to be mended first.
    private mutating func restart(_ at: Int, _ resolution: LogResolution) throws -> Bool {
        let now = machines[at].clock.local(time)
        guard let opened = try openLog(at, resolution) else { return false }
        var journal = opened.journal
        let recovered = opened.recovered
        machines[at].isHurt = false
        noteResolution(resolution, recovered, at)
        if recovered.last.index < machines[at].promised {
            check(
                "durability: node \(machines[at].id) starts with a log to \(recovered.last), "
                    + "though it was safe up to \(machines[at].promised)")
        }
        checkRecovered(recovered, at)
        let state = try stateAtStart(recovered, at)
        let core = try machines[at].isWitness ? nil : openVolumes(at, recovered)
        if let core, core.logEndMin > recovered.last.index {
            check(
                "node \(machines[at].id) starts with a log to \(recovered.last), and volumes that "
                    + "were fed from one to \(core.logEndMin) at least")
        }
        let isWhole = core.map {
            !$0.isResyncing && $0.applied >= recovered.base.position.index
        }
        let voter = try restarting(at, &journal, recovered, isWhole: isWhole ?? true, now)
        machines[at].isPartial = voter.raft.isWhole == false
        machines[at].journal = journal
        machines[at].logDisk = SimulatedDisk()
        machines[at].log = LogDesk()
        machines[at].life += 1
        machines[at].power = .up
        machines[at].inbox = []
        machines[at].wakeAt = .never
        machines[at].runsSince = time
        machines[at].commitSeen = .zero
        machines[at].damagedBefore = 0
        guard let core else {
            machines[at].voter = voter
            return true
        }
        machines[at].volumesDisk = SimulatedDisk()
        guard let settings = nodeSettings(machines[at].id) else { return true }
        let node = Node(settings: settings, voter: voter, decisions: state, at: now)
        machines[at].agent = Agent(node: node, exports: Exports(core))
        return true
    }

    /// A witness has none.
    private func stateAtStart(_ recovered: Recovered, _ at: Int) throws -> Decisions {
        guard recovered.base.position > .zero, !machines[at].isWitness else {
            return firstDecisions(of: machines[at])
        }
        let state = try Decisions(parsing: recovered.base.parsed().state.contents)
        guard state.level <= machines[at].speaks else {
            throw LevelAhead(mesh: state.level, spoken: machines[at].speaks, place: "the base")
        }
        return state
    }

    /// nil where it has to be mended first, by who is asked for it.
    private mutating func openLog(_ at: Int, _ resolution: LogResolution) throws -> (
        journal: JournalCore<SimulatedDisk>, recovered: Recovered
    )? {
        do {
            return try JournalCore.open(
                &machines[at].logDisk, settings: Self.journalSettings, random: random.fork(),
                resolving: resolution)
        } catch JournalError.mendable(let damage) {
            guard try beginMend(at, damage) else { return nil }
            return try openLog(at, .none)
        }
    }

    private mutating func openVolumes(
        _ at: Int, _ recovered: Recovered
    ) throws -> VolumeCore<SimulatedDisk> {
        var limits = VolumeLimits(pendingByteCountMax: 48 << 10, overlayByteCountMax: 32 << 10)
        limits.sumPagesMax = 1
        limits.scrubPeriod = .seconds(4)
        // Now and then it is too little.
        limits.cutByteCountMax = 64 << 10
        limits.resync.pieceByteCountMax = 4 << 10
        limits.resync.windowByteCountMax = 12 << 10
        limits.resync.bytesPerSecondMax = Self.copyBytesPerSecond
        limits.resync.askTimeout = .milliseconds(300)
        limits.resync.askTimeoutMax = .seconds(3)
        limits.resync.progressByteCount = 8 << 10
        // A sync that fails here has failed, whether or not there is a core.
        let core = try VolumeCore(
            recovering: &machines[at].volumesDisk, limits: limits, logEnd: recovered.last.index)
        if core.checkpointed < min(machines[at].compacted, recovered.base.position.index) {
            check(
                "node \(machines[at].id) starts with volumes up to \(core.checkpointed), and had "
                    + "let its log forget all up to \(machines[at].compacted)")
        }
        return core
    }

    private mutating func restarting(
        _ at: Int, _ journal: inout JournalCore<SimulatedDisk>, _ recovered: Recovered,
        isWhole: Bool, _ now: Instant
    ) throws -> Voter {
        let base =
            recovered.base.position == .zero
            ? Base(
                position: .zero, membership: membership,
                state: machines[at].isWitness ? [] : firstDecisions(of: machines[at]).encoded)
            : recovered.base
        var tail: [Entry] = []
        if let last = recovered.positions.last, let first = recovered.positions.first {
            let from = max(
                first.index, LogIndex(last.index.rawValue - min(16, last.index.rawValue)))
            tail = try journal.entries(from: from, through: last.index, bytesMax: .max)
        }
        let restored = try Restored(
            hardState: recovered.hardState, base: base, positions: recovered.positions,
            configurations: journal.configurations(recovered),
            time: tail.last?.time ?? .zero, tail: tail)
        let raft = Raft(
            seat: machines[at].id, isWitness: machines[at].isWitness,
            isFounded: !machines[at].isNewcomer, isWhole: isWhole, group: Self.group,
            settings: raftSettings, restored: restored, random: random.fork(),
            at: now)
        return Voter(raft: raft, gossip: gossip(at, now))
    }

    /// A voice in the gossip that nobody has heard before.
    mutating func gossip(_ at: Int, _ now: Instant) -> Gossip {
        machines[at].incarnation = machines[at].incarnation.next
        checkIncarnation(at)
        let own = peers.first { $0.node == machines[at].id }
        return Gossip(
            self: own ?? peers[0], roster: peers, settings: Gossip.Settings(),
            boot: BootID(random.next()), incarnation: machines[at].incarnation,
            random: random.fork(), at: now)
    }
}
