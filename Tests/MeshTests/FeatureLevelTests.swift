import Mesh
import Testing

@Suite struct `Feature levels` {
    @Test func `one is a byte above zero`() {
        #expect(FeatureLevel(0) == nil && FeatureLevel(256) == nil)
        #expect(FeatureLevel(1) == .first && FeatureLevel(255)?.next == nil)
        #expect(FeatureLevel.first.next == FeatureLevel(2))
        #expect(FeatureLevel(3)?.previous == FeatureLevel(2))
        #expect(FeatureLevel.first.previous == .first)
    }

    @Test func `this program works beside its neighbour`() {
        #expect(FeatureLevel.lowest == .spoken.previous)
    }

    @Test func `who is behind is told what, where, and what to do`() {
        let ahead = LevelAhead(mesh: .spoken, spoken: .first, place: "entry 7 of the log")
        #expect(
            "\(ahead)".hasPrefix(
                "this mesh is at feature level 2, as entry 7 of the log says, and this program speaks "
                    + "1: install the release that the other nodes run"))
        #expect("\(ahead)".contains("a downgrade is refused"))
    }
}
