internal import Mesh
internal import Raft

/// The liveness phase (Buchanan's "healthy quorum", as TigerBeetle's simulator has it): a majority is
/// whole from here on and all others stay broken. It has to serve, whoever they are.
extension Simulation {
    /// The storm is over for a majority alone.
    mutating func clearForQuorum() {
        isStormy = false
        let healthy = drawQuorum()
        outcasts = Set(machines.indices).subtracting(healthy)
        let names = healthy.map { "\($0 + 1)" }.joined(separator: ", ")
        tell(nil, "the storm is over for nodes \(names)")
        for spell in spells.indices { calm(spell) }
        for at in healthy where machines[at].power == .down { boot(at) }
        readmit(healthy)
        for at in outcasts.sorted() { castOut(at) }
        if !outcasts.isEmpty { report.quorumsAlone += 1 }
    }

    /// All, where no majority is whole: who copies its volumes needs a source, and who mends its log peers.
    private mutating func drawQuorum() -> [Int] {
        let voters = recruiting.newest?.voters.all ?? []
        var able = voters.map { place(of: $0) }
            .filter { !machines[$0].isPartial && !machines[$0].isHurt && !machines[$0].isGone }
        let quorum = voters.count / 2 + 1
        guard !weather.faults.isEmpty, isSettled, able.count >= quorum else {
            return Array(machines.indices)
        }
        able.shuffle(using: &random)
        return able.prefix(quorum).sorted()
    }

    /// To nobody is it of any use, and if it still speaks, a nuisance.
    private mutating func castOut(_ at: Int) {
        let spell = spells.count
        spells.append(Spell(fault: .cut))
        let kind = Int(random.next() % 3)
        tell(at, ["is off", "is deaf", "is mute"][kind] + " from now on")
        if kind == 0, machines[at].isUp { cutPower(at) }
        for other in machines.indices where other != at {
            // A machine that is off may have a start before it: then it is alone.
            if kind < 2 {
                links[other, at].cut = spell
                // What is on its way to it does not arrive any more: on a slow link, for seconds.
                links[other, at].connection += 1
                links[other, at].resetBy = spell
            }
            if kind != 1 { links[at, other].cut = spell }
        }
    }

    /// What a majority alone has to do, it has done; now for the others.
    mutating func judgeQuorum() {
        guard hasRecovered else {
            let names = machines.indices.filter { !outcasts.contains($0) }.map { "\($0 + 1)" }
            return check(
                "liveness: nodes \(names.joined(separator: ", ")) are a healthy majority, and answered "
                    + "no flush within \(plan.quorumAlone)")
        }
        hasRecovered = false
        outcasts = []
    }
}
