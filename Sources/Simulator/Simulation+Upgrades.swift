internal import Decisions
internal import Gossip
internal import Mesh
internal import Node
internal import Raft
internal import Record
internal import VolumeCore
internal import Voting
internal import Wire

/// A mesh whose machines get a newer release one after the other, and now and then the former one back.
extension Simulation {
    /// How long the mesh has, when the storm is over, for what is left to upgrade and for the raise.
    static let upgradeMax = Interval.seconds(8)

    /// How long the leader may take for the raise once nobody comes or goes any more.
    static let raiseMax = Interval.seconds(6)

    var upgrades: Bool { weather.faults.contains(.upgrade) }

    /// One machine is restarted with another release.
    mutating func upgrade(_ spell: Int) -> Interval {
        let goesBack = random.chance(1, in: 4)
        let able = machines.indices.filter { machines[$0].power == .up && maySpare($0) }
        guard !able.isEmpty else { return .zero }
        let wanted = able.filter { (machines[$0].speaks == .spoken) == goesBack }
        let from = wanted.isEmpty ? able : wanted
        let at = from[pick(from.count)]
        bite(spell)
        if machines[at].speaks < .spoken {
            install(at)
        } else if goesBack {
            takeBack(at)
        } else {
            startAgain(at)
        }
        return .zero
    }

    /// There is nothing left to upgrade.
    private mutating func startAgain(_ at: Int) {
        tell(at, "is started anew")
        stop(at)
        agenda.push(time + random.interval(in: .milliseconds(50)...(.seconds(1))), .boot(at))
    }

    /// Somebody starts the former release on what the newer one has written.
    private mutating func takeBack(_ at: Int) {
        tell(at, "is started anew with the former release")
        stop(at)
        (machines[at].speaks, machines[at].wasTakenBack) = (.first, true)
        report.upgrades.takenBack += 1
        agenda.push(time + random.interval(in: .milliseconds(50)...(.seconds(1))), .boot(at))
        agenda.push(time + random.interval(in: .seconds(2)...(.seconds(10))), .install(at))
    }

    /// The newest release, where that stops no majority.
    mutating func install(_ at: Int) {
        guard machines[at].speaks < .spoken, !machines[at].isGone, !machines[at].isSpare
        else { return }
        if machines[at].isUp {
            guard maySpare(at) || isShutOut(at) else {
                return agenda.push(time + .milliseconds(300), .install(at))
            }
            // Nobody begins what can't be seen through to the end.
            guard isShutOut(at) || time + Self.upgradeMax <= judgementAt else { return }
            stop(at)
        }
        tell(at, "gets the newest release")
        (machines[at].speaks, machines[at].wasTakenBack) = (.spoken, false)
        report.upgrades.installed += 1
        agenda.push(time + random.interval(in: .milliseconds(50)...(.milliseconds(800))), .boot(at))
    }

    /// A process found a level that it does not speak. Its operator reads why, and installs what it says.
    mutating func turnedAway(_ ahead: LevelAhead, _ at: Int) {
        tell(at, "stops: \(ahead)")
        report.upgrades.turnedAway += 1
        // Nobody waits for one that had left: `checkRaise` judges by who was a member then.
        if !machines[at].wasTakenBack, !recruiting.left.contains(machines[at].id) {
            check(
                "a level is raised once all speak it: node \(machines[at].id), which was never taken "
                    + "back, stops: \(ahead)")
        }
        if machines[at].isUp { stop(at) }
        agenda.push(time + random.interval(in: .milliseconds(300)...(.seconds(2))), .install(at))
    }

    /// Its peers' transports refuse it, and it theirs.
    func isShutOut(_ at: Int) -> Bool { machines[at].speaks < levels.highest }

    /// Whether two machines' transports greet each other, as `Gate` judges. Inlined, or each letter would
    /// copy the whole simulation to ask it this.
    @inline(__always) func areGreeting(_ a: Int, _ b: Int) -> Bool {
        guard upgrades else { return true }
        let least = max(machines[a].meshLevel, machines[b].meshLevel)
        return min(machines[a].speaks, machines[b].speaks) >= least
    }

    /// What a witness says of itself, as its shell has it.
    mutating func announceWitnesses() {
        for at in machines.indices where machines[at].power == .up {
            guard let voter = machines[at].voter else { continue }
            let speaks = machines[at].speaks
            let report = Voting.Report(
                applied: .zero, last: .zero, hasRoom: true, speaks: speaks,
                mesh: min(voter.toldLevel, speaks))
            turnVoter(at, .gossip(.publish(report.encoded)))
        }
    }

    /// The storm is over for these: who is shut out could do nothing.
    mutating func readmit(_ healthy: [Int]) {
        for at in healthy where isShutOut(at) { install(at) }
    }

    /// The last ones are upgraded, one after the other.
    mutating func finishUpgrade() {
        for at in machines.indices {
            agenda.push(time + .milliseconds(250) * UInt64(at), .install(at))
        }
    }

    // What must hold.

    /// A raise is applied: each time by who speaks it, and the first time all members do.
    mutating func checkRaise(_ entry: Entry, _ at: Int) {
        guard case .raiseLevel(let level) = try? Command(parsing: entry.payload),
            let node = machines[at].agent?.node
        else { return }
        if machines[at].speaks < level {
            check(
                "nobody applies what it does not speak: node \(machines[at].id) speaks "
                    + "\(machines[at].speaks) and applies \(entry.position), which raises the mesh to "
                    + "\(level)")
        }
        // What it says it is may have been said before.
        guard node.meshLevel >= level, levels.raises(to: level, at: entry.index) else { return }
        tell(at, "raises the mesh to feature level \(level)")
        report.upgrades.raised += 1
        let standsBy = node.decisions.witness.map { [$0.node] } ?? []
        for member in Set(node.voter.raft.membership.members + standsBy).sorted() {
            let machine = machines[place(of: member)]
            guard machine.speaks < level, !machine.wasTakenBack, !machine.isGone else { continue }
            check(
                "a level is raised once all speak it: \(entry.position) raises the mesh to \(level), "
                    + "and node \(member) speaks \(machine.speaks)")
        }
    }

    /// It never falls: whoever has applied the raise, or has a base behind it, knows it.
    mutating func checkLevel(_ at: Int) {
        guard let agent = machines[at].agent else { return }
        let (applied, level) = (agent.node.decisions.appliedIndex, agent.node.decisions.level)
        let due = levels.level(at: applied)
        guard level < due else { return }
        check(
            "a level never falls: node \(machines[at].id) has applied \(applied) and "
                + "holds feature level \(level), where the log gives \(due)")
    }

    /// Liveness: all speak it, nobody comes or goes.
    mutating func judgeLevel() {
        guard isSettled, enrolledAt + Self.raiseMax <= time, !hasMissingMember,
            counting.allSatisfy({ $0.speaks == .spoken })
        else { return }
        let level = machines.compactMap { $0.agent?.node.meshLevel }.max() ?? .first
        guard level < .spoken else { return }
        check("liveness: the mesh is at feature level \(level), though all its members speak more")
    }

    private var hasMissingMember: Bool { counting.contains { !$0.isUp } }

    /// Members, and the witness that stands by.
    private var counting: [Machine] {
        let standsBy = newestDecisions?.witness.map { [$0.node] } ?? []
        let nodes = (recruiting.newest?.members ?? []) + standsBy
        return nodes.map { (node: NodeID) in machines[place(of: node)] }
    }
}
