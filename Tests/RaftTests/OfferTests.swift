import Mesh
import Record
import Testing

@testable import Raft

/// The end of a log that is offered while nobody leads.
@Suite struct `Offered logs` {
    /// Three entries of term 1, the first committed; stood in vain for `elections` times.
    private func voter(
        _ ends: [UInt64] = [1, 1, 1], commit: UInt64 = 1, followed: UInt64 = 1,
        elections: Int = 2, voters: Electorate? = nil
    ) throws -> Lone {
        let entries = ends.enumerated().map { entry(UInt64($0.offset) + 1, $0.element) }
        var core = try Lone(
            1, hardState: HardState(term: Term(3), commit: LogIndex(commit)), entries: entries,
            voters: voters ?? Electorate(data: (1...5).map { NodeID($0) }))
        core.raft.followedTerm = Term(followed)
        for _ in 0..<elections {
            core.now = core.now + .seconds(10)
            _ = core.give(.deadlineReached)
        }
        return core
    }

    private func position(_ index: UInt64, _ term: UInt64) -> Position {
        Position(index: LogIndex(index), term: Term(term))
    }

    private func offer(
        after previous: Position, _ entries: [Entry], last: Position, commit: UInt64 = 0
    ) -> Letter.Body {
        .offer(
            Letter.Offer(
                previous: previous, last: last, commit: LogIndex(commit), entries: entries))
    }

    private func offers(_ effects: [Effect]) -> [Letter.Offer] {
        effects.sent.compactMap { if case .offer(let offer) = $0.body { offer } else { nil } }
    }

    @Test func `what was taken in one write with a later term is replaced, and what agrees stays`()
        throws
    {
        var core = try voter()
        let effects = core.receive(
            2, 3, offer(after: position(1, 1), [entry(2, 1), entry(3, 2)], last: position(3, 2)))
        #expect(core.raft.lastPosition == position(3, 2))
        let write = try #require(effects.writes.first)
        #expect(write.change.entries == [entry(3, 2)])
        #expect(write.change.hardState?.term == Term(4))
        #expect(effects.bodies.isEmpty, "nothing is acknowledged")
    }

    @Test func `what only adds keeps the term, and says what is committed`() throws {
        var core = try voter()
        _ = core.receive(
            2, 3, offer(after: position(3, 1), [entry(4, 2)], last: position(4, 2), commit: 9))
        #expect(core.raft.lastPosition == position(4, 2))
        #expect(core.raft.term == Term(3) && core.raft.commitIndex == LogIndex(4))
    }

    @Test func `who lacks nothing any more asks for votes at once`() throws {
        var core = try voter()
        _ = core.receive(2, 3, offer(after: position(3, 1), [entry(4, 2)], last: position(4, 2)))
        let asked = core.give(.deadlineReached).sent.map(\.body)
        #expect(asked.contains(.preVote(last: position(4, 2))))
    }

    @Test(arguments: [(3, 1), (2, 2)] as [(UInt64, UInt64)])
    func `a log that is no more up to date than the own one is not taken`(
        _ index: UInt64, _ term: UInt64
    ) throws {
        var core = try voter([1, 1, 2])
        _ = core.receive(
            2, 9,
            offer(
                after: position(1, 1), [entry(2, term)], last: position(index, term)))
        #expect(core.raft.lastPosition == position(3, 2) && core.raft.term == Term(3))
    }

    @Test func `another entry than the committed one is not taken`() throws {
        var core = try voter()
        _ = core.receive(
            2, 3,
            offer(after: .zero, [entry(1, 2), entry(2, 2)], last: position(2, 2)))
        #expect(core.raft.lastPosition == position(3, 1))
    }

    @Test func `who does not hold the place before it says where both may agree`() throws {
        var core = try voter()
        let effects = core.receive(
            2, 3, offer(after: position(7, 2), [entry(8, 2)], last: position(8, 2)))
        #expect(effects.sent.map(\.body) == [.offerWanted(after: position(3, 1))])
        #expect(core.raft.lastPosition == position(3, 1))
    }

    @Test func `of more than one letter the next is asked for`() throws {
        var core = try voter()
        let effects = core.receive(
            2, 3, offer(after: position(3, 1), [entry(4, 2)], last: position(6, 2)))
        #expect(effects.sent.isEmpty, "no faster than the disk")
        #expect(effects.bodies == [.offerWanted(after: position(4, 2))])
    }

