import Mesh
import Record
import Testing

@testable import Raft

/// The rules on the side of the leader, node 1 of three data voters; nodes 4 and 5 learn.
@Suite struct `A leader that changes the members (Raft §6)` {
    private func leader(
        voters: Electorate = Electorate(data: Lone.peers),
        learners: [NodeID] = [NodeID(4), NodeID(5)]
    ) throws -> Lone {
        var core = try Lone(1, learners: learners, voters: voters)
        core.elect()
        core.saveAll()
        for node in core.raft.membership.members where node != NodeID(1) {
            acknowledge(&core, node.rawValue)
        }
        #expect(core.raft.commitIndex == LogIndex(1))
        return core
    }

    /// All there is.
    private func acknowledge(_ core: inout Lone, _ nodes: UInt64...) {
        core.saveAll()
        for node in nodes {
            let held = core.raft.lastPosition.index
            _ = core.receive(node, core.raft.term.rawValue, .appended(through: held))
            let answer = Letter.Body.heard(
                round: core.raft.round, holds: true, through: held, base: .zero)
            _ = core.receive(node, core.raft.term.rawValue, answer)
        }
    }

    private func voters(_ nodes: UInt64..., witness: UInt64? = nil) -> Electorate {
        Electorate(data: nodes.map { NodeID($0) }, witness: witness.map { NodeID($0) })
    }

    private func ask(_ core: inout Lone, _ wish: MembershipChange) -> [MembershipRefusal] {
        core.give(.changeMembership(wish)).compactMap {
            if case .membershipRefused(let why) = $0 { why } else { nil }
        }
    }

    private func propose(_ core: inout Lone) -> [Effect] {
        core.give(.propose([Draft(.write, epoch: Epoch(1), payload: [1])], time: .zero))
    }

    private func beat(_ core: inout Lone) -> [Effect] {
        core.now = core.now + core.raft.settings.heartbeat
        return core.give(.deadlineReached)
    }

    private func applyAll(_ core: inout Lone) {
        while core.raft.appliedIndex < core.raft.handedIndex {
            _ = core.give(.applied(core.raft.handedIndex))
        }
    }

    // MARK: What is refused

    @Test func `whoever doesn't lead changes nothing, and names the leader`() throws {
        var core = try Lone(1)
        let wish = MembershipChange(voters: voters(1, 2))
        #expect(ask(&core, wish) == [.notLeader(leader: nil)])
        _ = core.receive(2, 1, .append(previous: .zero, commit: .zero, entries: []))
        #expect(ask(&core, wish) == [.notLeader(leader: NodeID(2))])
    }

    @Test func `a new leader waits until something of its own term is committed`() throws {
        var core = try Lone(
            1, hardState: HardState(term: Term(1), commit: LogIndex(1)), entries: [entry(1, 1)])
        core.elect()
        core.saveAll()
        let wish = MembershipChange(voters: voters(1, 2, 3), learners: [NodeID(4)])
        #expect(ask(&core, wish) == [.termNotShown])
        acknowledge(&core, 2)
        #expect(ask(&core, wish) == [])
        #expect(core.raft.membership == wish.final)
    }

    @Test func `one change at a time, and none while the leadership moves`() throws {
        var core = try leader()
        let (first, second) = (
            MembershipChange(voters: voters(1, 2, 3)), MembershipChange(voters: voters(1, 2, 3, 4))
        )
        #expect(ask(&core, first) == [])
        #expect(ask(&core, second) == [.changing], "its entry is not committed")
        acknowledge(&core, 2)
        #expect(ask(&core, MembershipChange(voters: voters(1, 2))) == [])
        #expect(core.raft.membership.outgoing == voters(1, 2, 3))
        #expect(ask(&core, first) == [.changing], "the joint entry is not committed")
        acknowledge(&core, 2)
        #expect(ask(&core, first) == [.changing], "the final entry is not committed")
        acknowledge(&core, 2)
        _ = core.give(.transferLeadership(to: NodeID(2)))
        #expect(ask(&core, first) == [.transferring])
    }

