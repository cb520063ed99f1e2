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
    static let regions = ["alpha", "beta", "gamma", "delta", "epsilon"].compactMap(RegionName.init)

    mutating func makeMachines(_ count: Int, _ chance: inout SeededRandom) {
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
                    id: NodeID(UInt64(at) + 1), isWitness: at == plan.shape.dataMembers,
                    pace: pace, clock: VirtualClock(startingAt: start, rate: rate), peers: count))
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
        // A full load hides what an idle mesh does wrong, and the other way round.
        report.leisure = [1, 2, 6][Int(chance.next() % 3)]
        let leisure = UInt64(report.leisure)
        for share in shares {
            let pace = Interval.milliseconds(UInt64.random(in: 80...190, using: &chance) * leisure)
            clients.append(
                Client(
                    disk: share.disk, name: "disk-\(share.disk)", own: share.own,
                    random: chance.fork(), thinks: pace...(pace * 4),
                    burstMax: Int.random(in: 4...10, using: &chance)))
        }
    }

    var members: [Node.Member] {
        machines.enumerated().map { at, machine in
            Node.Member(
                node: machine.id, region: Self.regions[at],
                isWitness: machine.isWitness)
        }
    }

    private var dataMembers: [NodeID] { machines.filter { !$0.isWitness }.map(\.id) }

    private var membership: Membership {
        let witness = machines.first { $0.isWitness }?.id
        return Membership(
            voters: Electorate(data: dataMembers, witness: witness), preferred: dataMembers)
    }

    private var firstDecisions: Decisions {
        Decisions(
            seats: members.filter { !$0.isWitness }.map {
                Decisions.Seat(node: $0.node, region: $0.region)
            })
    }

    private var raftSettings: RaftSettings {
        var settings = RaftSettings()
        settings.followsPreference = false
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
        return settings
    }

    /// Starts a process from what the disks hold, as the agent and the witness do.
    mutating func boot(_ at: Int) {
        guard machines[at].power == .down else { return }
        do {
            try restart(at)
        } catch {
            // What a disk refuses is no damage: the service manager tries again.
            guard isRefusal(error) else {
                return check("node \(machines[at].id) cannot recover: \(error)")
            }
            tell(at, "cannot start: \(error)")
            return agenda.push(time + .milliseconds(500), .boot(at))
        }
        tell(at, "starts, log to \(machines[at].raft { "\($0.lastPosition)" } ?? "?")")
        if machines[at].agent != nil {
            let base = machines[at].raft { $0.basePosition.index } ?? .zero
            post(.behind(base), toVolumesOf: at)
            turn(at, .wallClock(WallTime(1_700_000_000_000_000_000 + time.nanoseconds)))
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

    private mutating func restart(_ at: Int) throws {
        let now = machines[at].clock.local(time)
        let settings = JournalCore<SimulatedDisk>.Settings(
            cluster: Self.cluster, group: Self.group, segmentByteCount: 128 << 10)
        var (journal, recovered) = try JournalCore.open(
            &machines[at].logDisk, settings: settings, random: random.fork())
        if recovered.last.index < machines[at].promised {
            check(
                "durability: node \(machines[at].id) starts with a log to \(recovered.last), "
                    + "though it was safe up to \(machines[at].promised)")
        }
        checkRecovered(recovered, at)
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
        machines[at].isPartial = isWhole == false
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
        guard let core else { return machines[at].voter = voter }
        let state =
            try recovered.base.position == .zero
            ? firstDecisions : Decisions(parsing: recovered.base.parsed().state.contents)
        machines[at].volumesDisk = SimulatedDisk()
        guard let settings = nodeSettings(machines[at].id) else { return }
        let node = Node(settings: settings, voter: voter, decisions: state, at: now)
        machines[at].agent = Agent(node: node, exports: Exports(core))
    }

    private mutating func openVolumes(
        _ at: Int, _ recovered: Recovered
    ) throws -> VolumeCore<SimulatedDisk> {
        var limits = VolumeLimits(pendingByteCountMax: 48 << 10, overlayByteCountMax: 32 << 10)
        limits.sumPagesMax = 1
        limits.scrubPeriod = .seconds(4)
        limits.resync.pieceByteCountMax = 4 << 10
        limits.resync.windowByteCountMax = 12 << 10
        // Seconds for a disk, so that much happens meanwhile.
        limits.resync.bytesPerSecondMax = 48 << 10
        limits.resync.askTimeout = .milliseconds(300)
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
                state: machines[at].isWitness ? [] : firstDecisions.encoded)
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
            seat: machines[at].id, isWitness: machines[at].isWitness, isWhole: isWhole,
            group: Self.group, settings: raftSettings, restored: restored, random: random.fork(),
            at: now)
        machines[at].incarnation = machines[at].incarnation.next
        checkIncarnation(at)
        let peers = members.map {
            Gossip.Peer(
                node: $0.node, region: $0.region, role: $0.isWitness ? .witness : .data)
        }
        let gossip = Gossip(
            self: peers[at], roster: peers, settings: Gossip.Settings(),
            boot: BootID(random.next()), incarnation: machines[at].incarnation,
            random: random.fork(), at: now)
        return Voter(raft: raft, gossip: gossip)
    }
}
