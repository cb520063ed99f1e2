import Mesh
import Simulator
import Testing

@Suite("Members that make the backups of one schedule (ADR 16)")
struct BackupTests {
    static let seeds: [(Shape, UInt64)] = [
        (.three, 61), (.three, 62), (.three, 63), (.twoAndWitness, 64), (.twoAndWitness, 65),
        (.five, 66),
    ]

    /// Claims are made and taken over by chance, whoever lives: what the log lets count does not rest on anybody's sense.
    @Test(arguments: seeds)
    func `one slot has one winner, whatever falls meanwhile`(shape: Shape, seed: UInt64) {
        var plan = Plan(seed: seed, shape: shape)
        plan.claimsBackups = true
        plan.faults = [.kill, .powerCut, .cut, .loss, .duplication, .pause]
        var simulation = Simulation(plan)
        let report = simulation.run()
        let story = report.story.suffix(60).map(\.description).joined(separator: "\n")
        #expect(report.violation == nil, "\(story)")
        #expect(report.backups >= 3)
    }
}
