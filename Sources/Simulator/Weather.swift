internal import Mesh

/// One fault under way, or over.
struct Spell {
    let fault: Fault
    /// Whether it really changed something.
    var hasBitten = false
    var isOver = false
    /// The machine that it strikes, where it is one.
    var machine: Int?
}

/// Which faults a run draws from, and how often: another mix in each run (swarm testing, Groce
/// 2012), so that no fault hides behind another.
struct Weather {
    let faults: [Fault]
    let pause: ClosedRange<Interval>

    init(_ plan: Plan, _ chance: inout SeededRandom) {
        var chosen: [Fault] = []
        for fault in Fault.allCases where plan.faults.contains(fault) && chance.chance(1, in: 2) {
            chosen.append(fault)
        }
        let all = Fault.allCases.filter { plan.faults.contains($0) }
        while chosen.count < min(3, all.count) {
            let fault = all[Int(chance.next() % UInt64(all.count))]
            if !chosen.contains(fault) { chosen.append(fault) }
        }
        faults = chosen
        // Many spells find no victim: with longer pauses some mixes don't come to `Report.faultsMin`.
        let least = Interval.milliseconds(UInt64.random(in: 100...500, using: &chance))
        pause = least...(least * 4)
    }
}
