import Testing

@testable import Admin

@Suite("What an operator sees of an upgrade")
struct LevelTests {
    private func member(
        _ node: UInt64, _ region: String, speaks: UInt64?, vote: MemberReport.Vote = .votes,
        liveness: MemberReport.Liveness = .alive
    ) -> MemberReport {
        MemberReport(
            node: node, region: region, role: .data, address: "a:1", isSelf: node == 1,
            liveness: liveness, linkUp: true, vote: vote, speaks: speaks)
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

    @Test func `one that was upgraded and died holds the mesh back, whatever it spoke`() {
        let level = LevelReport(
            mesh: 1,
            members: [
                member(1, "east", speaks: 2), member(2, "west", speaks: 2, liveness: .dead),
            ])
        #expect(
            level.words
                == "feature level 1, and 2 once all speak it: west (node 2) is not heard")
    }

    @Test func `what else a mesh may wait for is said`() {
        let level = LevelReport(
            mesh: 1, members: [member(1, "east", speaks: 2), member(2, "west", speaks: 2)])
        #expect(
            level.words
                == "feature level 1, and 2 once all speak it: it rises once no change of the members "
                + "is under way")
    }
}
