import Mesh
import Testing

@testable import Simulator

@Suite("A mesh that gets a newer release")
struct UpgradeTests {
    static let seeds: [(Shape, UInt64)] = [
        (.three, 31), (.three, 32), (.three, 33), (.twoAndWitness, 34), (.twoAndWitness, 35),
        (.twoAndWitness, 36), (.five, 37),
    ]

    /// Machines that are upgraded at once would prove nothing, nor would releases that nobody took back.
    @Test func `rises once all speak it, and turns away who does not any more`() {
        var upgrades = Upgrades()
        for (shape, seed) in Self.seeds {
            var plan = Plan(seed: seed, shape: shape)
            plan.faults = [.upgrade, .kill, .powerCut, .cut]
            var simulation = Simulation(plan)
            let report = simulation.run()
            let story = report.story.suffix(60).map(\.description).joined(separator: "\n")
            #expect(report.violation == nil, "seed \(seed) of \(shape.rawValue): \(story)")
            upgrades.add(report.upgrades)
        }
        #expect(upgrades.raised >= Self.seeds.count, "\(upgrades)")
        #expect(upgrades.installed >= 20 && upgrades.takenBack >= 3, "\(upgrades)")
        print("\(upgrades)")
    }

    /// One that mends its own log gives its base to whoever asks: so it may learn what came after it.
    @Test(arguments: [false, true])
    func `who had left before the raise may be turned away, a member may not`(hasLeft: Bool) {
        var plan = Plan(seed: 31, shape: .three)
        plan.faults = [.upgrade, .members]
        var simulation = Simulation(plan)
        let at = 2
        if hasLeft { simulation.recruiting.left.insert(simulation.machines[at].id) }
        #expect(simulation.machines[at].speaks == .first && !simulation.machines[at].wasTakenBack)
        simulation.turnedAway(LevelAhead(mesh: .spoken, spoken: .first, place: "the base"), at)
        #expect((simulation.report.violation == nil) == hasLeft)
        #expect(simulation.report.upgrades.turnedAway == 1)
    }
}
