internal import Dispatch
internal import Glibc
internal import Mesh
internal import Simulator
internal import NIOConcurrencyHelpers
internal import Synchronization

/// Runs the seeds, each in one thread, on all processors, and adds up what they came to.
final class Runs: Sendable {
    private struct Sum: Sendable {
        var seeds: UInt64 = 0
        var simulated = Interval.zero
        var events: UInt64 = 0
        /// Seconds of processors spent in runs.
        var spent = 0.0
        var violations = 0
        var resyncs = 0
        var memberChanges = 0
        var upgrades = Upgrades()
        var mends = Mends()
        var imageMends = 0
        var cutPieces = 0
        var growths = 0
        var backups = 0
        var quorumsAlone = 0
        var shortfalls: UInt64 = 0
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
                guard goesOn(at, for: clock.now - began) else { return }
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
        let omissions = omissions(sum)
        if !omissions.isEmpty { print("TOO LITTLE: no \(omissions.joined(separator: ", no "))") }
        let idleMax = max(1, (sum.seeds + sum.shortfalls) / Self.seedsPerShortfallMin)
        return sum.violations == 0 && omissions.isEmpty && sum.shortfalls <= idleMax
    }

    private func goesOn(_ at: UInt64, for spent: Duration) -> Bool {
        guard let stretch = options.stretch else { return at < options.seeds }
        return spent < stretch
            && sum.withLockedValue { $0.violations } < Self.violationsMax
    }

    /// A long run ends with so many: each is shrunk, and they may well be one and the same.
    private static var violationsMax: Int { 10 }

    /// A run that did too little counts as none. Now and then weather is drawn that is nearly calm; more than
    /// one in so many is a fault of the simulator's.
    private static var seedsPerShortfallMin: UInt64 { 200 }

    /// What none of the runs had, so that nothing was said of it. So many in a row have resyncs among
    /// them, and so many everything.
    private func omissions(_ sum: Sum) -> [String] {
        guard !options.isCalm else { return [] }
        var omissions: [String] = []
        if sum.seeds >= 20, sum.resyncs == 0 {
            omissions.append("replica that was away for longer than its log")
        }
        if sum.seeds >= 20, sum.growths == 0 { omissions.append("volume that grew") }
        if sum.seeds >= 200, options.faults == nil {
            omissions += Fault.allCases.filter { sum.faults[$0] == nil }.map(\.rawValue)
        }
        return omissions
    }

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
            if shortfall == nil { sum.seeds += 1 } else { sum.shortfalls += 1 }
            sum.simulated = sum.simulated + report.simulated
            sum.events += report.events
            sum.resyncs += report.resyncs
            sum.memberChanges += report.memberChanges
            sum.upgrades.add(report.upgrades)
            sum.mends.add(report.mends)
            sum.imageMends += report.imageMends
            sum.cutPieces += report.cutPieces
            sum.growths += report.growths
            sum.backups += report.backups
            sum.quorumsAlone += report.quorumsAlone
            sum.spent += took
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
            + "\(report.takeovers) primaries, \(report.resyncs) resyncs, "
            + "\(report.memberChanges) changes of members, \(report.upgrades.installed) upgrades, \(report.mends.all) mends of logs, "
            + "\(report.imageMends) of image blocks, "
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
        return
            "{\"seeds\":\(sum.seeds),\"too_little\":\(sum.shortfalls),\"first\":\(options.first),\"simulated_s\":\(Int(sum.simulated.seconds)),"
            + "\"sim_per_real\":\(ratio),\"violations\":\(sum.violations),\"resyncs\":\(sum.resyncs),"
            + "\"member_changes\":\(sum.memberChanges),"
            + "\"upgrades\":{\"installed\":\(sum.upgrades.installed),"
            + "\"taken_back\":\(sum.upgrades.takenBack),"
            + "\"turned_away\":\(sum.upgrades.turnedAway),\"raised\":\(sum.upgrades.raised)},"
            + "\"quorums_alone\":\(sum.quorumsAlone),\"mends\":{\"here\":\(sum.mends.here),"
            + "\"by_peers\":\(sum.mends.byPeers),\"by_base\":\(sum.mends.byBase),\"cuts\":\(sum.mends.cuts)},"
            + "\"image_mends\":\(sum.imageMends),\"cut_pieces\":\(sum.cutPieces),\"backups\":\(sum.backups),\"growths\":\(sum.growths),"
            + "\"faults\":{\(counts.joined(separator: ","))}}"
    }
}
