import Mesh
import Record
import Testing

@testable import Raft

/// The rules on the side of the leader, node 1; the highest node is the witness.
@Suite struct `A leader and its witness (ADR 2)` {
    private let blank = Draft(.command, epoch: Epoch(1), payload: [1, 2, 3])

    /// Leads term 1 with one entry proposed, at index 2, and everyone heard.
    private func leader(
        data: Int = 2, settings: RaftSettings = RaftSettings()
    ) throws -> Lone {
        let nodes = (1...UInt64(data) + 1).map { NodeID($0) }
        var core = try Lone(
            1, settings: settings,
            voters: Electorate(data: Array(nodes.dropLast()), witness: nodes.last))
        core.now = core.now + .seconds(2)
        _ = core.give(.deadlineReached)
        for node in nodes { _ = core.receive(node.rawValue, 1, .preVoteAnswer(granted: true)) }
        core.saveAll()
        for node in nodes { _ = core.receive(node.rawValue, 1, .voteAnswer(granted: true)) }
        #expect(core.raft.role == .leader)
        for node in nodes.dropFirst() {
            _ = core.receive(
                node.rawValue, 1, .heard(round: 1, holds: true, through: .zero, base: .zero))
        }
        _ = core.give(.propose([blank], time: .zero))
        core.saveAll()
        return core
    }

    private func beat(_ core: inout Lone) -> [Effect] {
        core.now = core.now + core.raft.settings.heartbeat
        return core.give(.deadlineReached)
    }

    private func acknowledge(_ core: inout Lone, _ node: UInt64, _ index: UInt64) -> [Effect] {
        core.receive(node, core.raft.term.rawValue, .appended(through: LogIndex(index)))
    }

