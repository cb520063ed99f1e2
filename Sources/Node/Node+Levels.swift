internal import Decisions
internal import Gossip
package import Mesh
internal import Planted
internal import Raft
internal import Record
internal import Voting
internal import Wire

/// How a leader learns what the others speak.
struct LevelWatch: Sendable {
    /// Of each member the newest of its reports that was seen, and when it was first seen.
    private var reports: [NodeID: (version: HealthMap.Version, at: Instant?)] = [:]
    /// When the leader next looks.
    var nextAt = Instant.distantFuture
    /// Where a raise stands in the log that is not applied yet.
    var raisedAt = LogIndex.zero

    mutating func begin(at now: Instant) { (reports, nextAt, raisedAt) = ([:], now, .zero) }
    mutating func end() { (reports, nextAt) = ([:], .distantFuture) }

    /// What was told before this watch began is no news, however often it is seen.
    mutating func saw(_ node: NodeID, _ version: HealthMap.Version, at now: Instant) {
        guard let known = reports[node] else {
            reports[node] = (version, nil)
            return
        }
        if version > known.version { reports[node] = (version, now) }
    }

    func heardAt(_ node: NodeID) -> Instant? { reports[node]?.at }
}

/// The mesh's feature level rises through the log (as etcd's cluster version does): the leader
/// proposes the next one once every member was just heard to speak it, and it never falls.
extension Node {
    /// What every member speaks, as far as the log is applied here. What a later release brought is
    /// sent and proposed only from its level on.
    package var meshLevel: FeatureLevel { decisions.level }

    /// All that have to speak a level before the mesh does: who stands by may vote tomorrow.
    private var levelMembers: [NodeID] {
        let standsBy = decisions.witness.map { [$0.node] } ?? []
        let all = Set(voter.raft.membership.members + standsBy).sorted()
        return isPlanted(.raisesWithoutWitness) ? all.filter { !isWitness($0) } : all
    }

    private func isWitness(_ node: NodeID) -> Bool { decisions.witness?.node == node }

    mutating func driveLevel() {
        guard now >= levels.nextAt else { return }
        guard let next = meshLevel.next, next <= settings.speaks else { return levels.end() }
        levels.nextAt = now + settings.levelRetry
        for node in levelMembers {
            if let register = voter.gossip.healthMap[node] {
                levels.saw(node, register.version, at: now)
            }
        }
        guard knowsTheSeat, levels.raisedAt <= decisions.appliedIndex, isAtRest,
            laggards(behind: next).isEmpty || isPlanted(.raisesForMajority) && isMostly(next)
        else { return }
        let draft = Draft(.command, epoch: .zero, payload: Command.raiseLevel(next).encoded)
        guard propose([draft]) == nil, let accepted else { return }
        levels.raisedAt = accepted.first.index
    }

    /// While members change, who has to speak it is not settled.
    private var isAtRest: Bool {
        let membership = voter.raft.membership
        return decisions.wish == nil && !membership.isJoint && membership.learners.isEmpty
    }

    /// Who was not just heard to speak it, as far as a leader knows.
    private func laggards(behind level: FeatureLevel) -> [NodeID] {
        levelMembers.filter { node in
            guard node != seat else { return settings.speaks < level }
            let isFresh = levels.heardAt(node).map { now < $0 + settings.levelFreshness }
            return isFresh != true || !isSpoken(level, by: node)
        }
    }

    private func isMostly(_ level: FeatureLevel) -> Bool {
        let speaking = levelMembers.filter { $0 == seat || isSpoken(level, by: $0) }
        return voter.raft.membership.isQuorum(speaking)
    }

    /// Who left may come back with another program; and so may who mends its log: it would be kept out by
    /// all who could give it what it lacks. (Of one that flaps the gossip tells late that it is back.)
    private func isSpoken(_ level: FeatureLevel, by node: NodeID) -> Bool {
        guard voter.gossip.liveness(of: node) != .left, let report = report(of: node) else {
            return false
        }
        return report.speaks >= level && !report.isMending
    }

    /// Why a command can't be proposed yet; nil where the mesh speaks it.
    func levelRefusal(of command: Command) -> String? {
        guard command.level > meshLevel else { return nil }
        let behind = levelMembers.filter { node in
            if node == seat { return settings.speaks < command.level }
            return !isHeard(node) || !isSpoken(command.level, by: node)
        }
        let names = behind.map { node in
            if node == seat { return "node \(node) speaks \(settings.speaks)" }
            guard isHeard(node), let report = report(of: node) else {
                return "node \(node) is not heard"
            }
            return "node \(node) "
                + (report.isMending ? "mends its log" : "speaks \(report.speaks)")
        }
        return "this needs feature level \(command.level), and the mesh is at \(meshLevel): "
            + (names.isEmpty
                ? "it rises once no change of the members is under way"
                : names.joined(separator: ", "))
    }

    /// What an entry asks for that this program must not apply.
    func levelAhead(of command: Command, at index: LogIndex) -> LevelAhead? {
        guard case .raiseLevel(let level) = command, level > settings.speaks else { return nil }
        return LevelAhead(mesh: level, spoken: settings.speaks, place: "entry \(index) of the log")
    }

    /// The mesh spoke `former` before: whoever keeps peers out has to know.
    mutating func noteLevel(since former: FeatureLevel) {
        guard meshLevel > former else { return }
        out.append(.happened(.levelRaised(meshLevel)))
    }
}
