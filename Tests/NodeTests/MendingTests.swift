import Decisions
import Mesh
import Raft
import Record
import Testing
import Voting
import Wire

@testable import Node

@Suite("A log that is damaged, as its node and its peers see it")
struct MendingTests {
    @Test func `one whose volumes are busy gives a base of all that it was handed`() throws {
        var trio = try Trio()
        trio.seats[1].isBusy = true
        trio.run(upTo: .seconds(5)) { $0.primary == 0 }
        let node = trio.seats[1].node
        let reached = node.decisions.appliedIndex
        #expect(node.voter.raft.appliedIndex < reached)
        let base = try #require(node.base(atLeast: reached))
        #expect(base.position.index == reached)
        let decisions = try Decisions(parsing: base.parsed().state.contents)
        #expect(decisions == node.decisions)
        #expect(node.base(atLeast: reached.next) == nil)
    }

    @Test func `a peer that is back is asked at once, however long it was away`() throws {
        var trio = try Trio()
        trio.carriesGossip = true
        trio.run(.seconds(5))
        trio.damage(1)
        trio.crash(0)
        trio.run(.seconds(60))
        trio.seats[1].mendsAsked = []
        trio.run(.seconds(5))
        let idle = trio.seats[1].mendsAsked.filter { $0 == NodeID(1) }.count
        #expect(idle <= 1)
        try trio.restart(0)
        trio.seats[1].mendsAsked = []
        #expect(trio.run(upTo: .seconds(4)) { $0.seats[1].mendsAsked.contains(NodeID(1)) })
    }
}
