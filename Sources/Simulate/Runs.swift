internal import Mesh
internal import Simulator

/// Runs one seed after the other and adds up what they came to.
struct Runs {
    private let options: Options
    private var simulated = Interval.zero
    private var events: UInt64 = 0
    private var violations = 0
    private var shortfalls = 0
    private var faults: [Fault: Int] = [:]

    init(_ options: Options) { self.options = options }

    /// False if a promise was broken, or a run did too little to count.
    mutating func all() -> Bool {
        let clock = ContinuousClock()
        let began = clock.now
        for seed in options.first..<options.first + options.seeds { one(seed) }
        let took = (clock.now - began) / .seconds(1)
        print("events per core-second: \(Int(Double(events) / took))")
        print("figures: \(figures(took))")
        return violations == 0 && shortfalls == 0
    }

    private mutating func one(_ seed: UInt64) {
        let plan = options.plan(seed)
        var simulation = Simulation(plan)
        let report = simulation.run()
        simulated = simulated + report.simulated
        events += report.events
        for (fault, count) in report.faults { faults[fault, default: 0] += count }
        var line =
            "seed \(seed) \(plan.shape.rawValue): \(report.simulated) simulated, "
            + "\(report.operations) operations, \(report.flushes) flushes, \(report.reads) reads, "
            + "\(report.takeovers) primaries, \(report.faultCount) faults, digest "
            + String(report.digest, radix: 16)
        if let shortfall = report.shortfall, !options.isCalm {
            shortfalls += 1
            line += ": TOO LITTLE: \(shortfall)"
        }
        print(line)
        if options.tellsStory { for line in report.story { print("  \(line)") } }
        guard let violation = report.violation else { return }
        violations += 1
        explain(violation, plan)
    }

    /// Runs the seed once more with every letter told: the same seed goes the same way.
    private func explain(_ violation: Violation, _ plan: Plan) {
        var detailed = plan
        detailed.isDetailed = true
        var simulation = Simulation(detailed)
        for line in simulation.run().story { print("  \(line)") }
        print("seed \(plan.seed): VIOLATION at \(violation.at): \(violation.what)")
        let mutant = plan.mutant.map { " MUTANT=\($0.rawValue)" } ?? ""
        print("replay: make simulate SEEDS=1 SEED=\(plan.seed) SHAPE=\(plan.shape.rawValue)\(mutant)")
    }

    private func figures(_ took: Double) -> String {
        let counts = Fault.allCases.map { "\"\($0.rawValue)\":\(faults[$0] ?? 0)" }
        let ratio = Int(simulated.seconds / took)
        return "{\"seeds\":\(options.seeds),\"simulated_s\":\(Int(simulated.seconds)),"
            + "\"sim_per_real\":\(ratio),\"violations\":\(violations),"
            + "\"faults\":{\(counts.joined(separator: ","))}}"
    }
}
