internal import Decisions
internal import Mesh
internal import Node

/// Members that make the backups of a schedule, as the log sees them. Who claims is drawn by chance, and claims are taken over for
/// no reason, as from gossip that errs or a clock that runs away: whatever they do, one backup of a slot counts.
struct BackupRivals {
    /// Above the numbers of all other operators.
    static let firstRequest: UInt64 = 1 << 41
    /// A slot comes every two seconds of the log's time.
    static let period: UInt64 = 2_000_000_000

    private var requests: UInt64 = 0
    private var numbers: UInt64 = 0
    private var asked: [Node.OperationID: (at: Int, news: BackupNews, claim: BackupDuty.Claim?)] =
        [:]
    /// What each machine believes to be its own.
    private var held: [Int: BackupDuty.Claim] = [:]
    /// Who was told that the backup that it made counts, by slot.
    private var winners: [WallTime: NodeID] = [:]
    private var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed &+ 0xbac) }

    var winnerCount: Int { winners.count }

    mutating func draw(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }

    /// What a member says next; nil where it forgets what it was about to make.
    mutating func next(
        _ at: Int, _ node: NodeID, _ duty: BackupDuty, _ time: WallTime
    ) -> (Node.OperationID, BackupNews)? {
        numbers += 1
        let made = BackupDuty.Made(number: numbers, node: node, asOf: time, isFull: false)
        let news: BackupNews
        if let claim = held[at] {
            switch random.next() % 8 {
            case 0, 1: news = .renewed(claim: claim.since)
            case 2: news = .failed(claim: claim.since, words: "no room")
            case 3:
                held[at] = nil
                return nil
            default: news = .made(made, claim: claim.since)
            }
        } else if random.chance(1, in: 16) {
            news = .made(made, claim: nil)
        } else {
            let over = random.chance(3, in: 4) ? duty.claim?.renewal : nil
            let slot = WallTime(time.rawValue / Self.period * Self.period)
            news = .claimed(slot: slot, isFull: false, by: node, over: over)
        }
        requests += 1
        let id = Node.OperationID(Self.firstRequest + requests)
        asked[id] = (at, news, held[at])
        return (id, news)
    }

    /// What is broken, or nil.
    mutating func answered(_ id: Node.OperationID, _ answer: Node.Answer) -> String? {
        guard let (at, news, claim) = asked.removeValue(forKey: id) else { return nil }
        switch (news, answer) {
        case (.claimed(_, _, let node, _), .done(.backups(let duty))):
            guard let claim = duty.claim, claim.node == node else {
                return "node \(node) is told that its claim is taken, and it is another's"
            }
            held[at] = claim
        case (.made(let made, _?), .done(.backups)):
            held[at] = nil
            guard let claim else { return nil }
            if let other = winners[claim.slot] {
                return
                    "one slot has one winner: nodes \(other) and \(made.node) are both told that their "
                    + "backup of \(claim.slot) counts"
            }
            winners[claim.slot] = made.node
        case (.made(_, _?), .done), (.failed, .done): held[at] = nil
        default: break
        }
        return nil
    }
}

extension Simulation {
    /// At any data member that runs.
    mutating func rival() {
        let running = machines.indices.filter {
            machines[$0].power == .up && machines[$0].agent != nil
        }
        guard !running.isEmpty else { return }
        let at = running[rivals.draw(running.count)]
        guard let agent = machines[at].agent, let time = agent.node.appliedTime,
            agent.node.decisions.level >= .backups
        else { return }
        for other in running
        where machines[other].agent?.node.decisions.appliedIndex
            == agent.node.decisions.appliedIndex
        {
            guard machines[other].agent?.node.decisions.backups != agent.node.decisions.backups
            else { continue }
            return check("nodes \(machines[at].id) and \(machines[other].id) differ over backups")
        }
        guard
            let (id, news) = rivals.next(at, machines[at].id, agent.node.decisions.backups, time)
        else { return }
        tell(at, "says of backups: ", news)
        turn(at, .operate(id, .command(.backup(news))))
    }
}