    @Test(arguments: [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4)])
    func `so many copies let the witness forget`(data: Int, copies: Int) {
        let nodes = (1...UInt64(data)).map { NodeID($0) }
        #expect(Electorate(data: nodes, witness: NodeID(9)).copiesToForget == copies)
    }

    @Test func `the base moves with a heartbeat to what is committed, once each`() throws {
        var core = try leader()
        let moved = beat(&core).chunks(to: 3)
        #expect(moved.isEmpty, "nothing is committed")
        let effects = acknowledge(&core, 2, 2)
        #expect(core.raft.commitIndex == LogIndex(2))
        #expect(effects.chunks(to: 3).isEmpty, "it waits for the heartbeat")
        #expect(effects.fed(3).isEmpty)
        let moves = beat(&core)
        #expect(moves.chunks(to: 3).map(\.position) == [position(2, 1)])
        #expect(moves.fed(3).isEmpty)
        let contents = try Base(
            position: position(2, 1), contents: moves.chunks(to: 3)[0].bytes
        ).parsed()
        #expect(contents.membership == core.raft.membership)
        #expect(contents.state.contents.isEmpty)
        let told = Letter.Body.heard(
            round: core.raft.round, holds: true, through: LogIndex(2), base: LogIndex(2))
        _ = core.receive(3, 1, told)
        let next = beat(&core).chunks(to: 3)
        #expect(next.isEmpty, "a base that moved is not moved again")
    }

    @Test func `a commit that counted the witness moves no base until enough copies are there`()
        throws
    {
        var core = try leader(data: 4)
        _ = acknowledge(&core, 2, 2)
        _ = acknowledge(&core, 5, 2)
        #expect(core.raft.commitIndex == LogIndex(2), "nodes 1, 2 and the witness")
        let moved = beat(&core).chunks(to: 5)
        #expect(moved.isEmpty, "two of four data voters are too few")
        _ = acknowledge(&core, 4, 2)
        let moves = beat(&core).chunks(to: 5).map(\.position)
        #expect(moves == [position(2, 1)])
    }

    @Test func `copies without a commit move no base`() throws {
        var core = try Lone(
            1, hardState: HardState(term: Term(1)), entries: [entry(1, 1)],
            voters: Electorate(data: [NodeID(1), NodeID(2)], witness: NodeID(3)))
        core.elect()
        _ = acknowledge(&core, 2, 1)
        _ = core.receive(3, 2, .heard(round: 1, holds: true, through: .zero, base: .zero))
        #expect(core.raft.commitIndex == .zero)
        let moved = beat(&core).chunks(to: 3)
        #expect(moved.isEmpty)
    }

    @Test func `what the witness lacked when asked after the commit may be forgotten (rule 2)`()
        throws
    {
        for lacks in [true, false] {
            var core = try Lone(
                1, hardState: HardState(term: Term(1), commit: LogIndex(2)),
                entries: (1...3).map { entry($0, 1) },
                voters: Electorate(data: [NodeID(1), NodeID(2)], witness: NodeID(3)))
            core.elect()
            let asked = beat(&core).sent.compactMap { letter -> Letter.Heartbeat? in
                guard letter.to == NodeID(3), case .heartbeat(let beat) = letter.body else {
                    return nil
                }
                return beat
            }
            #expect(asked.map(\.previous) == [position(2, 1)])
            let answer = Letter.Body.heard(
                round: asked[0].round, holds: !lacks, through: .zero, base: .zero)
            _ = core.receive(3, 2, answer)
            let moves = beat(&core).chunks(to: 3).map(\.position)
            #expect(moves == (lacks ? [position(2, 1)] : []))
        }
    }

    @Test func `an answer to a question from before the commit proves nothing (rule 2)`() throws {
        var core = try leader(data: 4)
        _ = beat(&core)
        let early = core.raft.round
        _ = acknowledge(&core, 2, 2)
        _ = acknowledge(&core, 5, 2)
        #expect(core.raft.commitIndex == LogIndex(2))
        _ = core.receive(5, 1, .heard(round: early, holds: false, through: .zero, base: .zero))
        let moved = beat(&core).chunks(to: 5)
        #expect(moved.isEmpty)
    }

    @Test func `entries flow to the witness once a data voter is overdue, and end when it is back`()
        throws
    {
        var core = try leader()
        let begun = core.now
        var fed: [Entry] = []
        while fed.isEmpty, core.now < begun + core.raft.electionTimeout {
            core.now = core.raft.deadline
            let effects = core.give(.deadlineReached)
            fed = effects.fed(3)
            _ = core.receive(
                3, 1,
                .heard(round: core.raft.round, holds: true, through: .zero, base: .zero))
        }
        let heartbeat = core.raft.settings.heartbeat
        #expect(core.now.since(begun) == heartbeat * core.raft.settings.witnessPatience)
        #expect(fed.map(\.index) == [LogIndex(1), LogIndex(2)])
        _ = acknowledge(&core, 3, 2)
        #expect(core.raft.commitIndex == LogIndex(2), "the witness counts")
        _ = core.receive(
            2, 1, .heard(round: core.raft.round, holds: true, through: LogIndex(2), base: .zero))
        _ = beat(&core)
        let later = core.give(.propose([blank], time: .zero)).fed(3)
        #expect(later.isEmpty)
    }

    @Test func `a slow voter that makes progress does not bring entries to the witness`() throws {
        var core = try leader()
        for index in 2...200 as ClosedRange<UInt64> {
            _ = core.give(.propose([blank], time: .zero))
            core.saveAll()
            core.now = core.now + core.raft.settings.heartbeat
            _ = core.give(.deadlineReached)
            _ = core.receive(
                3, 1, .heard(round: core.raft.round, holds: false, through: .zero, base: .zero))
            let fed = acknowledge(&core, 2, index / 2).fed(3)
            #expect(fed.isEmpty)
            #expect(core.raft.progress[1].witness?.streams == false)
        }
    }

    @Test func `no base passes the first entry of a change that is not committed`() throws {
        let data = [NodeID(1), NodeID(2)]
        let joint = Membership(
            voters: Electorate(data: data, witness: NodeID(3)),
            outgoing: Electorate(data: data, witness: NodeID(3)))
        let change = Draft(.membership, epoch: .zero, payload: joint.encoded).sealed(
            at: position(2, 1), group: Cluster.group, time: .zero)
        var core = try Lone(
            1, hardState: HardState(term: Term(1)), entries: [entry(1, 1), change],
            voters: Electorate(data: data, witness: NodeID(3)))
        core.elect()
        core.saveAll()
        _ = acknowledge(&core, 2, 3)
        #expect(core.raft.commitIndex == LogIndex(3))
        _ = core.receive(3, 2, .heard(round: 1, holds: true, through: .zero, base: .zero))
        let moves = beat(&core).chunks(to: 3).map(\.position)
        #expect(moves == [position(1, 1)])
    }

    /// Leads term 2 under a joint configuration in which 4 takes the place of 2; entry 1 is committed.
    private func jointLeader() throws -> Lone {
        let joint = Membership(
            voters: Electorate(data: [NodeID(1), NodeID(4)], witness: NodeID(3)),
            outgoing: Electorate(data: [NodeID(1), NodeID(2)], witness: NodeID(3)))
        let change = Draft(.membership, epoch: .zero, payload: joint.encoded).sealed(
            at: position(2, 1), group: Cluster.group, time: .zero)
        var core = try Lone(
            1, hardState: HardState(term: Term(1), commit: LogIndex(1)),
            entries: [entry(1, 1), change],
            voters: Electorate(data: [NodeID(1), NodeID(2)], witness: NodeID(3)))
        core.now = core.now + .seconds(2)
        _ = core.give(.deadlineReached)
        _ = core.receive(3, 2, .preVoteAnswer(granted: true))
        core.saveAll()
        _ = core.receive(3, 2, .voteAnswer(granted: true))
        #expect(core.raft.role == .leader, "1 and the witness are a majority of both halves")
        core.saveAll()
        _ = core.receive(3, 2, .heard(round: 1, holds: true, through: .zero, base: .zero))
        return core
    }

    @Test(arguments: [2, 4] as [UInt64])
    func `under a joint configuration the base moves to what both halves hold`(first: UInt64) throws
    {
        var core = try jointLeader()
        _ = acknowledge(&core, first, 1)
        let early = beat(&core).chunks(to: 3)
        #expect(early.isEmpty)
        _ = acknowledge(&core, 6 - first, 1)
        let moves = beat(&core).chunks(to: 3).map(\.position)
        #expect(moves == [position(1, 1)])
    }

    @Test(arguments: [[2], [4], [2, 4]] as [[UInt64]])
    func `under a joint configuration entries flow to the witness if either half needs them`(
        present: [UInt64]
    ) throws {
        var core = try jointLeader()
        var fed: [Entry] = []
        let end = core.now + core.raft.electionTimeout
        while core.now < end {
            for node in present {
                let held = core.raft.lastPosition.index
                _ = core.receive(
                    node, 2,
                    .heard(round: core.raft.round, holds: true, through: held, base: .zero))
            }
            core.saveAll()
            _ = core.give(.propose([blank], time: .zero))
            fed += beat(&core).fed(3)
            _ = core.receive(
                3, 2,
                .heard(round: core.raft.round, holds: true, through: .zero, base: .zero))
        }
        #expect(fed.isEmpty == (present == [2, 4]))
    }
}
