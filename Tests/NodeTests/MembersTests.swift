import Decisions
import Mesh
import Node
import Raft
import Record
import Testing
import VolumeCore
import Voting
import Wire

@Suite struct `Members that come and go` {
    private static let delta = RegionName("delta") ?? { preconditionFailure("a lawful name") }()
    private static let gamma = RegionName("gamma") ?? { preconditionFailure("a lawful name") }()
    private static let fresh = Newcomer(node: NodeID(4), region: delta)

    private func acting() throws -> Trio {
        var trio = try Trio()
        #expect(trio.run(upTo: .seconds(2)) { $0.primary == 0 })
        return trio
    }

    private func ask(_ trio: inout Trio, _ command: Command, at: Int = 0) -> Node.Answer? {
        let id = Node.OperationID(UInt64(trio.seats[at].answers.count) + 100)
        trio.give(at, .operate(id, .command(command)))
        trio.run(upTo: .seconds(2)) { $0.seats[at].answers[id] != nil }
        return trio.seats[at].answers[id]
    }

    private func voters(_ trio: Trio, _ at: Int) -> [UInt64] {
        let membership = trio.seats[at].node.voter.raft.membership
        return membership.isJoint ? [] : membership.voters.data.map(\.rawValue)
    }

    @Test func `a dead node is replaced, and who came can take over`() throws {
        var trio = try acting()
        trio.crash(2)
        try trio.join("delta")
        let change = MemberChange.replace(NodeID(3), with: Self.fresh)
        #expect(ask(&trio, .changeMembers(change)) == .done(.wished(change)))
        // It took a base though the log begins at the beginning, and waits for its volumes.
        #expect(trio.run(upTo: .seconds(3)) { $0.seats[3].behind != nil })
        trio.run(.seconds(2))
        #expect(voters(trio, 0) == [1, 2, 3])
        #expect(trio.seats[0].node.members.waitsFor == .refused(.partial(NodeID(4))))
        trio.becomeWhole(3)
        #expect(trio.run(upTo: .seconds(3)) { $0.seats[3].node.decisions.wish == nil })
        #expect(voters(trio, 3) == [1, 2, 4])
        #expect(trio.seats[3].node.decisions == trio.seats[0].node.decisions)
        #expect(trio.seats[3].node.decisions.former == [NodeID(3)])
        trio.crash(0)
        trio.crash(1)
        try trio.restart(1)
        #expect(trio.run(upTo: .seconds(5)) { $0.primary == 1 || $0.primary == 3 })
    }

    @Test func `a newcomer founds nothing and stands for nothing, whatever it hears`() throws {
        var trio = try acting()
        try trio.join("delta")
        let raft = trio.seats[3].node.voter.raft
        #expect(raft.standingAsMember == .awaited && !raft.isWhole)
        // All others are gone, and what their log began with comes to it late.
        let entries = trio.seats[0].entries
        for at in 0..<3 { trio.crash(at) }
        trio.give(
            3,
            .letter(
                Letter(
                    from: NodeID(1), to: NodeID(4), group: Trio.group, term: Term(9),
                    body: .append(previous: .zero, commit: LogIndex(2), entries: entries))))
        trio.give(3, .resync(nil, behind: .zero))
        trio.run(.seconds(5))
        let after = trio.seats[3].node.voter.raft
        #expect(after.lastPosition == .zero && !after.isWhole)
        #expect(after.role == .follower)
    }

