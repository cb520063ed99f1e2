import Decisions
import Mesh
import Raft
import Testing
import Voting

@testable import Node

@Suite struct `The story of a takeover` {
    private func acting(_ shape: @escaping (inout Node.Settings) -> Void = { _ in }) throws -> Trio
    {
        var trio = try Trio(shape)
        for at in 0..<3 {
            trio.give(at, .wallClock(WallTime(1_795_500_000_000_000_000), readAt: trio.now))
        }
        #expect(trio.run(upTo: .seconds(2)) { $0.primary == 0 })
        trio.run(.seconds(10))
        return trio
    }

    private func whole(_ takeover: Takeover) -> Interval {
        takeover.phases.reduce(.zero) { $0 + $1.took }
    }

    private func told(_ trio: Trio, _ at: Int) -> [Epoch] {
        trio.seats[at].happened.compactMap { happening in
            if case .takeover(let takeover) = happening { takeover.epoch } else { nil }
        }
    }

    /// A sign of the primary is on its way for a millisecond, and as old as a heartbeat.
    private func expect(_ takeover: Takeover, since fault: Instant, in trio: Trio) {
        let took = trio.now.since(fault)
        #expect(whole(takeover) + .milliseconds(1) >= took)
        #expect(whole(takeover) <= took + .milliseconds(100))
    }

    @Test func `the phases measure from the last sign of the primary's rule to the opening`()
        throws
    {
        var trio = try acting()
        trio.crash(0)
        let fell = trio.now
        #expect(trio.run(upTo: .seconds(3)) { $0.primary != nil })
        let primary = try #require(trio.primary)
        let last = try #require(trio.seats[primary].node.takeovers.last)
        #expect(last.phases.map(\.name) == ["detect", "elect", "lease", "promote", "open"])
        expect(last, since: fell, in: trio)
    }

    @Test func `a switchover that fails tells of itself, and a later takeover of itself alone`()
        throws
    {
        var trio = try acting()
        trio.give(0, .operate(.init(1), .switchOver(Trio.regions[2])))
        trio.isCut = { from, to in from == 2 || to == 2 }
        trio.give(0, .drained)
        let drained = trio.now
        #expect(trio.run(upTo: .seconds(5)) { $0.isOpen(0) && $0.epoch(0) == Epoch(2) })
        let back = try #require(trio.seats[0].node.takeovers.last)
        #expect(back.to == NodeID(1) && whole(back) == trio.now.since(drained))
        trio.isCut = { _, _ in false }
        trio.run(.seconds(10))
        trio.crash(0)
        let fell = trio.now
        #expect(trio.run(upTo: .seconds(3)) { $0.primary != nil })
        let primary = try #require(trio.primary)
        expect(try #require(trio.seats[primary].node.takeovers.last), since: fell, in: trio)
    }

    @Test func `the time of a leader that never becomes primary belongs to the takeover`() throws {
        let lease = try #require(LeaseTerms(length: .seconds(2)))
        // Node 2 stands first, and node 3 should rather be primary: it gets the leadership while
        // the lease runs on.
        var trio = try acting { settings in
            settings = Node.Settings(
                seat: settings.seat, members: settings.members,
                order: [1, 3, 2].map { NodeID($0) }, lease: lease)
        }
        trio.crash(0)
        let fell = trio.now
        #expect(trio.run(upTo: .seconds(1)) { $0.leader == 1 })
        #expect(trio.run(upTo: .seconds(5)) { $0.primary != nil })
        #expect(trio.primary == 2)
        let leaders = trio.seats[2].happened.compactMap { happening in
            if case .raft(.follower, _, let leader) = happening { leader } else { nil }
        }
        #expect(leaders.last == NodeID(2), "it heard another one lead before it took over")
        expect(try #require(trio.seats[2].node.takeovers.last), since: fell, in: trio)
    }

    @Test func `steps of long ago count in no later story`() {
        func at(_ milliseconds: UInt64) -> Instant {
            Instant(nanoseconds: milliseconds * 1_000_000)
        }
        var story = TakeoverStory()
        story.stood(at: at(10))
        story.led(at: at(20))
        story.claimed(at: at(30))
        story.promoted(at: at(40))
        story.ruled(at: at(100_000))
        story.claimed(at: at(100_500))
        story.promoted(at: at(100_510))
        #expect(
            story.phases(openedAt: at(100_530)) == [
                Takeover.Phase(name: "lease", took: .milliseconds(500)),
                Takeover.Phase(name: "promote", took: .milliseconds(10)),
                Takeover.Phase(name: "open", took: .milliseconds(20)),
            ])
    }

    @Test func `a first primary's story begins with its first step`() throws {
        var trio = try Trio()
        #expect(trio.run(upTo: .seconds(2)) { $0.primary == 0 })
        let first = try #require(trio.seats[0].node.takeovers.last)
        #expect(first.reason == .start && first.from == nil)
        #expect(first.phases.map(\.name) == ["elect", "lease", "promote", "open"])
    }

    @Test func `a promotion is told once, and not again by a process that finds it in its log`()
        throws
    {
        var trio = try acting()
        #expect((0..<3).map { told(trio, $0) } == [[Epoch(1)], [Epoch(1)], [Epoch(1)]])
        let promoted = try #require(trio.seats[1].node.takeovers.last).at
        trio.crash(1)
        trio.run(.seconds(5))
        try trio.restart(1)
        trio.give(1, .wallClock(WallTime(1_795_500_900_000_000_000), readAt: trio.now))
        #expect(trio.run(upTo: .seconds(2)) { $0.epoch(1) == Epoch(1) })
        #expect(told(trio, 1).isEmpty)
        #expect(trio.seats[1].node.takeovers.map(\.at) == [promoted])
        trio.crash(0)
        #expect(trio.run(upTo: .seconds(5)) { $0.primary != nil && $0.epoch(1) == Epoch(2) })
        #expect(told(trio, 1) == [Epoch(2)])
    }

    @Test func `a leader that hands over on purpose says so, and one that is deposed says that`()
        throws
    {
        func reasons(_ trio: Trio) -> [SteppedDown] {
            trio.seats[0].happened.compactMap { happening in
                if case .steppedDown(let why) = happening { why } else { nil }
            }
        }
        var trio = try acting()
        trio.give(0, .operate(.init(1), .switchOver(Trio.regions[2])))
        trio.give(0, .drained)
        #expect(trio.run(upTo: .seconds(1)) { $0.isOpen(2) })
        #expect(reasons(trio) == [.transferred(to: NodeID(3))])

        trio = try acting()
        trio.isCut = { from, to in (from == 0) != (to == 0) }
        trio.run(.seconds(3))
        let deposed = reasons(trio)
        #expect(deposed.count == 1)
        if case .transferred = deposed.first { Issue.record("nothing was handed over") }
    }
}
