/// Breadth first, so that the first broken moment has the shortest story.
struct Search {
    struct Outcome {
        var moments: Int
        var broken: Broken?
        var story: [String]
        var logs: Set<Moment>
    }

    /// A search that outgrows this ran past its bounds: it fails instead of eating the machine.
    static let momentsMax = 12_000_000

    let rule: WitnessRule
    private var found: [Moment] = []
    private var parents: [UInt32] = []
    private var slots: [UInt32]

    init(_ rule: WitnessRule) {
        self.rule = rule
        slots = Array(repeating: 0, count: 1 << 16)
    }

    static func run(_ rule: WitnessRule, keepingLogs: Bool = false) -> Outcome {
        var search = Search(rule)
        return search.exhaust(keepingLogs: keepingLogs)
    }

    private mutating func exhaust(keepingLogs: Bool) -> Outcome {
        var logs: Set<Moment> = []
        add(Moment(), parent: 0)
        var next = 0
        while next < found.count {
            let now = found[next]
            if keepingLogs { logs.insert(rule.logsAlone(now)) }
            if let broken = rule.broken(in: now) {
                return Outcome(
                    moments: found.count, broken: broken, story: story(of: next), logs: logs)
            }
            rule.forEachStep(from: now) { _, after in
                add(rule.canonical(after), parent: next)
            }
            precondition(found.count <= Self.momentsMax, "the search outgrew its bounds")
            next += 1
        }
        return Outcome(moments: found.count, broken: nil, story: [], logs: logs)
    }

    private mutating func add(_ moment: Moment, parent: Int) {
        if found.count * 2 >= slots.count { grow() }
        var slot = Int(truncatingIfNeeded: moment.hashed >> 24) & (slots.count - 1)
        while slots[slot] != 0 {
            if found[Int(slots[slot]) - 1] == moment { return }
            slot = (slot + 1) & (slots.count - 1)
        }
        found.append(moment)
        parents.append(UInt32(parent))
        slots[slot] = UInt32(found.count)
    }

    private mutating func grow() {
        slots = Array(repeating: 0, count: slots.count * 2)
        for (position, moment) in found.enumerated() {
            var slot = Int(truncatingIfNeeded: moment.hashed >> 24) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(position + 1)
        }
    }

    /// Canonical moments rename voters from step to step; walking again from the start with the
    /// true names keeps every voter's name through the story.
    private func story(of end: Int) -> [String] {
        var path: [Moment] = []
        var at = end
        while at != 0 {
            path.append(found[at])
            at = Int(parents[at])
        }
        var now = Moment()
        var lines: [String] = []
        for target in path.reversed() {
            var taken: (WitnessRule.Step, Moment)?
            rule.forEachStep(from: now) { step, after in
                if taken == nil, rule.canonical(after) == target { taken = (step, after) }
            }
            guard let taken else { break }
            now = taken.1
            lines.append(rule.sentence(taken.0))
        }
        lines.append(rule.picture(now))
        return lines
    }
}

extension WitnessRule {
    /// Data voters are alike, so one moment stands for all that differ by their names.
    func canonical(_ now: Moment) -> Moment {
        if order == .any { return dataVoters == 2 ? min(now, swapped(now)) : now }
        var term = 1
        while term < terms, now.leader(term) == 0 { term += 1 }
        var next = now
        for end in 1..<dataVoters {
            var at = end
            while at > 0, rank(at, term, next) < rank(at - 1, term, next) {
                exchange(at, at - 1, term, &next)
                at -= 1
            }
        }
        return next
    }

    private func rank(_ voter: Int, _ term: Int, _ now: Moment) -> Int {
        let leads = now.leader(term) == voter + 1 ? 1 : 0
        return (now.log(voter) * 4 + now.match(term, voter)) * 2 + leads
    }

    private func exchange(_ one: Int, _ other: Int, _ term: Int, _ now: inout Moment) {
        let before = now
        now.setLog(one, before.log(other))
        now.setLog(other, before.log(one))
        now.setMatch(term, one, before.match(term, other))
        now.setMatch(term, other, before.match(term, one))
        now.setLeader(term, renamed(before.leader(term), one, other))
    }

    /// Names are 1 + voter, 0 nobody.
    private func renamed(_ name: Int, _ one: Int, _ other: Int) -> Int {
        name == one + 1 ? other + 1 : name == other + 1 ? one + 1 : name
    }

    private func min(_ one: Moment, _ other: Moment) -> Moment {
        one.precedes(other) ? one : other
    }

    private func swapped(_ now: Moment) -> Moment {
        var next = now
        next.setTerm(0, now.term(1))
        next.setTerm(1, now.term(0))
        for term in 1...terms {
            exchange(0, 1, term, &next)
            if term < terms {
                next.setLog(0, now.log(0))
                next.setLog(1, now.log(1))
            }
            for voter in 0..<3 {
                let from = voter == 2 ? 2 : 1 - voter
                next.setVote(term, voter, renamed(now.vote(term, from), 0, 1))
            }
        }
        return next
    }

    /// Both orders must reach the same of these.
    func logsAlone(_ now: Moment) -> Moment {
        var logs = Moment()
        for voter in 0..<voters { logs.setLog(voter, now.log(voter)) }
        if logs.log(0) > logs.log(1), dataVoters == 2 {
            logs.setLog(0, now.log(1))
            logs.setLog(1, now.log(0))
        }
        logs.base = now.base
        logs.committed = now.committed
        return logs
    }

    private func name(_ voter: Int) -> String {
        voter == witness ? "the witness" : ["A", "B", "C", "D"][voter]
    }

    func sentence(_ step: Step) -> String {
        switch step {
        case .stood(let candidate, let term):
            "\(name(candidate)) stands in term \(term)"
        case .voted(let voter, let candidate, let term):
            "\(name(voter)) votes for \(name(candidate)) in term \(term)"
        case .elected(let leader, let term):
            "\(name(leader)) is elected in term \(term)"
        case .appended(let leader, let index, let term):
            "\(name(leader)) appends entry \(index) of term \(term)"
        case .stored(let voter, let index, let term):
            "\(name(voter)) stores entry \(index) sent by the leader of term \(term)"
        case .moved(let index, let term):
            "the leader of term \(term) moves the witness's base to \(index)"
        case .probed(let index):
            "the witness answers a probe: it lacks entry \(index)"
        }
    }

    func picture(_ now: Moment) -> String {
        let logs = (0..<voters).map { voter in
            let held = (1...Moment.wide).map { String(Terms.at(now.log(voter), $0)) }
            let base = voter == witness && now.base > 0 ? " (base \(now.base))" : ""
            return "\(name(voter)) [\(held.joined(separator: " "))]\(base)"
        }
        let committed = (1...Moment.wide).map { String(Terms.at(now.committed, $0)) }
        return logs.joined(separator: ", ") + ", committed [\(committed.joined(separator: " "))]"
    }
}
