import Mesh
import Testing

@Suite("Ranges in a row")
struct RangesTests {
    @Test func `what meets becomes one, and what does not stays apart`() {
        var ranges: [Range<Int>] = []
        for next in [0..<2, 2..<4, 5..<6, 5..<9, 6..<7, 10..<11] { ranges.append(joining: next) }
        #expect(ranges == [0..<4, 5..<9, 10..<11])
    }
}
