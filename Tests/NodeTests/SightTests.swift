import Decisions
import Mesh
import Node
import Raft
import Testing
import Voting

@Suite struct `What a node saw of another's lease` {
    private static let sightMax = Trio.leaseLength + Node.renewalTolerance

    private func acting() throws -> Trio {
        var trio = try Trio()
        #expect(trio.run(upTo: .seconds(2)) { $0.primary == 0 })
        trio.run(.seconds(1))
        return trio
    }

    @Test func `a primary that renews is seen to, all the time`() throws {
        var trio = try acting()
        for _ in 0..<200 {
            trio.run(.milliseconds(10))
            #expect(trio.seats[1].node.seesLease(at: trio.now))
        }
    }

    @Test func `a lease that is renewed no more is seen for its length and the tolerance`() throws {
        var trio = try acting()
        trio.isCut = { _, to in to == 1 }
        trio.run(.milliseconds(2))
        let seen = try #require(trio.seats[1].node.renewalAge(at: trio.now))
        let left = Self.sightMax - seen
        #expect(trio.seats[1].node.seesLease(at: trio.now + left))
        #expect(!trio.seats[1].node.seesLease(at: trio.now + left + .milliseconds(1)))
    }

    @Test func `what a restarted process finds in its log is no renewal that it saw`() throws {
        var trio = try acting()
        trio.crash(1)
        trio.isCut = { _, to in to == 1 }
        trio.run(.milliseconds(10))
        try trio.restart(1)
        #expect(trio.seats[1].node.renewalAge(at: trio.now) == nil)
        #expect(!trio.seats[1].node.seesLease(at: trio.now))
        trio.isCut = { _, _ in false }
        #expect(trio.run(upTo: .seconds(1)) { $0.seats[1].node.seesLease(at: $0.now) })
    }

    @Test func `a new leader knows nothing of a follower that has not answered it`() throws {
        var trio = try acting()
        trio.crash(0)
        #expect(trio.run(upTo: .seconds(2)) { $0.primary != nil })
        let leader = try #require(trio.leader)
        let gone = try #require(
            trio.seats[leader].node.voter.raft.progress.first { $0.node == NodeID(1) })
        #expect(gone.knownMatch == nil && !gone.hasAnswered)
        let other = try #require(
            trio.seats[leader].node.voter.raft.progress.first { $0.node != NodeID(1) })
        #expect(other.knownMatch != nil && other.hasAnswered)
    }
}
