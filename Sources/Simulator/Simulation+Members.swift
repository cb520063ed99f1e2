internal import Decisions
internal import Gossip
internal import Mesh
internal import Node
internal import Raft
internal import Record
internal import VolumeCore
internal import Voting

/// Operators who change the members, and what is known of it from outside.
struct Recruiting {
    /// Fresh data machines that may join in one run.
    static let sparesMax = 3
    /// Configurations that are remembered: followers learn late what is decided under which.
    static let configurationsMax = 8
    /// Above the numbers of the other operators.
    static let firstRequest: UInt64 = 1 << 40
    /// An answer that did not come by then was lost with who was asked.
    static let patience = Interval.seconds(12)

    /// As the logs got them, oldest first; the founders' before all.
    var configurations: [(index: LogIndex, membership: Membership)] = []
    /// What is wanted of the mesh and not answered.
    var wanted: Command?
    var request: (id: Node.OperationID, since: Moment)?
    var requests: UInt64 = 0
    /// Changes that were seen done or taken back.
    var done: Set<MemberChange> = []
    /// Who was taken back may never vote, and who left may never be a member.
    var takenBack: Set<NodeID> = []
    var left: Set<NodeID> = []

    var newest: Membership? { configurations.last?.membership }

    mutating func note(_ membership: Membership, at index: LogIndex) {
        // A suffix that nobody had committed is replaced.
        while let last = configurations.last, last.index >= index, last.index > .zero {
            if last.index == index, last.membership == membership { return }
            configurations.removeLast()
        }
        configurations.append((index, membership))
        if configurations.count > Self.configurationsMax { configurations.removeFirst() }
    }

    /// Those that may decide, where everything up to `index` is committed.
    func possible(from index: LogIndex) -> [Membership] {
        let start = configurations.lastIndex { $0.index <= index } ?? 0
        return configurations[start...].map(\.membership)
    }
}

extension Membership {
    var halves: [Electorate] { [voters] + (outgoing.map { [$0] } ?? []) }
}

extension Simulation {
    var changesMembers: Bool { weather.faults.contains(.members) }

    /// The halves of all configurations that may decide now.
    var halves: [Electorate] {
        recruiting.possible(from: LogIndex(UInt64(watch.appliedCount))).flatMap(\.halves)
    }

    /// Whether who votes is beyond doubt: nothing is under way, and nobody is to change.
    var isSettled: Bool {
        recruiting.possible(from: LogIndex(UInt64(watch.appliedCount))).count == 1
            && recruiting.newest?.isJoint == false && recruiting.wanted == nil
            && newestDecisions?.wish == nil
    }

    var newestDecisions: Decisions? {
        machines.compactMap { $0.agent?.node.decisions }
            .max { $0.appliedIndex < $1.appliedIndex }
    }

    /// Another machine may fall only while a majority of each half stands, or nothing would ever be
    /// committed.
    func maySpare(_ at: Int) -> Bool {
        halves.allSatisfy { half in
            let standing = half.all.count { node in
                let place = place(of: node)
                return place != at && machines[place].power == .up
                    && machines[place].patient == nil && !isShutOut(place)
            }
            return standing >= half.quorum
        }
    }

    /// Begins one change of the members, or takes one back.
    mutating func recruit(_ spell: Int) -> Interval {
        guard isStormy, recruiting.wanted == nil, let newest = recruiting.newest,
            !newest.isJoint, let decisions = newestDecisions
        else { return .zero }
        if let wish = decisions.wish {
            // Only of one who comes beside the others: the dead have to be replaced.
            if case .add = wish.change, random.chance(1, in: 2) {
                recruiting.wanted = .cancelMembers
            }
            return .zero
        }
        let change: MemberChange?
        switch random.next() % 6 {
        case 0, 1, 2: change = replacement(newest)
        case 3: change = newest.voters.data.count < 5 ? spare().map { .add($0) } : nil
        case 4: change = removal(newest)
        default: change = witnessReplacement(newest)
        }
        if let change {
            tell(nil, "operators want to ", change)
            recruiting.wanted = .changeMembers(change)
            bite(spell)
        }
        return .zero
    }

    private mutating func spare(isWitness: Bool = false) -> Newcomer? {
        guard
            let at = machines.indices.first(where: {
                machines[$0].isSpare && machines[$0].isWitness == isWitness
            })
        else { return nil }
        machines[at].isSpare = false
        if upgrades { fitOut(at) }
        for other in machines.indices where machines[other].agent != nil {
            turn(other, .roster(members, order: dataMembers))
        }
        for other in machines.indices where machines[other].voter != nil {
            turnVoter(other, .gossip(.rosterChanged(peers)))
        }
        boot(at)
        return Newcomer(
            node: machines[at].id, region: Self.regions[at], isWitness: machines[at].isWitness)
    }