    @Test func `what can't be, is already, or needs a machine of another kind is refused`() throws {
        var core = try leader(voters: voters(1, 2, witness: 6))
        let now = MembershipChange(core.raft.membership)
        #expect(ask(&core, now) == [.unchanged])
        func refusal(_ alter: (inout MembershipChange) -> Void) -> [MembershipRefusal] {
            var wish = now
            alter(&wish)
            return ask(&core, wish)
        }
        #expect(refusal { $0.voters = voters(witness: 6) } == [.malformed(.noDataVoter)])
        let many = (1...65).map { NodeID($0) }
        #expect(refusal { $0.learners = many }.first == .malformed(.tooMany(65)))
        #expect(refusal { $0.learners += [NodeID(2)] } == [.malformed(.twoRoles(NodeID(2)))])
        #expect(
            refusal { $0.voters = voters(1, 2, witness: 2) }
                == [.malformed(.twoRoles(NodeID(2)))])
        #expect(
            refusal { $0.preferred = [NodeID(4)] }
                == [.malformed(.preferredIsNoDataVoter(NodeID(4)))])
        #expect(
            refusal { $0.preferred = [NodeID(2), NodeID(2)] }
                == [.malformed(.preferredTwice(NodeID(2)))])
        #expect(
            refusal { ($0.voters, $0.learners) = (voters(1, 2), [NodeID(6)]) }
                == [.otherKind(NodeID(6))])
        #expect(refusal { $0.voters = voters(1, witness: 2) } == [.otherKind(NodeID(2))])
        #expect(core.raft.lastPosition.index == LogIndex(1), "and nothing was written")
    }

    @Test func `a voter was a learner first`() throws {
        var core = try leader()
        #expect(
            ask(&core, MembershipChange(voters: voters(1, 2, 3, 7))) == [.notLearner(NodeID(7))])
    }

    @Test func `a learner that is behind or silent becomes no voter`() throws {
        var core = try leader()
        core.now = core.now + core.raft.settings.heartbeat
        let wish = MembershipChange(voters: voters(1, 2, 3, 4), learners: [NodeID(5)])
        let big = Draft(.write, epoch: Epoch(1), payload: [UInt8](repeating: 7, count: 1_000_000))
        for _ in 0..<6 {
            _ = core.give(.propose([big], time: .zero))
            acknowledge(&core, 2, 3)
        }
        let lags = ask(&core, wish).compactMap { why in
            if case .behind(NodeID(4), let byteCount) = why { byteCount } else { nil }
        }
        #expect(lags.count == 1 && lags[0] > 6_000_000)
        _ = core.receive(4, 1, .appended(through: LogIndex(3)))
        #expect(ask(&core, wish) == [], "four megabytes are caught up in no time")
        var other = try leader()
        for _ in 0..<20 {
            _ = beat(&other)
            acknowledge(&other, 2, 3)
        }
        #expect(ask(&other, wish) == [.silent(NodeID(4))])
    }

    @Test func `no change leaves fewer able voters than a quorum (nasty case 32)`() throws {
        var core = try leader()
        for _ in 0..<20 {
            _ = beat(&core)
            acknowledge(&core, 2, 4)
        }
        // Node 3 is down: four voters need three, and there are three.
        var without = core
        #expect(ask(&core, MembershipChange(voters: voters(1, 2, 3, 4))) == [])
        #expect(
            ask(&without, MembershipChange(voters: voters(1, 3)))
                == [.noQuorum(able: [NodeID(1)], needed: 2)])
        #expect(
            ask(&without, MembershipChange(voters: voters(1, 3, witness: 9)))
                == [.noQuorum(able: [NodeID(1)], needed: 2)], "who was never heard is no help")
        #expect(ask(&without, MembershipChange(voters: voters(1, 2))) == [], "the dead may go")
    }

    // MARK: How it goes

    @Test func `learners and preferences change with one entry, at once`() throws {
        var core = try leader()
        let wish = MembershipChange(
            voters: voters(1, 2, 3), learners: [NodeID(4), NodeID(6)], preferred: [NodeID(1)])
        _ = propose(&core)
        #expect(ask(&core, wish) == [])
        #expect(core.raft.membership == wish.final)
        #expect(core.raft.log.membershipIndex == LogIndex(3))
        #expect(core.raft.progress.map(\.node) == [2, 3, 4, 5, 6].map { NodeID($0) })
        acknowledge(&core, 2)
        let changed = core.raft.announcedMembership
        #expect(changed.index == LogIndex(3) && changed.membership == wish.final)
    }

    @Test func `the joint entry waits for all before it, and nobody proposes meanwhile (rule 1)`()
        throws
    {
        var core = try leader()
        _ = propose(&core)
        core.saveAll()
        let wish = MembershipChange(voters: voters(1, 4, 5))
        #expect(ask(&core, wish) == [])
        #expect(core.raft.lastPosition.index == LogIndex(2), "entry 2 is not committed")
        #expect(propose(&core).contains(.proposalsRefused(count: 1, .changingMembership)))
        acknowledge(&core, 2)
        #expect(core.raft.commitIndex == LogIndex(2))
        #expect(core.raft.lastPosition.index == LogIndex(2), "of the new voters only 1 holds it")
        acknowledge(&core, 4)
        #expect(core.raft.lastPosition.index == LogIndex(3))
        #expect(core.raft.membership == wish.joint(with: voters(1, 2, 3)))
        let refused = propose(&core).contains {
            if case .proposalsRefused = $0 { true } else { false }
        }
        #expect(!refused, "proposals flow again")
    }

    @Test func `a change that can't begin is given up after an election timeout`() throws {
        var core = try leader()
        _ = propose(&core)
        #expect(ask(&core, MembershipChange(voters: voters(1, 2))) == [])
        let begun = core.now
        var refused: [Effect] = []
        while refused.isEmpty, core.now < begun + .seconds(3) {
            refused = beat(&core).filter { if case .membershipRefused = $0 { true } else { false } }
            let answer = Letter.Body.heard(
                round: core.raft.round, holds: true, through: LogIndex(1), base: .zero)
            _ = core.receive(3, 1, answer)
        }
        #expect(refused == [.membershipRefused(.unsettled)])
        #expect(core.now.since(begun) <= core.raft.electionTimeout + core.raft.settings.heartbeat)
        let later = propose(&core).contains { if case .accepted = $0 { true } else { false } }
        #expect(later)
    }

    @Test func `a voter that falls silent before the change began does not begin it`() throws {
        var core = try leader()
        _ = propose(&core)
        let part = core.raft.electionTimeout / 3 * 2
        core.now = core.now + part
        #expect(ask(&core, MembershipChange(voters: voters(1, 4, 5))) == [])
        core.now = core.now + part
        // 2 and 4 are there, and 4 is one too few to go on with when 5 has died.
        acknowledge(&core, 2, 4)
        #expect(core.raft.commitIndex == LogIndex(2))
        #expect(core.raft.membership.outgoing == nil && core.raft.pendingChange != nil)
        acknowledge(&core, 5)
        #expect(core.raft.membership.outgoing != nil, "and when it is back it begins")
    }

    @Test func `a transfer or the end of the leadership ends a change that has not begun`() throws {
        var core = try leader()
        _ = propose(&core)
        var other = core
        _ = ask(&core, MembershipChange(voters: voters(1, 2)))
        #expect(
            core.give(.transferLeadership(to: NodeID(2)))
                .contains(.membershipRefused(.transferring)))
        _ = ask(&other, MembershipChange(voters: voters(1, 2)))
        #expect(
            other.receive(3, 9, .outdated).contains(.membershipRefused(.notLeader(leader: nil))))
    }

    @Test func `both halves commit the joint entry, then the new one alone the final`() throws {
        var core = try leader()
        let wish = MembershipChange(voters: voters(1, 4, 5))
        _ = ask(&core, wish)
        #expect(core.raft.log.membershipIndex == LogIndex(2))
        acknowledge(&core, 2, 3)
        #expect(core.raft.commitIndex == LogIndex(1), "the old half alone decides nothing")
        var other = try leader()
        _ = ask(&other, wish)
        acknowledge(&other, 4, 5)
        #expect(other.raft.commitIndex == LogIndex(1), "nor does the new one")
        #expect(other.raft.membership.outgoing != nil, "no final entry before the joint one counts")
        acknowledge(&core, 4)
        #expect(core.raft.commitIndex == LogIndex(2))
        #expect(core.raft.membership == wish.final)
        #expect(core.raft.log.membershipIndex == LogIndex(3))
        acknowledge(&core, 2, 3)
        #expect(core.raft.commitIndex == LogIndex(2), "the old half counts no more")
        acknowledge(&core, 5)
        #expect(core.raft.commitIndex == LogIndex(3))
    }

    @Test func `a read under a joint configuration asks both halves`() throws {
        var core = try leader()
        _ = ask(&core, MembershipChange(voters: voters(1, 4, 5)))
        _ = core.give(.read(7))
        let round = core.raft.round
        func hear(_ node: UInt64) -> [Effect] {
            core.receive(node, 1, .heard(round: round, holds: true, through: .zero, base: .zero))
        }
        #expect(!(hear(2) + hear(3)).contains(.readReady(7, LogIndex(1))))
        #expect(hear(4).contains(.readReady(7, LogIndex(1))))
    }

    @Test
    func `no base and no floor passes the entry before a change until it is committed (rule 1)`()
        throws
    {
        var core = try leader()
        let wish = MembershipChange(voters: voters(1, 2), learners: [NodeID(3)])
        _ = ask(&core, wish)
        acknowledge(&core, 2, 3, 4, 5)
        #expect(core.raft.compactionFloor == LogIndex(1))
        #expect(core.raft.commitIndex == LogIndex(2), "the joint entry is committed")
        applyAll(&core)
        _ = core.give(.checkpointed(Base(position: position(2, 1), contents: [])))
        #expect(core.raft.basePosition == .zero, "nor does a checkpoint")
        acknowledge(&core, 2, 3)
        #expect(core.raft.settledIndex == LogIndex(3))
        applyAll(&core)
        _ = core.give(.checkpointed(Base(position: position(2, 1), contents: [])))
        #expect(core.raft.basePosition == position(2, 1))
    }

    // MARK: The next leader

    private func change(_ index: UInt64, _ term: UInt64, _ membership: Membership) -> Entry {
        Draft(.membership, epoch: .zero, payload: membership.encoded).sealed(
            at: position(index, term), group: Cluster.group, time: .zero)
    }

    private var joint: Membership {
        Membership(voters: voters(1, 4, 5), outgoing: voters(1, 2, 3))
    }

    @Test func `a new leader ends a change that it finds, once the joint entry is committed`()
        throws
    {
        for known in [0, 2] as [UInt64] {
            var core = try Lone(
                1, hardState: HardState(term: Term(1), commit: LogIndex(known)),
                entries: [entry(1, 1), change(2, 1, joint)])
            core.now = core.now + .seconds(2)
            _ = core.give(.deadlineReached)
            for node in [2, 4] as [UInt64] {
                _ = core.receive(node, 2, .preVoteAnswer(granted: true))
            }
            core.saveAll()
            _ = core.receive(2, 2, .voteAnswer(granted: true))
            #expect(core.raft.role == .candidate, "the old half alone elects nobody")
            _ = core.receive(4, 2, .voteAnswer(granted: true))
            #expect(core.raft.role == .leader)
            core.saveAll()
            #expect(core.raft.membership.outgoing != nil)
            acknowledge(&core, 2, 4)
            #expect(core.raft.membership == MembershipChange(joint).final)
        }
    }

    @Test
    func `a new leader feeds those who go, the witness as a witness, until that is committed`()
        throws
    {
        let joint = Membership(voters: voters(1, 4, 5), outgoing: voters(1, 2, witness: 6))
        let final = MembershipChange(joint).final
        var core = try Lone(
            1, hardState: HardState(term: Term(1), commit: LogIndex(1)),
            entries: [entry(1, 1), change(2, 1, joint), change(3, 1, final)],
            voters: voters(1, 2, witness: 6))
        core.now = core.now + .seconds(2)
        _ = core.give(.deadlineReached)
        _ = core.receive(4, 2, .preVoteAnswer(granted: true))
        core.saveAll()
        _ = core.receive(4, 2, .voteAnswer(granted: true))
        #expect(core.raft.progress.map(\.node) == [2, 4, 5, 6].map { NodeID($0) })
        #expect(core.raft.progress.map { $0.witness != nil } == [false, false, false, true])
        _ = core.receive(6, 2, .heard(round: 1, holds: true, through: .zero, base: .zero))
        let early = beat(&core).chunks(to: 6)
        #expect(early.isEmpty, "a voter of the joint configuration may still need what it has")
        acknowledge(&core, 4)
        #expect(core.raft.commitIndex == LogIndex(4))
        let moves = beat(&core).chunks(to: 6)
        #expect(moves.map(\.position) == [position(4, 2)], "so it learns that it votes no more")
        _ = core.receive(6, 2, .appended(through: LogIndex(4)))
        _ = beat(&core)
        #expect(core.raft.progress.map(\.node) == [2, 4, 5].map { NodeID($0) })
        let end = core.now + core.raft.electionTimeout
        while core.now <= end {
            _ = beat(&core)
            acknowledge(&core, 4, 5)
        }
        #expect(core.raft.progress.map(\.node) == [4, 5].map { NodeID($0) }, "2 was never heard")
    }

    @Test func `a witness that was removed stands no more, whatever it holds`() throws {
        for commit in [2, 3] as [UInt64] {
            let joint = Membership(voters: voters(1, 2), outgoing: voters(1, 2, witness: 3))
            var core = try Lone(
                3, hardState: HardState(term: Term(1), commit: LogIndex(commit)),
                entries: [
                    entry(1, 1), change(2, 1, joint), change(3, 1, MembershipChange(joint).final),
                ], voters: voters(1, 2, witness: 3))
            core.now = core.now + .seconds(5)
            let asked = core.give(.deadlineReached).sent.map(\.to)
            #expect(asked == (commit == 2 ? [NodeID(1), NodeID(2)] : []))
        }
    }

    @Test func `a joint entry that is replaced leaves the former configuration`() throws {
        var core = try Lone(
            1, hardState: HardState(term: Term(1)), entries: [entry(1, 1), change(2, 1, joint)])
        #expect(core.raft.membership == joint)
        _ = core.receive(
            2, 2, .append(previous: position(1, 1), commit: .zero, entries: [entry(2, 2)]))
        #expect(core.raft.membership == Membership(voters: voters(1, 2, 3)))
    }

    @Test func `a configuration far below the newest entries holds after a restart`() throws {
        let entries = [change(1, 1, joint)] + (2...9).map { entry($0, 1) }
        let base = Base(
            position: .zero, membership: Membership(voters: voters(1, 2, 3)), state: [])
        let restored = try Restored(
            hardState: HardState(term: Term(1)), base: base, positions: entries.map(\.position),
            configurations: [entries[0]], time: .zero, tail: Array(entries.suffix(2)))
        let raft = Raft(
            seat: NodeID(1), isWitness: false, group: Cluster.group, settings: RaftSettings(),
            restored: restored, random: SeededRandom(seed: 1), at: .zero)
        #expect(raft.membership == joint)
    }

    // MARK: A leader that goes

    @Test func `a leader that goes leads on until that is committed, and doesn't count itself`()
        throws
    {
        var core = try leader()
        _ = ask(&core, MembershipChange(voters: voters(2, 3, 4, 5), preferred: [NodeID(4)]))
        acknowledge(&core, 2, 4)
        #expect(core.raft.commitIndex == LogIndex(1), "two of four, with itself it were three")
        acknowledge(&core, 3)
        #expect(core.raft.commitIndex == LogIndex(2))
        #expect(core.raft.role == .leader && core.raft.membership.outgoing == nil)
        acknowledge(&core, 2, 3)
        #expect(core.raft.commitIndex == LogIndex(2) && core.raft.role == .leader)
        let effects = core.receive(4, 1, .appended(through: LogIndex(3)))
        #expect(core.raft.commitIndex == LogIndex(3))
        let told = effects.sent.filter { $0.body == .timeoutNow }
        #expect(told.map(\.to) == [NodeID(4)], "the preferred one")
        #expect(propose(&core).contains(.proposalsRefused(count: 1, .transferring)))
        let end = core.now + core.raft.electionTimeout
        var down: [Effect] = []
        while core.raft.role == .leader, core.now <= end {
            down = beat(&core)
            acknowledge(&core, 2, 3, 4, 5)
        }
        #expect(down.contains(.steppedDown(.removed)))
        core.now = core.now + .seconds(5)
        let stands = core.give(.deadlineReached).sent
        #expect(stands.isEmpty, "and it stands no more")
    }

    @Test func `a voter that is omitted stands until that is known committed (rule 4)`() throws {
        let final = Membership(voters: voters(2, 3))
        for commit in [2, 3] as [UInt64] {
            var core = try Lone(
                1, hardState: HardState(term: Term(1), commit: LogIndex(commit)),
                entries: [
                    entry(1, 1),
                    change(2, 1, Membership(voters: voters(2, 3), outgoing: voters(1, 2, 3))),
                    change(3, 1, final),
                ])
            core.now = core.now + .seconds(2)
            let asked = core.give(.deadlineReached).sent.map(\.to)
            #expect(asked == (commit == 2 ? [NodeID(2), NodeID(3)] : []))
            _ = core.receive(2, 2, .preVoteAnswer(granted: true))
            #expect(core.raft.role != .candidate, "its own consent doesn't count")
        }
    }
}
