import Decisions
import Mesh
import Node
import Raft
import Record
import Testing

@Suite struct `The primary's seat` {
    private func acting() throws -> Trio {
        var trio = try Trio()
        #expect(trio.run(upTo: .seconds(2)) { $0.primary == 0 })
        return trio
    }

    @Test func `the preferred node takes the first seat`() throws {
        let trio = try acting()
        #expect(trio.words(0) == ["open 1"])
        #expect(trio.epoch(1) == Epoch(1))
    }

    @Test func `another one waits for the preferred node a while, and then takes the seat`() throws
    {
        var trio = try Trio()
        trio.crash(0)
        trio.run(.seconds(2))
        #expect(trio.leader != nil && trio.primary == nil)
        #expect(trio.run(upTo: .seconds(3)) { $0.primary != nil })
    }

    @Test func `the exports open only once a renewal of this node's own has committed`() throws {
        var trio = try Trio()
        #expect(trio.run(upTo: .seconds(2)) { $0.epoch(0) == Epoch(1) })
        // Promoted, and nobody acknowledges anything any more.
        trio.isCut = { from, to in from == 0 || to == 0 }
        trio.run(.milliseconds(200))
        #expect(trio.words(0).isEmpty)
        trio.isCut = { _, _ in false }
        #expect(trio.run(upTo: .seconds(5)) { $0.primary != nil })
    }

    @Test func `an idle primary renews its lease before it ends`() throws {
        var trio = try acting()
        var until: Instant?
        for _ in 0..<200 {
            trio.run(.milliseconds(10))
            for case .open(_, let end) in trio.seats[0].told { until = max(until ?? .zero, end) }
            for case .lease(let end) in trio.seats[0].told { until = max(until ?? .zero, end) }
            #expect(until.map { trio.now < $0 } == true)
        }
    }

    @Test func `a takeover waits for the lease's end, and comes soon behind it`() throws {
        var trio = try acting()
        trio.run(.seconds(1))
        trio.crash(0)
        let fell = trio.now
        #expect(trio.run(upTo: .seconds(3)) { $0.primary != nil })
        let took = trio.now.since(fell)
        #expect(trio.primary != 0)
        // The last renewal is at most a third of the lease old when the primary falls.
        #expect(took > Trio.leaseLength * 2 / 3)
        #expect(took < .milliseconds(1_000))
        #expect(trio.epoch(1) == Epoch(2))
    }

    @Test func `renewals that came in an offer are waited for like a leader's`() throws {
        var trio = try Trio(lease: .seconds(2))
        #expect(trio.run(upTo: .seconds(2)) { $0.primary == 0 })
        trio.isCut = { from, to in from == 1 || to == 1 }
        // Longer than a lease: what the second one knew of has ended.
        trio.run(.seconds(4))
        trio.isCut = { from, to in from == 0 || to == 0 }
        // It remembers no leader, and so consents at once.
        trio.crash(2)
        try trio.restart(2)
        let known = try #require(trio.seats[1].entries.last?.position)
        let missed = trio.seats[2].entries.filter { $0.index > known.index }
        let last = try #require(missed.last?.position)
        #expect(missed.contains { $0.epoch == Epoch(1) })
        let offer = Letter.Offer(
            previous: known, last: last, commit: known.index, entries: missed)
        trio.give(
            1,
            .letter(
                Letter(
                    from: NodeID(3), to: NodeID(2), group: Trio.group, term: last.term,
                    body: .offer(offer))))
        #expect(trio.seats[1].entries.last?.position == last)
        guard case .acting(let acting) = trio.seats[0].node.office,
            let leaseEnds = acting.lease.until
        else {
            Issue.record("node 1 acts as long as it has not noticed")
            return
        }
        #expect(trio.run(upTo: .seconds(6)) { $0.epoch(1) == Epoch(2) })
        #expect(trio.leader == 1)
        #expect(trio.now > leaseEnds)
    }

    @Test func `a primary that nobody hears closes its exports before another one opens`() throws {
        var trio = try acting()
        trio.isCut = { from, to in (from == 0) != (to == 0) }
        #expect(trio.run(upTo: .seconds(3)) { $0.isOpen(1) || $0.isOpen(2) })
        #expect(trio.words(0) == ["open 1", "close"])
        #expect(!trio.isOpen(0))
    }

    @Test func `a node that was primary in an earlier life gives that seat up before it acts`()
        throws
    {
        var trio = try acting()
        trio.run(.milliseconds(100))
        for at in 0..<3 { trio.crash(at) }
        for at in 0..<3 { try trio.restart(at) }
        #expect(trio.run(upTo: .seconds(3)) { $0.primary != nil })
        let primary = try #require(trio.primary)
        #expect(trio.epoch(primary) == Epoch(2))
        if primary == 0 {
            #expect(trio.commands(0).contains(.relinquish(epoch: Epoch(1))))
        }
    }

