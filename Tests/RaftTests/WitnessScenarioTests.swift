import Mesh
import Record
import Testing

@testable import Raft

@Suite struct `A witness in a group (ADR 2)` {
    /// Data voters 1 to `count`, then the witness; led by 1, all at rest.
    private func group(
        _ count: Int = 2, seed: UInt64 = 1, settings: RaftSettings = RaftSettings()
    ) -> Cluster {
        var cluster = Cluster(
            count, seed: seed, preferred: [NodeID(1)], hasWitness: true, settings: settings)
        let ready = cluster.run(upTo: 5_000) { now in
            now.leaders == [NodeID(1)]
                && now.nodes.allSatisfy { $0.raft.lastPosition == now[1].lastPosition }
                && now.nodes.allSatisfy { $0.raft.commitIndex == now[1].lastPosition.index }
        }
        #expect(ready, "\(cluster.summary)")
        return cluster
    }

    /// Proposes to `node` until `count` more entries are committed there.
    private func write(_ count: Int, to node: UInt64, _ cluster: inout Cluster) -> Bool {
        let goal = cluster[node].commitIndex.advanced(by: count)
        for _ in 0..<count {
            cluster.propose(node, [UInt8](repeating: 7, count: 100))
            cluster.step()
        }
        return cluster.run(upTo: 1_000) { $0[node].commitIndex >= goal }
    }

    private func cut(_ a: UInt64, _ b: UInt64, in cluster: inout Cluster) {
        let pair = Set([NodeID(a), NodeID(b)])
        cluster.isCut = { pair == Set([$0, $1]) }
    }

    /// The witness holds nothing but a base at the end of `node`'s log.
    private func hasForgotten(_ cluster: Cluster, _ witness: UInt64, like node: UInt64) -> Bool {
        let last = cluster[node].lastPosition
        return cluster[witness].basePosition == last && cluster[witness].lastPosition == last
    }

    @Test func `while all keep up the witness gets next to nothing and holds nothing`() {
        var cluster = group()
        cluster.received = [:]
        for _ in 0..<1_000 {
            cluster.propose(1, [UInt8](repeating: 7, count: 8 << 10))
            cluster.step()
        }
        let (toData, toWitness) = (
            cluster.received[NodeID(2), default: 0], cluster.received[NodeID(3), default: 0]
        )
        #expect(toData > 8_000_000)
        #expect(toWitness * 100 <= toData, "\(toWitness) of \(toData) bytes")
        #expect(cluster[3].tailByteCount == 0)
        #expect(cluster.run(upTo: 200) { hasForgotten($0, 3, like: 1) })
        #expect(cluster.violations == [])
    }

