import Testing

@testable import Admin

@Suite("What an operator sees of an upgrade")
struct LevelTests {
    private func member(
        _ node: UInt64, _ region: String, speaks: UInt64?, vote: MemberReport.Vote = .votes
    ) -> MemberReport {
        MemberReport(
            node: node, region: region, role: .data, address: "a:1", isSelf: node == 1,
            liveness: .alive, linkUp: true, vote: vote, speaks: speaks)
    }

    @Test func `nothing where all speak what the mesh does`() {
        let level = LevelReport(
            mesh: 2, members: [member(1, "east", speaks: 2), member(2, "west", speaks: 2)])
        #expect(level.highest == 2 && level.heldBackBy.isEmpty && level.words == nil)
        // One that is not heard is no news of an upgrade.
        let quiet = LevelReport(
            mesh: 2, members: [member(1, "east", speaks: 2), member(2, "west", speaks: nil)])
        #expect(quiet.words == nil)
    }

    @Test func `who holds the mesh back is named`() {
        let level = LevelReport(
            mesh: 1,
            members: [
                member(1, "east", speaks: 2), member(2, "west", speaks: 1),
                member(3, "north", speaks: nil), member(4, "south", speaks: 1, vote: .none),
            ])
        #expect(level.heldBackBy.map(\.node) == [2, 3])
        #expect(
            level.words
                == "feature level 1, and 2 once all speak it: west (node 2) speaks 1, north (node 3) "
                + "is not heard")
    }

    @Test func `a mesh that nobody holds back is about to rise`() {
        let level = LevelReport(
            mesh: 1, members: [member(1, "east", speaks: 2), member(2, "west", speaks: 2)])
        #expect(level.words == "feature level 1, and 2 once all speak it: it is about to rise")
    }
}
