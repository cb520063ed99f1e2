import Mesh
import Simulator
import Testing

/// A checker that never caught anything proves nothing: each bug is planted in turn, and has to be
/// found.
@Suite struct `Planted bugs` {
    struct Trap: Sendable, CustomTestStringConvertible {
        let mutant: Mutant
        let shape: Shape
        /// Where it is found soonest; should the cores go another way one day, the others follow.
        let seed: UInt64
        var testDescription: String { mutant.rawValue }
    }

    static let traps = [
        Trap(mutant: .acknowledgesBeforeSync, shape: .three, seed: 1),
        Trap(mutant: .lettersOvertakeSync, shape: .three, seed: 12),
        Trap(mutant: .skipsLogSync, shape: .three, seed: 35),
        Trap(mutant: .skipsImageSync, shape: .twoAndWitness, seed: 27),
        Trap(mutant: .votesTwice, shape: .twoAndWitness, seed: 7),
        Trap(mutant: .announcesTooMuch, shape: .five, seed: 38),
        Trap(mutant: .servesPastLease, shape: .twoAndWitness, seed: 18),
        Trap(mutant: .driftsBeyondBound, shape: .twoAndWitness, seed: 4),
        Trap(mutant: .flushesWithoutCommit, shape: .three, seed: 5),
        Trap(mutant: .losesReplicaWrite, shape: .five, seed: 2),
        Trap(mutant: .repeatsOperations, shape: .twoAndWitness, seed: 29),
        Trap(mutant: .compactsEarly, shape: .three, seed: 8),
    ]

    /// Tried after the trap's own seed.
    static let furtherSeeds: ClosedRange<UInt64> = 1...12

    @Test(arguments: traps)
    func `each is found within the fixed seeds`(trap: Trap) {
        var simulated = 0.0
        for seed in [trap.seed] + Array(Self.furtherSeeds) {
            var plan = Plan(seed: seed, shape: trap.shape)
            plan.mutant = trap.mutant
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

    @Test func `no mutant is left untried`() {
        #expect(Set(Self.traps.map(\.mutant)) == Set(Mutant.allCases))
    }
}
