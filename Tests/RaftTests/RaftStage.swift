import Mesh
import Record
import Scenario

@testable import Raft

/// A `Cluster` that is told what to do, and tells what came of it, in milliseconds of its own time.
struct RaftStage: ScenarioStage {
    var cluster = Cluster(1)
    var links: Set<ScenarioLink> = []
    /// Letters that are told: of all kinds, or of these.
    var tellsLetters = false
    var tellsCommits = false
    private var isMade = false
    private var lines: [String] = []
    private var toldEffects = 0
    private static let runMax = Interval.seconds(120)

    mutating func carryOut(_ command: ScenarioCommand) throws(ScenarioFault) -> [String] {
        lines = []
        if command.name == "mesh" {
            try make(command)
        } else if isMade {
            try act(command)
        } else {
            throw ScenarioFault("a scenario begins with mesh")
        }
        tellEffects()
        return lines
    }

    private mutating func make(_ command: ScenarioCommand) throws(ScenarioFault) {
        try command.knows(words: 0...1, options: "data", "seed", "prefers", "spares", "kept")
        guard !isMade else { throw ScenarioFault("there is a mesh already") }
        var settings = RaftSettings()
        settings.followsPreference = false
        if let kept = try command.number("kept") {
            (settings.logKeptBytesMax, settings.awayAfter) = (Int(kept), .seconds(1))
        }
        cluster = Cluster(
            Int(try command.number("data") ?? 3), seed: try command.number("seed") ?? 1,
            preferred: try command.nodes("prefers") ?? [], hasWitness: command.has("witness"),
            spares: Int(try command.number("spares") ?? 0), settings: settings)
        isMade = true
    }

    private mutating func act(_ command: ScenarioCommand) throws(ScenarioFault) {
        switch command.name {
        case "run": try run(command)
        case "propose": try propose(command)
        case "cut", "heal": try relink(command)
        case "links": try weather(command)
        case "crash", "restart", "wipe", "stall", "resume", "checkpoint": try strike(command)
        case "transfer":
            try command.knows(words: 2...2)
            cluster.give(
                try command.number(at: 0), .transferLeadership(to: try command.node(at: 1)))
        case "read":
            try command.knows(words: 2...2)
            cluster.give(try command.number(at: 0), .read(try command.number(at: 1)))
        case "members": try change(command)
        case "tell":
            try command.knows(words: 1...2)
            (tellsLetters, tellsCommits) = (command.has("letters"), command.has("commits"))
            cluster.keepsLetters = tellsLetters
        case "show":
            try command.knows(words: 0...0)
            lines += cluster.table
        default: throw ScenarioFault("there is no command \(command.name)")
        }
    }

    private mutating func run(_ command: ScenarioCommand) throws(ScenarioFault) {
        try command.knows(words: 1...1, options: "until")
        let length = try command.interval(at: 0)
        guard length <= Self.runMax else { throw ScenarioFault("\(length) is too long a run") }
        let until = command.option("until")
        let wanted = try until.map { text throws(ScenarioFault) in try condition(text) }
        for _ in 0..<length.nanoseconds / 1_000_000 {
            if wanted?(cluster) ?? false {
                return lines.append("\(moment)  so it is: \(until ?? "")")
            }
            cluster.step()
            tellEffects()
        }
        if let until, wanted?(cluster) == false { lines.append("\(moment)  never: \(until)") }
    }

    /// What a run waits for.
    private func condition(_ text: String) throws(ScenarioFault) -> (Cluster) -> Bool {
        let parts = text.split(separator: ":").map(String.init)
        let number = parts.count == 2 ? UInt64(parts[1]) : nil
        switch (parts.first, number) {
        case ("led", nil): return { now in now.leader.map { now.rules($0) } ?? false }
        case ("led", let node?): return { $0.leader == node && $0.rules(node) }
        case ("leads", let node?): return { $0.leader == node }
        case ("committed", let index?):
            return { now in now.nodes.contains { $0.raft.commitIndex.rawValue >= index } }
        case ("even", nil): return { $0.isEven }
        default:
            throw ScenarioFault(
                "\(text) can't be waited for: leads:2, led, led:2, committed:7, even")
        }
    }

    private mutating func propose(_ command: ScenarioCommand) throws(ScenarioFault) {
        try command.knows(words: 1...1, options: "count", "bytes")
        let payload = [UInt8](repeating: 7, count: Int(try command.number("bytes") ?? 3))
        for _ in 0..<(try command.number("count") ?? 1) {
            cluster.propose(try command.number(at: 0), payload)
        }
    }

    private mutating func relink(_ command: ScenarioCommand) throws(ScenarioFault) {
        try command.knows(words: 0...8)
        let all = cluster.nodes.map(\.raft.seat)
        for at in 0..<command.count {
            let chosen = try ScenarioLink.links(try command.word(at), among: all)
            if command.name == "cut" { links.formUnion(chosen) } else { links.subtract(chosen) }
        }
        if command.name == "heal", command.count == 0 { links = [] }
        cluster.isCut = { [links] in links.contains(ScenarioLink(from: $0, to: $1)) }
    }

    private mutating func weather(_ command: ScenarioCommand) throws(ScenarioFault) {
        try command.knows(words: 0...0, options: "delay", "jitter", "loss", "doubled")
        if let delay = try command.interval("delay") { cluster.delay = delay }
        if let jitter = try command.interval("jitter") { cluster.jitter = jitter }
        if let loss = try command.number("loss") { cluster.lossPercent = loss }
        if let doubled = try command.number("doubled") { cluster.duplicatePercent = doubled }
    }

