import Mesh
import Record

@testable import Raft

extension Cluster {
    var summary: String {
        nodes.map {
            let (raft, up) = ($0.raft, $0.isUp)
            return "\(raft.seat) up \(up) \(raft.role) term \(raft.term) last "
                + "\(raft.lastPosition) commit \(raft.commitIndex) applied \(raft.appliedIndex) "
                + "durable \(raft.durableIndex) timeout \(raft.electionTimeout) "
                + "members \(raft.membership) since \(raft.log.membershipIndex) "
                + "\(raft.progress.map { "\($0.node) \($0.match) \($0.next) \($0.state)" })"
        }.joined(separator: "\n")
    }

    func words(_ letter: Letter) -> String {
        let what: String
        switch letter.body {
        case .append(let previous, let commit, let entries):
            let all = entries.map { "\($0.position)" }.joined(separator: " ")
            what = "append [\(all)] after \(previous), commit \(commit)"
        case .heartbeat(let beat): what = "heartbeat \(beat.round), commit \(beat.commit)"
        case .snapshot(let chunk): what = "snapshot at \(chunk.position) from \(chunk.offset)"
        default: what = "\(letter.body)"
        }
        return "\(letter.from) to \(letter.to), term \(letter.term): \(what)"
    }

    /// State machine safety (Raft fig. 3).
    mutating func noteCommitted(_ entries: [Entry], _ node: NodeID) {
        for entry in entries {
            if let known = committed[entry.index], known != entry {
                violations.append("\(node) applied \(entry.position), not \(known.position)")
            }
            committed[entry.index] = entry
        }
    }

    /// Leader completeness (Raft fig. 3).
    mutating func checkCompleteness(_ at: Int) {
        let raft = nodes[at].raft
        let held = Dictionary(
            uniqueKeysWithValues: everything(at).map { ($0.index, $0) })
        for (index, entry) in committed where index > raft.basePosition.index {
            if held[index] != entry {
                violations.append("leader \(raft.seat) lacks committed \(entry.position)")
            }
        }
        for (index, term) in promised where index > raft.basePosition.index {
            if raft.term(at: index) != term {
                violations.append("leader \(raft.seat) lacks promised \(index)@\(term)")
            }
        }
    }

    /// What a leader takes for committed is promised, applied or not.
    private mutating func notePromised(_ raft: Raft) {
        while promisedIndex < raft.commitIndex {
            promisedIndex = promisedIndex.next
            promised[promisedIndex] = raft.term(at: promisedIndex)
        }
        if let term = promised[raft.commitIndex], raft.term(at: raft.commitIndex) != term {
            violations.append("leader \(raft.seat) committed another \(raft.commitIndex)")
        }
    }

    /// ADR 2: any majority that contains the witness also contains a data voter whose disk holds
    /// all that the witness forgot; so in each half of every configuration that may yet decide.
    mutating func checkForgetting() {
        guard let foremost = nodes.map(\.raft).max(by: { $0.commitIndex < $1.commitIndex })
        else { return }
        for witness in witnesses {
            let at = Int(witness.rawValue) - 1
            let base = nodes[at].raft.basePosition
            let possible = foremost.log.memberships(from: foremost.commitIndex)
            for half in possible.flatMap(\.halves) where half.witness == witness {
                let lacking = half.data.count { !nodes[Int($0.rawValue) - 1].disk.holds(base) }
                if lacking + 1 >= half.quorum {
                    violations.append(
                        "\(lacking) of \(half.data) lack \(base), which the witness forgot")
                }
            }
            let own = everything(at).first { leadersByTerm[$0.term] == witness }
            if let own { violations.append("the witness appended \(own.position) as leader") }
        }
    }

    /// No two majorities of configurations that follow each other decide without each other.
    private mutating func checkConfigurations(_ raft: Raft) {
        let all = raft.log.memberships.map(\.membership)
        for pair in zip(all, all.dropFirst()).map({ [$0, $1] })
        where judged.insert(pair).inserted {
            let nodes = Set(pair.flatMap(\.members)).sorted()
            for chosen in 0..<(1 << nodes.count) {
                let some = nodes.indices.filter { chosen >> $0 & 1 == 1 }.map { nodes[$0] }
                let others = nodes.filter { !some.contains($0) }
                if pair[0].isQuorum(some), pair[1].isQuorum(others) {
                    violations.append("\(some) of \(pair[0]) and \(others) of \(pair[1])")
                    return
                }
            }
        }
    }

    /// Everybody is told the same.
    mutating func noteMembership(_ members: Membership, _ index: LogIndex, _ node: NodeID) {
        if members.outgoing != nil { violations.append("\(node) says of \(members) that it is") }
        if let known = membershipsDone[index], known != members {
            violations.append("\(node) takes \(members) for what is \(known)")
        }
        membershipsDone[index] = members
    }

    /// The whole log of a node, with what it hasn't saved yet.
    func everything(_ at: Int) -> [Entry] {
        var disk = nodes[at].disk
        for write in nodes[at].writes { disk.keep(write.change) }
        return disk.entries
    }

    mutating func check(_ at: Int) {
        let raft = nodes[at].raft
        if raft.durableIndex > raft.lastPosition.index { violations.append("durable past the end") }
        if raft.appliedIndex > raft.commitIndex { violations.append("applied past the commit") }
        if raft.role == .leader { notePromised(raft) }
        checkConfigurations(raft)
    }

    /// Log matching (Raft §5.3): equal (index, term) means equal prefixes.
    func logMismatch() -> String? {
        for a in nodes.indices {
            for b in nodes.indices where b > a {
                let (left, right) = (everything(a), everything(b))
                let other = Dictionary(uniqueKeysWithValues: right.map { ($0.index, $0) })
                var agreed = false
                for entry in left.reversed() {
                    guard let twin = other[entry.index] else { continue }
                    if agreed, twin != entry { return "\(a) and \(b) differ below \(entry.index)" }
                    if twin.term == entry.term { agreed = true }
                }
            }
        }
        return nil
    }
}

extension Membership {
    fileprivate var halves: [Electorate] { [voters] + (outgoing.map { [$0] } ?? []) }
}
