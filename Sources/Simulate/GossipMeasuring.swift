internal import Dispatch
internal import Glibc
internal import GossipSim
internal import Mesh
internal import NIOConcurrencyHelpers
internal import Synchronization

/// The simulated part of `make bench-gossip`: `simulate gossip`. One JSON object a line.
struct GossipMeasuring {
    static let usage = "usage: simulate gossip [--members N,N...] [--hours N] [--jobs N] [--seed N]"

    /// How much is simulated of each shape: what takes about as long to compute.
    private struct Effort {
        let deaths: Int
        let seconds: UInt64
    }

    private enum Task: Sendable {
        case detection(members: Int, Trial.Variant)
        case falseDeaths(members: Int, Trial.Variant, lossPermille: UInt64, starvesOne: Bool)
        /// The aim: none in so many hours, a twentieth lost and up to 200 ms on the way.
        case day(members: Int)
    }

    private var members = [3, 5, 7, 32, 128, 1_000]
    private var hours: UInt64 = 24
    private var jobs = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    private var seed: UInt64 = 1

    init(parsing arguments: some Sequence<String>) throws(Options.Refused) {
        var flags = Flags(arguments)
        while let flag = flags.next() {
            switch flag {
            case "--members":
                members = try flags.value(flag).split(separator: ",").map(Self.count)
            case "--hours": hours = try flags.number(flag)
            case "--jobs": jobs = max(1, Int(clamping: try flags.number(flag)))
            case "--seed": seed = try flags.number(flag)
            default: throw .init(what: "\(flag) is not an option\n\(Self.usage)")
            }
        }
    }

    private static func count(_ text: some StringProtocol) throws(Options.Refused) -> Int {
        guard let count = Int(text), (2...1_000).contains(count) else {
            throw .init(what: "--members needs numbers from 2 to 1000, not \(text)")
        }
        return count
    }

    private static func effort(_ members: Int) -> Effort {
        switch members {
        case ...7: Effort(deaths: 300, seconds: 3_600)
        case ...32: Effort(deaths: 100, seconds: 600)
        case ...128: Effort(deaths: 60, seconds: 120)
        default: Effort(deaths: 30, seconds: 20)
        }
    }

    /// The longest first, so that no core is left alone with them.
    private var tasks: [Task] {
        var tasks: [Task] = []
        for count in members where count <= 7 && hours > 0 { tasks.append(.day(members: count)) }
        for count in members.sorted(by: >) {
            for variant in Trial.Variant.allCases {
                tasks.append(.detection(members: count, variant))
                for loss in [0, 50, 100, 200, 300] as [UInt64] {
                    tasks.append(
                        .falseDeaths(
                            members: count, variant, lossPermille: loss, starvesOne: false))
                }
                tasks.append(
                    .falseDeaths(members: count, variant, lossPermille: 0, starvesOne: true))
            }
        }
        return tasks
    }

    func run() -> Bool {
        let tasks = tasks
        let next = Atomic<Int>(0)
        let isWhole = NIOLockedValueBox(true)
        DispatchQueue.concurrentPerform(iterations: jobs) { _ in
            while true {
                let at = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard at < tasks.count else { return }
                let line = measure(tasks[at])
                isWhole.withLockedValue { isWhole in
                    isWhole = isWhole && line != nil
                    print(
                        line ?? "simulate: a death was not noticed or not taken back: \(tasks[at])")
                    fflush(nil)
                }
            }
        }
        return isWhole.withLockedValue { $0 }
    }

    private func measure(_ task: Task) -> String? {
        switch task {
        case .detection(let members, let variant):
            let trial = Trial(members: members, variant: variant, seed: seed)
            guard let found = trial.detections(deaths: Self.effort(members).deaths) else {
                return nil
            }
            let (first, all) = (found.map(\.first.seconds), found.map(\.all.seconds))
            return "{\"what\":\"detection\",\"members\":\(members),\"variant\":\"\(variant)\","
                + "\"deaths\":\(found.count),\"first_median_s\":\(Self.part(first, 500)),"
                + "\"first_p99_s\":\(Self.part(first, 990)),\"all_median_s\":\(Self.part(all, 500)),"
                + "\"all_p99_s\":\(Self.part(all, 990))}"
        case .falseDeaths(let members, let variant, let loss, let starvesOne):
            var weather = Trial.Weather()
            weather.lossPermille = loss
            weather.starvesOne = starvesOne
            let trial = Trial(members: members, variant: variant, seed: seed)
            let found = trial.falseDeaths(
                in: weather, for: .seconds(Self.effort(members).seconds))
            return "{\"what\":\"false\",\"members\":\(members),\"variant\":\"\(variant)\","
                + "\"loss_percent\":\(loss / 10),\"starves_one\":\(starvesOne),"
                + Self.counts(found) + "}"
        case .day(let members):
            var weather = Trial.Weather()
            weather.lossPermille = 50
            weather.delay = Interval.microseconds(200)...Interval.milliseconds(200)
            let began = ContinuousClock().now
            let found = Trial(members: members, variant: .whole, seed: seed)
                .falseDeaths(in: weather, for: .seconds(hours * 3_600))
            let took = (ContinuousClock().now - began) / .seconds(1)
            return "{\"what\":\"day\",\"members\":\(members),\"hours\":\(hours),"
                + Self.counts(found) + ",\"took_s\":\(Int(took))}"
        }
    }

    private static func counts(_ found: Trial.FalseDeaths) -> String {
        "\"false\":\(found.onHealthy),\"on_starved\":\(found.onStarved),"
            + "\"node_hours\":\(rounded(found.nodeHours)),\"per_node_hour\":\(rounded(found.perNodeHour))"
    }

    /// What so many of a thousand are at most.
    private static func part(_ values: [Double], _ permille: Int) -> Double {
        let at = min(values.count - 1, (values.count * permille + 999) / 1_000 - 1)
        return rounded(values.sorted()[max(0, at)])
    }

    private static func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
}