    /// Some newcomers are set up with the former release, and soon get the newest.
    private mutating func fitOut(_ at: Int) {
        let isOld = random.chance(1, in: 3)
        (machines[at].speaks, machines[at].wasTakenBack) = (isOld ? .first : .spoken, isOld)
        if isOld { agenda.push(time + .seconds(4), .install(at)) }
    }

    /// Gone with its disks.
    private mutating func loseForGood(_ at: Int) {
        tell(at, "is lost for good")
        if machines[at].isUp { cutPower(at) }
        machines[at].isGone = true
    }

    private mutating func replacement(_ newest: Membership) -> MemberChange? {
        let able = newest.voters.data.map { place(of: $0) }.filter { maySpare($0) && mayLose($0) }
        guard !able.isEmpty, machines.contains(where: { $0.isSpare && !$0.isWitness })
        else { return nil }
        let at = able[Int(random.next() % UInt64(able.count))]
        loseForGood(at)
        return spare().map { .replace(machines[at].id, with: $0) }
    }

    private mutating func witnessReplacement(_ newest: Membership) -> MemberChange? {
        guard let witness = newest.voters.witness, maySpare(place(of: witness)),
            machines.contains(where: { $0.isSpare && $0.isWitness })
        else { return nil }
        loseForGood(place(of: witness))
        return spare(isWitness: true).map { .replace(witness, with: $0) }
    }

    /// Only where the others can lose one more.
    private mutating func removal(_ newest: Membership) -> MemberChange? {
        let count = newest.voters.data.count - 1
        let hasWitness = plan.shape.hasWitness && count % 2 == 0
        guard count >= 3 || count == 2 && hasWitness else { return nil }
        let able = newest.voters.data.filter { mayLose(place(of: $0)) }
        guard !able.isEmpty else { return nil }
        return .remove(able[Int(random.next() % UInt64(able.count))])
    }

    /// Asks for what is wanted until it is answered. Now and then for what may never be.
    mutating func askRecruits() {
        if let request = recruiting.request, time < request.since + Recruiting.patience { return }
        let running = machines.indices.filter {
            machines[$0].power == .up && machines[$0].agent != nil
        }
        guard !running.isEmpty else { return }
        var command = recruiting.wanted
        if command == nil, isStormy, let gone = recruiting.left.sorted().first {
            let newcomer = Newcomer(node: gone, region: Self.regions[place(of: gone)])
            command = .changeMembers(.add(newcomer))
        }
        guard let command else { return }
        recruiting.requests += 1
        let id = Node.OperationID(Recruiting.firstRequest + recruiting.requests)
        recruiting.request = (id, time)
        let at = running[Int(random.next() % UInt64(running.count))]
        tell(at, "is asked: ", command)
        turn(at, .operate(id, .command(command)))
    }

    mutating func recruitsAnswered(_ id: Node.OperationID, _ answer: Node.Answer) {
        guard id == recruiting.request?.id else { return }
        recruiting.request = nil
        tell(nil, "operators are told: ", answer)
        switch answer {
        case .done(.wished(let change)), .done(.membersChanged(let change)):
            if let coming = change.coming, recruiting.left.contains(coming.node) {
                check("no id is used twice: node \(coming.node), who left, is to be a member again")
            }
            if recruiting.wanted == .changeMembers(change) { recruiting.wanted = nil }
        case .done(.cancelled(let change)):
            if let coming = change.coming { recruiting.takenBack.insert(coming.node) }
            if recruiting.wanted == .cancelMembers { recruiting.wanted = nil }
        // The primary died, and nobody has taken over yet.
        case .done(.refused(.memberIsPrimary)) where isDeadWanted: break
        // What is asked of who left is wanted by nobody.
        case .done(.refused(.memberFormer)) where recruiting.wanted != nil: break
        case .done(.refused): recruiting.wanted = nil
        default: break
        }
    }

    private var isDeadWanted: Bool {
        guard case .changeMembers(.replace) = recruiting.wanted else { return false }
        return true
    }

    mutating func membersChanged(_ change: MemberChange) {
        guard recruiting.done.insert(change).inserted else { return }
        report.memberChanges += 1
    }
}