    @Test func `a wish survives its leader`() throws {
        var trio = try acting()
        try trio.join("delta")
        #expect(
            ask(&trio, .changeMembers(.add(Self.fresh)), at: 1) == .done(.wished(.add(Self.fresh))))
        #expect(
            trio.run(upTo: .seconds(3)) {
                $0.seats[0].node.voter.raft.membership.isLearner(NodeID(4))
            })
        trio.crash(0)
        #expect(trio.run(upTo: .seconds(5)) { ($0.leader ?? 0) > 0 && $0.seats[3].behind != nil })
        trio.becomeWhole(3)
        #expect(trio.run(upTo: .seconds(5)) { $0.seats[3].node.decisions.wish == nil })
        #expect(voters(trio, 1) == [1, 2, 3, 4])
    }

    @Test func `a wish that is taken back leaves nobody behind`() throws {
        var trio = try acting()
        try trio.join("delta")
        _ = ask(&trio, .changeMembers(.add(Self.fresh)))
        #expect(trio.run(upTo: .seconds(3)) { $0.seats[3].behind != nil })
        #expect(ask(&trio, .cancelMembers, at: 2) == .done(.cancelled(.add(Self.fresh))))
        trio.becomeWhole(3)
        #expect(
            trio.run(upTo: .seconds(3)) {
                $0.seats[0].node.voter.raft.membership.learners.isEmpty
            })
        trio.run(.seconds(1))
        #expect(voters(trio, 0) == [1, 2, 3])
        #expect(trio.seats[3].node.voter.raft.standingAsMember == .none)
        #expect(trio.seats[0].node.decisions.former == [NodeID(4)])
        #expect(trio.seats[0].node.deadline > trio.now, "nothing is left to do")
    }

    @Test func `who was removed stands no more, and says what it is`() throws {
        var trio = try acting()
        let change = MemberChange.remove(NodeID(3))
        #expect(ask(&trio, .changeMembers(change)) == .done(.wished(change)))
        #expect(
            trio.run(upTo: .seconds(3)) {
                $0.seats[2].node.voter.raft.standingAsMember == .none
            })
        #expect(voters(trio, 0) == [1, 2])
        for at in 0..<2 { trio.crash(at) }
        trio.run(.seconds(3))
        #expect(trio.seats[2].node.voter.raft.role == .follower)
    }

    @Test func `who was away when it was removed is told, and told otherwise by a leader`() throws {
        var trio = try acting()
        trio.crash(2)
        try trio.join("delta")
        _ = ask(&trio, .changeMembers(.replace(NodeID(3), with: Self.fresh)))
        #expect(trio.run(upTo: .seconds(3)) { $0.seats[3].behind != nil })
        trio.becomeWhole(3)
        #expect(trio.run(upTo: .seconds(3)) { $0.seats[0].node.decisions.wish == nil })
        trio.run(.seconds(1))
        try trio.restart(2)
        #expect(trio.seats[2].node.standingAsMember == .voter, "its own log knows no better")
        #expect(trio.run(upTo: .seconds(3)) { $0.seats[2].node.standingAsMember == .none })
        #expect(trio.leader == 0 && trio.isOpen(0), "and nobody was disturbed")
        // A word alone makes nobody a stranger who hears a leader.
        trio.give(1, .note(.former, from: NodeID(3)))
        #expect(trio.seats[1].node.standingAsMember == .voter)
    }

    @Test func `a partial learner gets no vote from a leader that has not heard it yet`() throws {
        var trio = try acting()
        try trio.join("delta")
        _ = ask(&trio, .changeMembers(.add(Self.fresh)))
        #expect(trio.run(upTo: .seconds(3)) { $0.seats[3].behind != nil })
        for _ in 0..<4 {
            guard let leader = trio.leader else { break }
            trio.crash(leader)
            trio.run(upTo: .seconds(5)) { ($0.leader ?? leader) != leader }
            trio.run(.seconds(1))
            #expect(trio.seats[3].node.voter.raft.membership.voters.data.count == 3)
            try trio.restart(leader)
            trio.run(.milliseconds(500))
        }
    }

    @Test func `the primary goes only once another one is`() throws {
        var trio = try acting()
        #expect(
            ask(&trio, .changeMembers(.remove(NodeID(1))))
                == .done(.refused(.memberIsPrimary(NodeID(1)))))
        // It becomes primary while it is to go.
        _ = ask(&trio, .changeMembers(.replace(NodeID(2), with: Self.fresh)))
        try trio.join("delta")
        trio.crash(0)
        #expect(trio.run(upTo: .seconds(5)) { $0.primary == 1 && $0.seats[3].behind != nil })
        trio.becomeWhole(3)
        #expect(
            trio.run(upTo: .seconds(3)) {
                $0.seats[1].node.members.waitsFor == .primary(NodeID(2))
            })
        trio.give(1, .operate(.init(1), .switchOver(Self.gamma)))
        trio.run(upTo: .seconds(5)) { $0.primary == 2 }
        trio.give(2, .applied(through: .zero))
        trio.run(upTo: .milliseconds(50)) { _ in false }
        for at in [1] where trio.isOpen(at) { trio.give(at, .drained) }
        #expect(trio.run(upTo: .seconds(12)) { $0.primary == 2 })
        #expect(trio.run(upTo: .seconds(5)) { $0.seats[2].node.decisions.wish == nil })
        #expect(voters(trio, 2) == [1, 3, 4])
    }

    @Test func `no change leaves fewer able voters than a quorum`() throws {
        var trio = try acting()
        trio.crash(2)
        trio.run(.seconds(1))
        _ = ask(&trio, .changeMembers(.remove(NodeID(2))))
        trio.run(.seconds(3))
        #expect(voters(trio, 0) == [1, 2, 3])
        guard case .refused(.noQuorum) = trio.seats[0].node.members.waitsFor else {
            Issue.record("waits for \(String(describing: trio.seats[0].node.members.waitsFor))")
            return
        }
        #expect(trio.now.since(trio.seats[0].node.members.movedAt) > .seconds(2))
    }

    @Test func `a newcomer that takes itself for a founder becomes what the others are`() throws {
        var trio = try acting()
        trio.crash(2)
        try trio.join("delta", asFounder: true)
        let change = MemberChange.replace(NodeID(3), with: Self.fresh)
        #expect(ask(&trio, .changeMembers(change)) == .done(.wished(change)))
        #expect(trio.run(upTo: .seconds(3)) { $0.seats[3].behind != nil })
        trio.becomeWhole(3)
        #expect(trio.run(upTo: .seconds(3)) { $0.seats[3].node.decisions.wish == nil })
        trio.run(.seconds(1))
        #expect(trio.seats[3].node.decisions == trio.seats[0].node.decisions)
    }

    @Test func `no witness makes room for one that nobody has heard`() throws {
        var trio = try acting()
        _ = ask(&trio, .changeMembers(.remove(NodeID(3))))
        #expect(trio.run(upTo: .seconds(3)) { $0.seats[0].node.decisions.wish == nil })
        #expect(voters(trio, 0) == [1, 2])
        trio.name(NodeID(9), "omega", isWitness: true)
        let region = try #require(RegionName("omega"))
        let change = MemberChange.add(
            Newcomer(node: NodeID(9), region: region, isWitness: true))
        #expect(ask(&trio, .changeMembers(change)) == .done(.wished(change)))
        trio.run(.seconds(1))
        #expect(trio.seats[0].node.members.waitsFor == .silentWitness(NodeID(9)))
        #expect(trio.seats[0].node.decisions.wish != nil)
    }

    @Test func `who the leader's file names with another role is waited for`() throws {
        var trio = try acting()
        trio.name(NodeID(4), "delta", isWitness: true)
        _ = ask(&trio, .changeMembers(.add(Self.fresh)))
        trio.run(.seconds(1))
        #expect(trio.seats[0].node.members.waitsFor == .unnamed(NodeID(4)))
    }

    @Test func `who the leader's file does not name is waited for, with that reason`() throws {
        var trio = try acting()
        _ = ask(&trio, .changeMembers(.add(Self.fresh)))
        trio.run(.seconds(1))
        #expect(trio.seats[0].node.members.waitsFor == .unnamed(NodeID(4)))
        #expect(trio.seats[0].node.voter.raft.membership.learners.isEmpty)
    }
}