    private mutating func strike(_ command: ScenarioCommand) throws(ScenarioFault) {
        try command.knows(words: 1...5)
        for at in 0..<command.count {
            let node = try command.node(at: at)
            guard cluster.nodes.contains(where: { $0.raft.seat == node }) else {
                throw ScenarioFault("there is no node \(node)")
            }
            switch command.name {
            case "crash": cluster.crash(node.rawValue)
            case "restart": cluster.restart(node.rawValue)
            case "wipe":
                cluster.mayForget = true
                cluster.nodes[Int(node.rawValue) - 1].disk = SlowDisk(
                    base: Base(position: .zero, membership: cluster.membership, state: []))
            case "stall": cluster.stalled.insert(node)
            case "resume": cluster.stalled.remove(node)
            default:
                let raft = cluster[node.rawValue]
                let position = Position(
                    index: raft.appliedIndex, term: raft.log.term(at: raft.appliedIndex) ?? .zero)
                cluster.give(
                    node.rawValue, .checkpointed(Base(position: position, contents: [1])))
            }
        }
    }

    private mutating func change(_ command: ScenarioCommand) throws(ScenarioFault) {
        try command.knows(words: 1...1, options: "data", "witness", "learners", "prefers")
        let node = try command.number(at: 0)
        var wish = MembershipChange(cluster[node].membership)
        if let data = try command.nodes("data") {
            wish.voters = Electorate(data: data, witness: wish.voters.witness)
        }
        if let witness = try command.nodes("witness") {
            wish.voters = Electorate(data: wish.voters.data, witness: witness.first)
        }
        if let learners = try command.nodes("learners") { wish.learners = learners }
        if let preferred = try command.nodes("prefers") { wish.preferred = preferred }
        cluster.give(node, .changeMembership(wish))
    }

    // MARK: What is told

    private var moment: String {
        let text = "\(cluster.now.nanoseconds / 1_000_000)"
        return String(repeating: " ", count: max(0, 6 - text.count)) + text
    }

    private mutating func tellEffects() {
        for (node, effect) in cluster.effects[toldEffects...] {
            if let line = words(effect, of: node) { lines.append("\(moment)  \(line)") }
        }
        toldEffects = cluster.effects.count
        for letter in cluster.letters { lines.append("\(moment)  \(letter)") }
        cluster.letters = []
        for violation in cluster.violations { lines.append("\(moment)  BROKEN: \(violation)") }
        cluster.violations = []
    }

    private func words(_ effect: Effect, of node: NodeID) -> String? {
        switch effect {
        case .became(let role, let term, let leader): RaftStage.words(node, role, term, leader)
        case .steppedDown(let why): "\(node) leads no more: \(why)"
        case .replicaLost(let lost, let index): "\(node) misses what \(lost) had, up to \(index)"
        case .leftBehind(let left, let index): "\(node) keeps no log for \(left), up to \(index)"
        case .contradicted(let found):
            "\(node) has committed \(found.committed), and \(found.leader) says \(found.claimed)"
        case .proposalsRefused(_, let why): "\(node) takes nothing: \(why)"
        case .membershipRefused(let why): "\(node) changes no member: \(why)"
        case .membershipChanged(let members, let index):
            "\(node) knows the members as of \(index): \(members)"
        case .restore(let base): "\(node) becomes what was at \(base.position)"
        case .readReady(let id, let index): "\(node) answers read \(id) as of \(index)"
        case .readRefused(let id): "\(node) refuses read \(id)"
        case .apply(let entries): tellsCommits ? RaftStage.words(node, entries) : nil
        case .save, .send, .fetch, .accepted: nil
        }
    }

    private static func words(_ node: NodeID, _ role: Role, _ term: Term, _ leader: NodeID?)
        -> String
    {
        switch (role, leader) {
        case (.leader, _): "\(node) leads in term \(term)"
        case (.preCandidate, _): "\(node) asks who would vote for it, in term \(term)"
        case (.candidate, _): "\(node) stands in term \(term)"
        case (.follower, let leader?): "\(node) follows \(leader) in term \(term)"
        case (.follower, nil): "\(node) follows nobody in term \(term)"
        }
    }

    private static func words(_ node: NodeID, _ entries: [Entry]) -> String? {
        guard let first = entries.first, let last = entries.last else { return nil }
        return "\(node) applies \(first.position)"
            + (first.index == last.index ? "" : "...\(last.position)")
    }
}

extension Cluster {
    /// Leads, and has committed something of its own term.
    func rules(_ node: UInt64) -> Bool { self[node].commitIndex >= self[node].termStart }

    /// All members that run have committed all that anybody has.
    var isEven: Bool {
        guard let leader else { return false }
        let members = self[leader].membership.members
        let running = nodes.filter { $0.isUp && members.contains($0.raft.seat) }
        let last = running.map(\.raft.lastPosition).max() ?? .zero
        return running.allSatisfy {
            $0.raft.lastPosition == last && $0.raft.commitIndex == last.index
        }
    }

    var table: [String] {
        nodes.map { node in
            let raft = node.raft
            guard node.isUp else { return "node \(raft.seat)  down" }
            return "node \(raft.seat)  \(raft.role) term \(raft.term), log "
                + "\(raft.basePosition)...\(raft.lastPosition), commit \(raft.commitIndex)"
        }
    }
}
