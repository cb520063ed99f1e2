import Mesh
import Simulator
import Testing

@Suite("A log's disk that lies")
struct RotTests {
    static let seeds: [(Shape, UInt64)] = [
        (.three, 21), (.three, 22), (.three, 23), (.three, 24), (.twoAndWitness, 25),
        (.twoAndWitness, 26), (.twoAndWitness, 27), (.five, 28), (.five, 29),
    ]
    static let lies: [Fault] = [.bitRot, .lostWrite, .misdirectedWrite]

    /// A fault that never struck, or a mend that never was, would prove nothing.
    @Test func `whatever it loses is had again, and no promise is broken`() {
        var faults: [Fault: Int] = [:]
        var mends = Mends()
        for (shape, seed) in Self.seeds {
            var plan = Plan(seed: seed, shape: shape)
            plan.faults = Set(Self.lies)
            var simulation = Simulation(plan)
            let report = simulation.run()
            let story = report.story.suffix(60).map(\.description).joined(separator: "\n")
            #expect(report.violation == nil, "seed \(seed) of \(shape.rawValue): \(story)")
            faults.merge(report.faults) { $0 + $1 }
            mends.add(report.mends)
        }
        for fault in Self.lies { #expect(faults[fault] ?? 0 >= 10, "\(fault.rawValue)") }
        #expect(mends.here >= 10 && mends.byPeers >= 10, "\(mends)")
        print("lies \(faults), \(mends)")
    }
}
