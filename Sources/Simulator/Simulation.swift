internal import Decisions
internal import Gossip
internal import JournalCore
internal import Mesh
internal import Node
internal import Raft
internal import Record
internal import SimulatedDisk
internal import VolumeCore
internal import Voting

/// A whole mesh on virtual time, in one thread and from one seed: the production cores, journals
/// and exports on simulated disks, clocks and links.
///
/// Not copyable: its methods call each other with every event, and each call of one that changes nothing
/// would else count all references of a copy (3 % of a run).
package struct Simulation: ~Copyable {
    static let cluster = ClusterID(high: 0x686f_6c64, low: 0x6661_7374)
    static let group = GroupID(1)

    let plan: Plan
    var random: SeededRandom
    /// The weather's chances.
    var sky: SeededRandom
    var agenda = Agenda(filler: Occurrence.watch)
    var time = Moment.zero
    var machines: [Machine] = []
    var links: Links
    var spells: [Spell] = []
    var weather: Weather
    var clients: [Client] = []
    var ledgers: [Ledger] = []
    var operators: Operators
    var recruiting = Recruiting()
    var rivals: BackupRivals
    /// The newest membership that was applied, and where.
    var lastEnrolled: Membership?
    var enrolled = LogIndex.zero
    /// When the members last changed.
    var enrolledAt = Moment.zero
    /// Short ones end before anybody stands; under long ones a successor has to wait.
    let lease: Interval
    var watch = Watch()
    var levels = LevelModel()
    /// The highest base of a data member that was judged.
    var lawfullyForgotten = LogIndex.zero
    var story = Story()
    var report: Report
    /// When a client's next word can reach a machine: words of one client keep their order.
    var lastAsk: [Moment]
    var isStormy = true
    var looks = 0
    /// A backup's reader.
    var cutWatch: CutWatch?
    var cutOrdered: CutOrdered?
    /// The highest term that anybody led, and since when.
    var newestLeader: (term: Term, since: Moment) = (.zero, .zero)
    /// Who stays broken while the others have to serve.
    var outcasts: Set<Int> = []
    /// Who fell for good at the end.
    var fallenForGood: Int?
    /// When the last primary of the plan's falls fell, and under which epoch it acted.
    var fallen: (at: Moment, epoch: Epoch)?
    /// A flush is answered by a majority alone, after the storm, and again after the last fall.
    var hasRecovered = false
    /// What replicas still lacked when the judge last looked whether to wait for them.
    var copiesLeft: UInt64?

    var effectsPool: [[Node.Effect]] = []
    var exportEffects: [ExportEffect] = []

    package init(_ plan: Plan) {
        self.plan = plan
        random = SeededRandom(seed: plan.seed &* 0x9e37_79b9 &+ 17)
        report = Report(plan: plan)
        sky = random.fork()
        var chance = random.fork()
        weather = Weather(plan, &chance)
        let founders = plan.shape.dataMembers + (plan.shape.hasWitness ? 1 : 0)
        let isOpen = weather.faults.contains(.members)
        let spares = isOpen ? Recruiting.sparesMax + (plan.shape.hasWitness ? 1 : 0) : 0
        let count = founders + spares
        links = Links(count) { _, _ in
            let delay = chance.interval(in: .microseconds(200)...(.milliseconds(4)))
            return Links.Link(delay: delay, jitter: delay / 4)
        }
        let lengths: [UInt64] = [400, 400, 1_000, 2_500]
        let drawn = Interval.milliseconds(lengths[Int(chance.next() % UInt64(lengths.count))])
        lease = plan.lease ?? drawn
        operators = Operators(&chance)
        rivals = BackupRivals(seed: plan.seed)
        lastAsk = []
        makeMachines(count, founders: founders, &chance)
        lastEnrolled = membership
        recruiting.note(membership, at: .zero)
        makeClients(&chance)
        lastAsk = Array(repeating: .zero, count: clients.count * count)
    }

    /// Runs to the end, or to the first violation.
    package mutating func run() -> Report {
        begin()
        while report.violation == nil, !agenda.isEmpty {
            let (at, occurrence) = agenda.pop()
            time = at
            report.events += 1
            step(occurrence)
            if case .lastJudgement = occurrence { break }
        }
        report.simulated = Interval(nanoseconds: time.nanoseconds)
        report.operations = watch.operations
        report.backups = rivals.winnerCount
        report.story = story.lines
        return report
    }

    private mutating func begin() {
        for at in machines.indices { agenda.push(.zero + .milliseconds(UInt64(at)), .boot(at)) }
        for at in clients.indices { turnClient(at, after: .milliseconds(500)) }
        agenda.push(.zero + .milliseconds(300), .operators)
        agenda.push(.zero + .seconds(2), .weather)
        agenda.push(.zero + .seconds(1), .watch)
        for fall in plan.primaryFalls { agenda.push(.zero + fall, .primaryFalls) }
        if plan.keepsLittleLog {
            for second in [12, 36] as [UInt64] where .seconds(second) < plan.stormy {
                agenda.push(.zero + .seconds(second), .absence(spell: nil))
            }
        }
        agenda.push(.zero + plan.stormy, .clearForQuorum)
        agenda.push(.zero + plan.stormy + plan.quorumAlone, .clearSky)
        agenda.push(judgementAt, .judgement)
    }

    var judgementAt: Moment {
        .zero + plan.stormy + plan.quorumAlone + plan.recovery
            + (upgrades ? Self.upgradeMax : .zero)
    }

    private mutating func step(_ occurrence: Occurrence) {
        if let (machine, life) = occurrence.addressee {
            guard machines[machine].isUp, life.map({ $0 == machines[machine].life }) ?? true
            else { return missed(occurrence) }
            if machines[machine].isPaused {
                machines[machine].inbox.append(occurrence)
                return
            }
        }
        mix(occurrence)
        carryOut(occurrence)
    }

    private mutating func carryOut(_ occurrence: Occurrence) {
        switch occurrence {
        case .arrival(let parcel): arrived(parcel)
        case .wake(let machine, _): woken(machine)
        case .logDone(let machine, _): logDone(machine)
        case .volumesTurn(let machine, _): turnVolumes(machine)
        case .persisted(let machine, _, let persist): persisted(machine, persist)
        case .knock(let machine, let connection): knocked(machine, connection)
        case .ask(let machine, _, let id, let volume, let generation, let request):
            post(.request(id, volume, generation, request), toVolumesOf: machine)
        case .hangUp(let machine, _, let connection):
            post(.cancelled(connection), toVolumesOf: machine)
        case .welcome(let connection, let welcome): welcomed(connection, welcome)
        case .reply(let id, let reply): replied(id, reply)
        case .lost(let connection): lost(connection)
        case .clientTurn(let client, let number): clientTurn(client, number)
        case .primaryFalls: primaryFalls()
        case .absence(let spell): absent(spell)
        case .stroke(let machine, let life, let spell): struck(machine, life, spell)
        case .boot(let machine): boot(machine)
        case .install(let machine): install(machine)
        case .resume(let machine): resume(machine)
        case .weather: blow()
        case .calm(let spell): calm(spell)
        case .operators: operate()
        case .watch: look()
        case .clearForQuorum: clearForQuorum()
        case .clearSky:
            judgeQuorum()
            clearSky()
        case .judgement:
            if waitsForCopies() { return agenda.push(time + Self.copyLookedAfter, .judgement) }
            judge()
            fallForGood()
            agenda.push(time + plan.bereavement, .lastJudgement)
        case .lastJudgement:
            judgeLast()
            judgeDamage()
        }
    }

    /// Handles what reached a process while it stood still, all at one moment.
    mutating func resume(_ machine: Int) {
        guard case .paused(let until, let spell) = machines[machine].power, until <= time
        else { return }
        machines[machine].power = .up
        machines[machine].runsSince = time
        if !machines[machine].inbox.isEmpty { bite(spell) }
        tell(machine, "runs on")
        var inbox: [Occurrence] = []
        swap(&inbox, &machines[machine].inbox)
        let life = machines[machine].life
        for occurrence in inbox where report.violation == nil {
            guard machines[machine].life == life, machines[machine].isUp else { return }
            carryOut(occurrence)
        }
        if machines[machine].life == life { tellRoom(machine) }
    }

    private mutating func missed(_ occurrence: Occurrence) {
        switch occurrence {
        case .knock(_, let connection):
            agenda.push(time + .microseconds(300), .welcome(connection, nil))
        case .ask(_, _, let id, _, _, _):
            agenda.push(time + .microseconds(300), .lost(id.connection))
        default: break
        }
    }

    /// Folds what happens into the run's digest (FNV-1a).
    private mutating func mix(_ occurrence: Occurrence) {
        var digest = report.digest ^ time.nanoseconds
        digest = digest &* 0x100_0000_01b3
        if case .arrival(let parcel) = occurrence {
            digest ^= UInt64(parcel.bytes.count) << 16 | UInt64(parcel.from << 8 | parcel.to)
            digest = digest &* 0x100_0000_01b3
        }
        report.digest = digest
    }

    mutating func tell(_ machine: Int?, _ text: String) {
        story.tell(StoryLine(time, machine.map { machines[$0].id }, text))
    }

    /// What `rest` comes to in words stands behind the others.
    mutating func tell(_ machine: Int?, _ text: String, _ rest: any Sendable) {
        story.tell(StoryLine(time, machine.map { machines[$0].id }, text, rest))
    }

    /// Stops the run if something is broken.
    mutating func check(_ broken: String?) {
        guard let broken, report.violation == nil else { return }
        tell(nil, "VIOLATION: \(broken)")
        report.violation = Violation(at: time, what: broken)
    }
}