    @Test func `a log that parts from this one below what is committed here is not taken`() throws {
        var core = try voter([1, 2], commit: 2)
        _ = core.receive(
            2, 3, offer(after: position(2, 1), [entry(3, 1), entry(4, 3)], last: position(4, 3)))
        #expect(core.raft.lastPosition == position(2, 2))
    }

    @Test(arguments: [(1, 1), (2, 3)] as [(Int, UInt64)])
    func `nothing is replaced by who never stood in vain, or followed a later leader`(
        elections: Int, followed: UInt64
    ) throws {
        var core = try voter(followed: followed, elections: elections)
        _ = core.receive(2, 3, offer(after: position(2, 1), [entry(3, 2)], last: position(3, 2)))
        #expect(core.raft.lastPosition == position(3, 1))
        // What only adds is taken.
        _ = core.receive(2, 3, offer(after: position(3, 1), [entry(4, 2)], last: position(4, 2)))
        #expect(core.raft.lastPosition == position(4, 2))
    }

    @Test func `of two logs the better one is copied to its end`() throws {
        var core = try voter([1, 1, 1, 1])
        let better = offer(after: position(1, 1), [entry(2, 2)], last: position(9, 3))
        _ = core.receive(2, 3, better)
        #expect(core.raft.lastPosition == position(2, 2))
        let other = offer(
            after: position(1, 1), [entry(2, 1), entry(3, 2), entry(4, 2)], last: position(4, 2))
        _ = core.receive(3, 4, other)
        #expect(core.raft.lastPosition == position(2, 2), "it is worth less than what is copied")
        core.saveAll()
        for _ in 1...2 {
            core.now = core.now + .seconds(10)
            _ = core.give(.deadlineReached)
        }
        _ = core.receive(3, 9, other)
        #expect(core.raft.lastPosition == position(4, 2), "nothing came of the better one")
    }

    @Test func `a doubled offer asks for nothing more`() throws {
        var core = try voter()
        let body = offer(after: position(3, 1), [entry(4, 2)], last: position(6, 2))
        _ = core.receive(2, 3, body)
        #expect(core.receive(2, 3, body).sent.isEmpty)
    }

    @Test func `what is no log is not taken`() throws {
        for entries in [
            [entry(5, 2)], [entry(4, 2), entry(4, 2)], [entry(4, 3)], [entry(4, 2), entry(5, 1)],
        ] {
            var core = try voter()
            _ = core.receive(2, 3, offer(after: position(3, 1), entries, last: position(6, 2)))
            #expect(core.raft.lastPosition == position(3, 1), "\(entries.map(\.position))")
        }
    }

    @Test func `a log whose end is of a term that its sender doesn't know is not taken`() throws {
        var core = try voter()
        _ = core.receive(2, 3, offer(after: position(3, 1), [entry(4, 4)], last: position(4, 4)))
        #expect(core.raft.lastPosition == position(3, 1))
    }

    @Test func `only who stood in vain offers, and only what the other lacks`() throws {
        for (elections, last, isOffered) in [
            (1, position(1, 1), false), (2, position(1, 1), true), (2, position(3, 1), false),
        ] {
            var core = try voter(elections: elections)
            let offered = offers(core.receive(2, 4, .preVote(last: last)))
            #expect(offered.isEmpty != isOffered, "\(elections) elections, \(last)")
            if isOffered {
                #expect(offered[0].previous == last)
                #expect(offered[0].entries == [entry(2, 1), entry(3, 1)])
            }
        }
    }

    @Test func `under a leader nothing is offered and nothing taken`() throws {
        var core = try voter(elections: 3)
        let append = Letter.Body.append(previous: position(3, 1), commit: .zero, entries: [])
        _ = core.receive(3, 3, append)
        #expect(offers(core.receive(2, 3, .offerWanted(after: position(1, 1)))).isEmpty)
        _ = core.receive(2, 3, offer(after: position(3, 1), [entry(4, 2)], last: position(4, 2)))
        #expect(core.raft.lastPosition == position(3, 1))
    }

    @Test func `with a witness nothing is offered and nothing taken`() throws {
        let voters = Electorate(data: (1...4).map { NodeID($0) }, witness: NodeID(5))
        var core = try voter(elections: 3, voters: voters)
        #expect(offers(core.receive(2, 4, .preVote(last: position(1, 1)))).isEmpty)
        _ = core.receive(2, 3, offer(after: position(3, 1), [entry(4, 2)], last: position(4, 2)))
        #expect(core.raft.lastPosition == position(3, 1))
    }
}
