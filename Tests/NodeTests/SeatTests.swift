import Decisions
import Gossip
import Mesh
import Node
import Raft
import Record
import Testing
import Voting

/// Cases in which the seat, the lease and what others say of a member must not be mixed up.
@Suite struct `What must not move the seat` {
    private func acting(_ shape: @escaping (inout Node.Settings) -> Void = { _ in }) throws -> Trio
    {
        var trio = try Trio(shape)
        #expect(trio.run(upTo: .seconds(2)) { $0.primary == 0 })
        return trio
    }

    @Test func `a wall clock that jumps an hour moves no lease and no time back (nasty case 15)`()
        throws
    {
        let hour: UInt64 = 3_600_000_000_000
        let start: UInt64 = 1_795_500_000_000_000_000
        var trio = try acting()
        for jump in [start, start + hour, start - hour, start] {
            for at in 0..<3 { trio.give(at, .wallClock(WallTime(jump), readAt: trio.now)) }
            for _ in 0..<200 {
                trio.run(.milliseconds(10))
                #expect(trio.primary == 0)
            }
        }
        #expect(trio.words(0) == ["open 1"] && trio.epoch(0) == Epoch(1))
        let times = trio.seats[0].entries.map(\.time)
        #expect(times == times.sorted() && (times.last ?? .zero) >= WallTime(start + hour))
    }

    /// Two are dead, and gossip knows it: still one of three decides nothing.
    @Test func `what gossip says of the dead shrinks no quorum (nasty case 34)`() throws {
        var trio = try acting()
        let before = trio.seats[0].node.voter.raft.membership
        for at in 1...2 { trio.crash(at) }
        let claims = ([2, 3] as [UInt64]).map {
            Gossip.Claim(NodeID($0), $0 == 2 ? .dead : .left, Incarnation(9), BootID($0))
        }
        for from in [2, 3] as [UInt64] {
            let message = Gossip.Message(
                sender: NodeID(from), incarnation: Incarnation(1), boot: BootID(from),
                body: .news, claims: claims)
            trio.give(0, .gossip(message, from: NodeID(from)))
        }
        let gossip = trio.seats[0].node.voter.gossip
        #expect(gossip.liveness(of: NodeID(2)) == .dead && gossip.liveness(of: NodeID(3)) == .left)
        let commit = trio.seats[0].node.voter.raft.commitIndex
        trio.run(.seconds(5))
        let raft = trio.seats[0].node.voter.raft
        #expect(raft.membership == before && raft.commitIndex == commit)
        #expect(raft.role != .leader && !trio.isOpen(0))
    }

    /// What it has applied may be older than what its predecessor was promised: it has to commit an
    /// entry of its own first.
    @Test func `a leader that can commit nothing asks nothing of the seat (nasty case 27)`() throws
    {
        var trio = try acting()
        trio.crash(0)
        #expect(trio.run(upTo: .seconds(4)) { $0.leader.map { $0 != 0 } ?? false })
        let next = try #require(trio.leader)
        trio.isCut = { _, to in to == next }
        let start = try #require(trio.seats[next].node.voter.raft.termStartIndex)
        var led = 0
        trio.run(upTo: .seconds(4)) { trio in
            guard trio.seats[next].node.voter.raft.role == .leader else { return true }
            led += 1
            return trio.seats[next].entries.last?.index != start
        }
        #expect(trio.seats[next].entries.last?.index == start)
        // Past the end of the lease, so that nothing but the commit was missing.
        #expect(led > 300)
    }

    @Test func `two failovers within one lease never serve at one time (nasty case 74)`() throws {
        let lease = try #require(LeaseTerms(length: .seconds(2)))
        var trio = try acting { settings in
            settings = Node.Settings(
                seat: settings.seat, members: settings.members, order: settings.order, lease: lease)
        }
        trio.run(.seconds(1))
        trio.crash(0)
        #expect(trio.run(upTo: .seconds(6)) { $0.isOpen(1) || $0.isOpen(2) })
        let second = try #require(trio.primary)
        // The first is back, and the second falls, before the lease that it holds is half over.
        try trio.restart(0)
        trio.run(.milliseconds(300))
        var until = Instant.zero
        for effect in trio.seats[second].told {
            switch effect {
            case .open(_, let end), .lease(let end): until = max(until, end)
            default: break
            }
        }
        trio.crash(second)
        #expect(trio.now < until)
        #expect(trio.run(upTo: .seconds(8)) { $0.primary != nil })
        #expect(trio.now > until, "the second's lease had ended")
        let third = try #require(trio.primary)
        #expect(trio.epoch(third) == Epoch(3))
    }

    @Test func `of two switchovers at once one waits for the other (nasty case 76)`() throws {
        var trio = try acting()
        trio.give(0, .operate(.init(1), .switchOver(Trio.regions[1])))
        trio.give(0, .operate(.init(2), .switchOver(Trio.regions[2])))
        trio.give(1, .operate(.init(3), .switchOver(Trio.regions[2])))
        trio.run(.milliseconds(300))
        #expect(trio.words(0) == ["open 1", "drain"], "nothing is drained twice")
        trio.give(0, .drained)
        #expect(trio.run(upTo: .seconds(1)) { $0.isOpen(1) })
        #expect(trio.words(2).isEmpty && trio.epoch(1) == Epoch(2))
        #expect(trio.run(upTo: .seconds(2)) { $0.words(1) == ["open 2", "drain"] })
        trio.give(1, .drained)
        #expect(trio.run(upTo: .seconds(2)) { $0.isOpen(2) })
        trio.run(.seconds(2))
        #expect(trio.primary == 2 && trio.epoch(2) == Epoch(3))
        #expect(trio.seats[0].answers.count == 2 && trio.seats[1].answers.count == 1)
    }

    @Test func `of two creations of one name one is refused, whoever asked (nasty case 76)`() throws
    {
        var trio = try acting()
        let create = Command.createVolume(name: "a", byteCount: 4_096, durability: .sync)
        for at in 0..<3 { trio.give(at, .operate(.init(1), .command(create))) }
        #expect(trio.run(upTo: .seconds(2)) { $0.seats.allSatisfy { $0.answers.count == 1 } })
        let answers = trio.seats.compactMap { $0.answers[.init(1)] }
        #expect(answers.count { if case .done(.created) = $0 { true } else { false } } == 1)
        #expect(answers.count { $0 == .done(.refused(.volumeExists("a"))) } == 2)
    }
}
