internal import Glibc
internal import Mesh
internal import Simulator

/// Looks for one mutant, seed after seed, until a promise is broken. `Tests/Rig/mutants.py` reads the
/// lines, and finds the seed of a process that an invariant stopped.
struct Quarry {
    private let options: Options

    init(_ options: Options) { self.options = options }

    func isFound() -> Bool {
        for seed in options.first..<options.first + options.seeds {
            let plan = options.plan(seed)
            say("hunting: seed \(seed) \(plan.shape.rawValue)")
            var simulation = Simulation(plan)
            let report = simulation.run()
            say("simulated: \(report.simulated.seconds)")
            guard let violation = report.violation else { continue }
            say("found: \(violation.what)")
            return true
        }
        return false
    }

    /// At once: what stops the process loses what it had not written.
    private func say(_ line: String) {
        print(line)
        fflush(nil)
    }
}
