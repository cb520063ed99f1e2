import Mesh
import Simulator
import Testing

@Suite struct `A mesh in one thread` {
    static let seeds: [(Shape, UInt64)] = [
        (.three, 1), (.three, 2), (.three, 3), (.three, 4), (.three, 5),
        (.twoAndWitness, 6), (.twoAndWitness, 7), (.twoAndWitness, 8), (.twoAndWitness, 9),
        (.five, 10), (.five, 11), (.five, 12),
    ]

    @Test(arguments: seeds)
    func `the fixed seeds break no promise, and do enough to count`(
        shape: Shape, seed: UInt64
    ) {
        var simulation = Simulation(Plan(seed: seed, shape: shape))
        let report = simulation.run()
        #expect(report.violation == nil, "\(story(report))")
        #expect(report.shortfall == nil)
    }

    @Test func `replicas that were away for longer than the log come back among the fixed seeds`() {
        var resyncs = 0
        for (shape, seed) in Self.seeds where seed % 2 == 0 {
            var plan = Plan(seed: seed, shape: shape)
            plan.faults = [.absence, .kill, .powerCut]
            var simulation = Simulation(plan)
            let report = simulation.run()
            #expect(report.violation == nil, "seed \(seed): \(story(report))")
            resyncs += report.resyncs
        }
        #expect(resyncs >= 5, "\(resyncs)")
    }

    @Test(arguments: Shape.allCases)
    func `the same seed goes the same way, and another one another`(shape: Shape) {
        func run(_ seed: UInt64) -> Report {
            var plan = Plan(seed: seed, shape: shape)
            plan.stormy = .seconds(6)
            plan.recovery = .seconds(3)
            var simulation = Simulation(plan)
            return simulation.run()
        }
        let (first, again, other) = (run(7), run(7), run(8))
        #expect(first.digest == again.digest)
        #expect(first.story.map(\.description) == again.story.map(\.description))
        #expect(first.faults == again.faults)
        #expect(first.digest != other.digest)
    }

    @Test(arguments: Shape.allCases)
    func `a primary that loses power is replaced within a second of its fall`(shape: Shape) {
        var plan = Plan(seed: 11, shape: shape)
        plan.faults = []
        plan.stormy = .seconds(14)
        plan.recovery = .seconds(2)
        plan.lease = .milliseconds(400)
        plan.primaryFalls = [.milliseconds(4_100), .milliseconds(9_100)]
        var simulation = Simulation(plan)
        let report = simulation.run()
        #expect(report.violation == nil, "\(story(report))")
        #expect(report.outages.count == 2)
        #expect(report.outages.allSatisfy { $0 < .milliseconds(1_000) }, "\(report.outages)")
    }

    @Test func `a run that did too little does not pass for evidence`() {
        var plan = Plan(seed: 1, shape: .three)
        plan.faults = []
        plan.stormy = .seconds(2)
        plan.recovery = .seconds(1)
        var simulation = Simulation(plan)
        let report = simulation.run()
        #expect(report.violation == nil, "\(story(report))")
        #expect(report.shortfall != nil)
    }

    private func story(_ report: Report) -> String {
        report.story.suffix(60).map(\.description).joined(separator: "\n")
    }
}