    @Test func `a blip of the leadership ends in the named primary's hands`() throws {
        var trio = try acting()
        trio.isCut = { from, to in (from == 0) != (to == 0) }
        #expect(trio.run(upTo: .milliseconds(600)) { $0.leader != 0 && $0.leader != nil })
        trio.isCut = { _, _ in false }
        #expect(trio.run(upTo: .seconds(4)) { $0.isOpen(0) && $0.epoch(0) == Epoch(2) })
        #expect(trio.commands(0).contains(.relinquish(epoch: Epoch(1))))
    }

    @Test func `a switchover drains first, then gives up, and the other region opens`() throws {
        var trio = try acting()
        trio.give(0, .operate(.init(1), .switchOver(Trio.regions[2])))
        #expect(trio.words(0) == ["open 1", "drain"])
        trio.run(.milliseconds(100))
        #expect(trio.isOpen(0), "the seat is not given up before the exports are drained")
        trio.give(0, .drained)
        #expect(trio.words(0) == ["open 1", "drain", "close"])
        #expect(trio.run(upTo: .milliseconds(500)) { $0.isOpen(2) })
        #expect(trio.epoch(2) == Epoch(2))
        trio.run(.milliseconds(600))
        guard case .primary(let primary) = trio.seats[0].answers[.init(1)] else {
            Issue.record("answered \(String(describing: trio.seats[0].answers[.init(1)]))")
            return
        }
        #expect(primary.node == NodeID(3))
    }

    @Test func `a switchover asked at another node goes to the primary`() throws {
        var trio = try acting()
        trio.give(1, .operate(.init(4), .switchOver(Trio.regions[1])))
        trio.run(.milliseconds(20))
        #expect(trio.words(0) == ["open 1", "drain"])
        trio.give(0, .drained)
        #expect(trio.run(upTo: .seconds(1)) { $0.isOpen(1) })
        #expect(trio.run(upTo: .seconds(1)) { $0.seats[1].answers[.init(4)] != nil })
    }

    @Test func `exports that do not drain in time are closed, and the seat goes on`() throws {
        var trio = try acting()
        trio.give(0, .operate(.init(1), .switchOver(Trio.regions[1])))
        trio.run(.seconds(4))
        #expect(trio.isOpen(0))
        #expect(trio.run(upTo: .seconds(3)) { $0.isOpen(1) })
        #expect(trio.words(0).last == "close")
    }

    @Test
    func `a switchover to a region that does not answer is declined, and the primary goes on`()
        throws
    {
        var trio = try acting()
        trio.crash(2)
        trio.run(.milliseconds(300))
        trio.give(0, .operate(.init(1), .switchOver(Trio.regions[2])))
        guard case .declined = trio.seats[0].answers[.init(1)] else {
            Issue.record("answered \(String(describing: trio.seats[0].answers[.init(1)]))")
            return
        }
        #expect(trio.words(0) == ["open 1"])
        trio.run(.seconds(2))
        #expect(trio.primary == 0)
    }

    @Test func `no seat goes to a node that lost what it had acknowledged`() throws {
        var trio = try acting()
        trio.run(.seconds(1))
        let isLost = { (trio: Trio) in
            trio.seats[0].happened.contains {
                if case .replicaLost(NodeID(3), _) = $0 { true } else { false }
            }
        }
        #expect(!isLost(trio))
        // While node 2 is away nobody knows what node 3 forgot.
        trio.crash(1)
        trio.crash(2)
        trio.wipe(2)
        try trio.restart(2)
        let isNoticed = trio.run(upTo: .milliseconds(250), until: isLost)
        #expect(isNoticed)
        #expect(trio.isOpen(0))
        trio.run(.milliseconds(60))
        trio.give(0, .operate(.init(1), .switchOver(Trio.regions[2])))
        guard case .declined(let reason) = trio.seats[0].answers[.init(1)] else {
            Issue.record("answered \(String(describing: trio.seats[0].answers[.init(1)]))")
            return
        }
        #expect(reason.contains("lost writes that it had acknowledged"))
    }

    @Test func `a switchover to where the primary is says so`() throws {
        var trio = try acting()
        trio.give(0, .operate(.init(1), .switchOver(Trio.regions[0])))
        guard case .primary = trio.seats[0].answers[.init(1)] else {
            Issue.record("answered \(String(describing: trio.seats[0].answers[.init(1)]))")
            return
        }
    }

    @Test func `every takeover has a later epoch, and tells its phases where it happened`() throws {
        var trio = try acting()
        trio.crash(0)
        #expect(trio.run(upTo: .seconds(3)) { $0.primary != nil })
        let primary = try #require(trio.primary)
        let last = try #require(trio.seats[primary].node.takeovers.last)
        #expect(last.reason == .takeover && last.from == NodeID(1))
        #expect(last.phases.map(\.name) == ["detect", "elect", "lease", "promote", "open"])
    }
}
