internal import Dispatch
internal import Glibc
internal import Mesh
internal import Simulator
internal import NIOConcurrencyHelpers
internal import Synchronization

/// Runs the seeds, each in one thread, on all processors, and adds up what they came to.
final class Runs: Sendable {
    private struct Sum: Sendable {
        var simulated = Interval.zero
        var events: UInt64 = 0
        /// Seconds of processors spent in runs.
        var spent = 0.0
        var violations = 0
        var resyncs = 0
        var quorumsAlone = 0
        var shortfalls = 0
        var faults: [Fault: Int] = [:]
    }

    private let options: Options
    private let sum = NIOLockedValueBox(Sum())
    private let next = Atomic<UInt64>(0)

    init(_ options: Options) { self.options = options }

    /// False if a promise was broken, or a run did too little to count.
    func all() -> Bool {
        let clock = ContinuousClock()
        let began = clock.now
        DispatchQueue.concurrentPerform(iterations: options.jobs) { _ in
            while true {
                let at = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard at < options.seeds else { return }
                one(options.first + at)
            }
        }
        let took = (clock.now - began) / .seconds(1)
        let sum = sum.withLockedValue { $0 }
        print(
            "events per core-second: \(Int(Double(sum.events) / sum.spent)), simulated seconds per "
                + "core-second: \(Int(sum.simulated.seconds / sum.spent)), on \(options.jobs) cores"
        )
        print("figures: \(figures(sum, took))")
        // Nothing was said of how replicas come back if none had to.
        let isBlind = sum.resyncs == 0 && options.seeds >= Self.seedsWithResync && !options.isCalm
        if isBlind { print("TOO LITTLE: no replica was away for longer than its log") }
        return sum.violations == 0 && sum.shortfalls == 0 && !isBlind
    }

    /// So many seeds in a row have resyncs among them.
    private static var seedsWithResync: UInt64 { 20 }

    private func one(_ seed: UInt64) {
        let plan = options.plan(seed)
        let began = Self.processorSeconds
        var simulation = Simulation(plan)
        let report = simulation.run()
        let took = Self.processorSeconds - began
        let shortfall = options.isCalm ? nil : report.shortfall
        var lines = [line(report) + (shortfall.map { ": TOO LITTLE: \($0)" } ?? "")]
        if options.tellsStory { lines += report.story.map { "  \($0)" } }
        if let violation = report.violation {
            lines += explanation(violation, plan, spells: report.spells)
        }
        sum.withLockedValue { sum in
            sum.simulated = sum.simulated + report.simulated
            sum.events += report.events
            sum.resyncs += report.resyncs
            sum.quorumsAlone += report.quorumsAlone
            sum.spent += took
            if shortfall != nil { sum.shortfalls += 1 }
            if report.violation != nil { sum.violations += 1 }
            for (fault, count) in report.faults { sum.faults[fault, default: 0] += count }
            // Under the lock, so that no run's lines mix with another's.
            print(lines.joined(separator: "\n"))
        }
    }

    /// What this thread has had of its processor.
    private static var processorSeconds: Double {
        var time = timespec()
        guard unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private func line(_ report: Report) -> String {
        "seed \(report.plan.seed) \(report.plan.shape.rawValue): \(report.simulated) simulated, "
            + "\(report.operations) operations, \(report.flushes) flushes, \(report.reads) reads, "
            + "\(report.takeovers) primaries, \(report.resyncs) resyncs, \(report.damaged) damaged, "
            + "\(report.faultCount) faults, digest "
            + String(report.digest, radix: 16)
    }

    /// Leaves out what the violation does not need, and runs that once more with every letter told:
    /// the same plan goes the same way.
    private func explanation(_ violation: Violation, _ plan: Plan, spells: Int) -> [String] {
        let shrunk = Shrinking(plan, violation, spells: spells)
        var detailed = shrunk.plan
        detailed.isDetailed = true
        var simulation = Simulation(detailed)
        let again = "make simulate SEED=\(plan.seed) SHAPE=\(plan.shape.rawValue)\(options.choices)"
        let needed = (shrunk.plan.spells ?? []).sorted().map(String.init)
        return simulation.run().story.map { "  \($0)" } + [
            "seed \(plan.seed): VIOLATION at \(violation.at): \(violation.what)",
            "replay: \(again)",
            "shrunk in \(shrunk.runs) runs from \(spells) spells of bad weather to "
                + "\(needed.count), told above: \(shrunk.violation.what)",
            "replay: \(again) SPELLS=\(needed.isEmpty ? "none" : needed.joined(separator: ","))",
        ]
    }

    private func figures(_ sum: Sum, _ took: Double) -> String {
        let counts = Fault.allCases.map { "\"\($0.rawValue)\":\(sum.faults[$0] ?? 0)" }
        let ratio = Int(sum.simulated.seconds / took)
        return "{\"seeds\":\(options.seeds),\"simulated_s\":\(Int(sum.simulated.seconds)),"
            + "\"sim_per_real\":\(ratio),\"violations\":\(sum.violations),\"resyncs\":\(sum.resyncs),"
            + "\"quorums_alone\":\(sum.quorumsAlone),"
            + "\"faults\":{\(counts.joined(separator: ","))}}"
    }
}
