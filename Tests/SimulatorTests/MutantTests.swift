import Mesh
import Simulator
import Testing

/// A checker that never caught anything proves nothing: each bug is planted in turn, and has to be
/// found.
@Suite struct `Planted bugs` {
    struct Trap: Sendable, CustomTestStringConvertible {
        let mutant: Mutant
        let shape: Shape
        /// The weather in which it shows soonest.
        let faults: Set<Fault>
        var testDescription: String { mutant.rawValue }
    }

    static let traps = [
        Trap(mutant: .acknowledgesBeforeSync, shape: .three, faults: [.powerCut, .diskStall]),
        Trap(mutant: .lettersOvertakeSync, shape: .three, faults: [.powerCut, .diskStall]),
        Trap(mutant: .skipsLogSync, shape: .three, faults: [.powerCut]),
        Trap(mutant: .skipsImageSync, shape: .twoAndWitness, faults: [.powerCut]),
        Trap(mutant: .votesTwice, shape: .three, faults: [.cut, .slowLink]),
        Trap(mutant: .announcesTooMuch, shape: .five, faults: [.cut]),
        Trap(mutant: .servesPastLease, shape: .twoAndWitness, faults: [.pause]),
        Trap(mutant: .driftsBeyondBound, shape: .three, faults: [.cut, .pause]),
        Trap(mutant: .flushesWithoutCommit, shape: .three, faults: [.powerCut, .cut]),
        Trap(mutant: .losesReplicaWrite, shape: .five, faults: [.kill]),
        Trap(mutant: .repeatsOperations, shape: .twoAndWitness, faults: [.duplication]),
        Trap(mutant: .compactsEarly, shape: .three, faults: [.powerCut]),
    ]

    static let seeds: ClosedRange<UInt64> = 1...30

    @Test(arguments: traps)
    func `each is found within the fixed seeds`(trap: Trap) {
        var simulated = 0.0
        for seed in Self.seeds {
            var plan = Plan(seed: seed, shape: trap.shape)
            plan.mutant = trap.mutant
            plan.faults = trap.faults
            var simulation = Simulation(plan)
            let report = simulation.run()
            simulated += report.simulated.seconds
            guard let violation = report.violation else { continue }
            print(
                "\(trap.mutant.rawValue): seed \(seed) of \(trap.shape.rawValue), "
                    + "\(simulated) simulated seconds: \(violation.what)")
            return
        }
        Issue.record("\(trap.mutant.rawValue) was not found in \(simulated) simulated seconds")
    }

    /// Sixty seconds of storm, and one power cut is to blame.
    @Test func `what a violation needs of the weather is found, and breaks the same promise again`()
    {
        for seed in Self.seeds {
            var plan = Plan(seed: seed, shape: .three)
            plan.mutant = .skipsLogSync
            plan.faults = [.powerCut, .pause, .slowLink]
            var simulation = Simulation(plan)
            let report = simulation.run()
            guard let violation = report.violation, report.spells > 4 else { continue }
            let shrunk = Shrinking(plan, violation, spells: report.spells)
            #expect(shrunk.plan.spells?.count ?? .max <= 2)
            #expect(shrunk.runs <= Shrinking.runsMax)
            var again = Simulation(shrunk.plan)
            #expect(again.run().violation == shrunk.violation)
            return
        }
        Issue.record("no seed broke a promise")
    }

    @Test func `no mutant is left untried`() {
        #expect(Set(Self.traps.map(\.mutant)) == Set(Mutant.allCases))
    }
}
