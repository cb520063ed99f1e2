import Mesh
import Raft
import Record
import Testing

@Suite struct `What a past term says counts for nothing (Raft §5.1)` {
    /// Stands in the next term, its vote saved.
    private func stand(_ core: inout Lone) {
        core.now = core.now + .seconds(4)
        _ = core.give(.deadlineReached)
        _ = core.receive(2, core.raft.term.next.rawValue, .preVoteAnswer(granted: true))
        core.saveAll()
    }

    @Test func `a vote of an earlier term elects nobody`() throws {
        var core = try Lone(1)
        stand(&core)
        stand(&core)
        #expect(core.raft.role == .candidate && core.raft.term == Term(2))
        _ = core.receive(2, 1, .voteAnswer(granted: true))
        #expect(core.raft.role == .candidate)
        _ = core.receive(2, 2, .voteAnswer(granted: true))
        #expect(core.raft.role == .leader)
    }

    @Test func `an acknowledgement of an earlier term commits nothing`() throws {
        var core = try Lone(1, hardState: HardState(term: Term(1)), entries: [entry(1, 1)])
        core.elect()
        core.saveAll()
        _ = core.receive(2, 1, .appended(through: LogIndex(2)))
        #expect(core.raft.commitIndex == .zero)
        _ = core.receive(2, 2, .appended(through: LogIndex(2)))
        #expect(core.raft.commitIndex == LogIndex(2))
    }

    @Test func `a follower commits no further than its log agrees with the leader's`() throws {
        var core = try Lone(
            1, hardState: HardState(term: Term(1)),
            entries: [entry(1, 1), entry(2, 1), entry(3, 1)])
        _ = core.receive(
            2, 2, .append(previous: position(1, 1), commit: LogIndex(3), entries: []))
        #expect(core.raft.commitIndex == LogIndex(1))
    }
}
