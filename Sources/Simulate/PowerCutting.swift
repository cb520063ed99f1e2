internal import Glibc
internal import Planted
internal import PowerCut

/// `make powercut`: `simulate powercut`.
struct PowerCutting {
    static let usage = "usage: simulate powercut [--seed N] [--operations N] [--mutant NAME]"

    var seed: UInt64 = 1
    var operations = 2_000

    init(parsing arguments: some Sequence<String>) throws(Options.Refused) {
        var flags = Flags(arguments)
        while let flag = flags.next() {
            switch flag {
            case "--seed": seed = try flags.number(flag)
            case "--operations": operations = Int(clamping: try flags.number(flag))
            case "--mutant": try Self.plant(try flags.value(flag))
            default: throw .init(what: "\(flag) is not an option\n\(Self.usage)")
            }
        }
    }

    private static func plant(_ name: String) throws(Options.Refused) {
        #if PLANTED
            guard let bug = PlantedBug.allCases.first(where: { $0.name == name }) else {
                throw .init(what: "\(name) is no bug of a core")
            }
            Planted.plant(bug)
        #else
            throw .init(what: "\(name) is compiled by `make mutants` alone")
        #endif
    }

    /// True if every state recovered, and the script did all that it is for.
    func areSurvived() -> Bool {
        var cuts = PowerCuts(seed: seed, operations: operations)
        let report: PowerCuts.Report
        do {
            report = try cuts.run()
        } catch {
            print("simulate: the script of seed \(seed) fails without a power cut: \(error)")
            return false
        }
        let deeds = report.deeds.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        print(
            "\(deeds.joined(separator: ", ")); \(report.rotations) rotations, "
                + "\(report.recycled) into old segments")
        for violation in report.violations { print("VIOLATION: \(violation)") }
        if !report.omissions.isEmpty {
            print("TOO LITTLE: no \(report.omissions.joined(separator: ", no "))")
        }
        print(
            "figures: {\"operations\":\(report.operations),\"points\":\(report.points),"
                + "\"second_cuts\":\(report.secondCuts),\"recovered\":\(report.recovered)}")
        return report.points == report.recovered && report.omissions.isEmpty
    }
}
