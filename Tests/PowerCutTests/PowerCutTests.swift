import Mesh
import PowerCut
import Testing

@Suite struct `Power cuts at every step of a script` {
    /// The whole of it is `make powercut`.
    @Test func `every state recovers, with all that was promised`() throws {
        var cuts = PowerCuts(seed: 1, operations: 120)
        let report = try cuts.run()
        #expect(report.violations == [])
        #expect(report.points == report.recovered)
        #expect(report.points > 6 * report.operations)
    }
}