    @Test func `a commit waits at most two heartbeats when a data voter dies`() {
        var cluster = group()
        #expect(write(50, to: 1, &cluster))
        cluster.crash(2)
        let from = cluster.now
        #expect(write(1, to: 1, &cluster))
        let heartbeat = cluster.settings.heartbeat
        #expect(cluster.now.since(from) <= heartbeat * 3, "two, and what an answer takes")
        #expect(cluster[3].lastPosition == cluster[1].lastPosition)
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `what only the dead and the witness held comes back through the witness`(seed: UInt64) {
        var cluster = group(seed: seed)
        #expect(write(20, to: 1, &cluster))
        cluster.crash(2)
        #expect(write(1_000, to: 1, &cluster))
        let promised = cluster[1].commitIndex
        #expect(cluster[3].tailByteCount <= 4_000, "what is on its disk leaves its memory")
        cluster.crash(1)
        cluster.restart(2)
        let led = cluster.run(upTo: 10_000) { $0[3].role == .leader }
        #expect(led, "the witness takes care")
        let back = cluster.run(upTo: 10_000) {
            $0[2].role == .leader && $0[2].appliedIndex > promised && $0.leaders == [NodeID(2)]
        }
        #expect(back, "\(cluster.summary)")
        #expect(write(10, to: 2, &cluster), "and it commits with the witness alone")
        cluster.restart(1)
        let settled = cluster.run(upTo: 10_000) { now in
            guard let leader = now.leader else { return false }
            return now[1].appliedIndex == now[2].appliedIndex
                && hasForgotten(now, 3, like: leader)
        }
        #expect(settled, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    @Test func `a leader dies after it committed with the witness while the other lagged`() {
        var cluster = group()
        cut(1, 2, in: &cluster)
        #expect(write(30, to: 1, &cluster))
        let promised = cluster[1].commitIndex
        #expect(cluster[2].lastPosition.index < promised)
        cluster.crash(1)
        let back = cluster.run(upTo: 10_000) {
            $0[2].role == .leader && $0[2].appliedIndex > promised
        }
        #expect(back, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    /// The one left to stand asked for consent and lacks what the witness holds: nobody else is to be
    /// waited for.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `a witness stands soon after it had to refuse the one who lacks what it holds`(
        seed: UInt64
    ) {
        var cluster = group(seed: seed)
        cluster.crash(2)
        #expect(write(2, to: 1, &cluster))
        let promised = cluster[1].commitIndex
        cluster.crash(1)
        cluster.run(20)
        cluster.restart(2)
        let timeout = cluster[3].electionTimeout
        let from = cluster.now
        let back = cluster.run(upTo: 10_000) {
            $0[2].role == .leader && $0[2].appliedIndex > promised
        }
        #expect(back, "\(cluster.summary)")
        // One and a half to notice, with rank and chance; a half for others who may hold more.
        #expect(cluster.now.since(from) <= timeout * 2 + timeout / 2)
    }

    /// Who is left heeded a leader's late letter when the witness asked, and lacks what it holds.
    @Test func `a witness that stood in vain stands again soon after it was asked`() throws {
        let voters = Electorate(data: [NodeID(1), NodeID(2)], witness: NodeID(3))
        var witness = try Lone(
            3, hardState: HardState(term: Term(1), vote: nil, commit: .zero),
            entries: [entry(1, 1), entry(2, 1)], voters: voters)
        witness.now = witness.raft.deadline
        #expect(witness.give(.deadlineReached).bodies.contains(.preVote(last: position(2, 1))))
        _ = witness.receive(2, 1, .preVoteAnswer(granted: false))
        let patient = witness.raft.deadline
        let answer = witness.receive(2, 2, .preVote(last: position(1, 1))).bodies
        #expect(answer == [.preVoteAnswer(granted: false)])
        #expect(witness.raft.deadline < patient)
        #expect(witness.raft.deadline.since(witness.now) <= witness.raft.electionTimeout / 2)
        witness.now = witness.raft.deadline
        #expect(witness.give(.deadlineReached).bodies.contains(.preVote(last: position(2, 1))))
    }

    /// Who lacks what the witness holds times out first: it takes an election for shorter, or heard the
    /// leader less long. It asks once more only when that has failed.
    @Test func `a witness that is asked while it is still led stands soon once it is not`() throws {
        let voters = Electorate(data: [NodeID(1), NodeID(2)], witness: NodeID(3))
        var witness = try Lone(
            3, hardState: HardState(term: Term(1), vote: nil, commit: .zero),
            entries: [entry(1, 1), entry(2, 1)], voters: voters)
        let heartbeat = Letter.Body.heartbeat(
            .init(
                previous: position(2, 1), commit: .zero, floor: .zero, round: 1, measured: .zero))
        _ = witness.receive(1, 1, heartbeat)
        let ledUntil = witness.now + witness.raft.electionTimeout
        let patient = witness.raft.deadline
        witness.now = ledUntil - .milliseconds(1)
        let answer = witness.receive(2, 2, .preVote(last: position(1, 1))).bodies
        #expect(answer == [.preVoteAnswer(granted: false)])
        #expect(witness.raft.deadline < patient)
        #expect(witness.raft.deadline > ledUntil, "others whose logs reach go first")
        #expect(witness.raft.deadline.since(ledUntil) <= witness.raft.electionTimeout / 2)
        // A leader that is heard again is followed as before.
        _ = witness.receive(1, 1, heartbeat)
        #expect(witness.raft.deadline > patient)
    }

    @Test func `without the witness commits wait for the lagging region, and lose nothing`() {
        var cluster = group()
        cluster.crash(3)
        cluster.stalled = [NodeID(2)]
        cluster.propose(1)
        cluster.run(cluster.timeouts(1))
        #expect(cluster[1].commitIndex < cluster[1].lastPosition.index)
        cluster.stalled = []
        #expect(cluster.run(upTo: 1_000) { $0[1].commitIndex == $0[1].lastPosition.index })
        #expect(cluster.leader == 1)
        cluster.restart(3)
        #expect(cluster.run(upTo: 2_000) { hasForgotten($0, 3, like: 1) })
        cluster.stalled = [NodeID(2)]
        #expect(write(1, to: 1, &cluster), "and now the witness stands in")
        #expect(cluster.violations == [])
    }

    @Test func `two regions that see only the witness keep one leader and go on writing`() {
        var cluster = group()
        let term = cluster[1].term
        cut(1, 2, in: &cluster)
        for _ in 0..<20 {
            #expect(write(5, to: 1, &cluster))
            cluster.run(100)
        }
        #expect(cluster[1].term == term)
        #expect(cluster.leaders == [NodeID(1)])
        cluster.isCut = { _, _ in false }
        let healed = cluster.run(upTo: 2_000) {
            $0[2].appliedIndex == $0[1].appliedIndex && hasForgotten($0, 3, like: 1)
        }
        #expect(healed, "\(cluster.summary)")
        #expect(cluster[1].term == term)
    }

    @Test func `a witness without room stops writes, and data that comes back frees it`() {
        var settings = RaftSettings()
        settings.uncommittedBytesMax = 4_000
        settings.witnessControlBytesMax = 1_000
        settings.witnessBytesMax = 25_000
        var cluster = group(settings: settings)
        cluster.crash(2)
        for _ in 0..<300 {
            cluster.propose(1, [UInt8](repeating: 7, count: 100))
            cluster.step()
        }
        #expect(cluster.refusals.contains(.witnessFull))
        #expect(cluster[1].commitIndex == cluster[1].lastPosition.index, "no promise is stuck")
        let kept = cluster.everything(2).reduce(0) { $0 + $1.bytes.count }
        #expect(kept > 15_000 && kept <= 25_000)
        cluster.restart(2)
        #expect(cluster.run(upTo: 3_000) { hasForgotten($0, 3, like: 1) })
        cluster.refusals = []
        #expect(write(30, to: 1, &cluster))
        #expect(cluster.refusals.isEmpty)
    }

    @Test func `a leader whose own log was cut short still brings the witness up`() {
        var cluster = group()
        cluster.crash(3)
        #expect(write(30, to: 1, &cluster))
        cluster.run(100)
        let floor = cluster[1].compactionFloor
        guard let term = cluster[1].term(at: floor) else {
            Issue.record("\(cluster.summary)")
            return
        }
        let base = Base(position: Position(index: floor, term: term), contents: [])
        cluster.give(1, .checkpointed(base))
        cluster.run(50)
        // A new term: of what node 2 held nothing is known, only that the witness lacks it.
        cluster.crash(1)
        cluster.crash(2)
        cluster.restart(1)
        cluster.restart(3)
        let led = cluster.run(upTo: 5_000) { $0.leader == 1 }
        #expect(led, "\(cluster.summary)")
        let done = cluster.run(upTo: 2_000) { $0[1].commitIndex == $0[1].lastPosition.index }
        #expect(done, "\(cluster.summary)")
        #expect(cluster[3].basePosition.index >= floor)
        #expect(cluster.violations == [])
    }

    @Test func `four regions need the witness only when two of them are away`() {
        var cluster = group(4)
        cluster.received = [:]
        cluster.crash(4)
        #expect(write(200, to: 1, &cluster))
        #expect(cluster[5].tailByteCount == 0)
        cluster.crash(3)
        #expect(write(200, to: 1, &cluster))
        #expect(cluster[5].lastPosition == cluster[1].lastPosition)
        let base = cluster[5].basePosition
        cluster.run(200)
        #expect(cluster[5].basePosition == base, "two copies are too few to forget")
        cluster.restart(3)
        #expect(cluster.run(upTo: 2_000) { hasForgotten($0, 5, like: 1) })
        #expect(cluster.violations == [])
    }
}
