import Mesh
import Record
import Testing

@testable import Raft

@Suite("A member that is away for longer than the log is kept (ADR 5)")
struct RetentionTests {
    private static var settings: RaftSettings {
        var settings = RaftSettings()
        settings.logKeptBytesMax = 4_000
        settings.awayAfter = .milliseconds(500)
        return settings
    }

    private func group(_ count: Int = 3, hasWitness: Bool = false) -> Cluster {
        var cluster = Cluster(
            count, preferred: [NodeID(1)], hasWitness: hasWitness, settings: Self.settings)
        _ = cluster.run(upTo: 3_000) { $0.leader == 1 && $0[1].commitIndex > .zero }
        cluster.run(100)
        return cluster
    }

    private func write(_ count: Int, to node: UInt64, _ cluster: inout Cluster) {
        for _ in 0..<count {
            cluster.propose(node, [UInt8](repeating: 7, count: 100))
            cluster.run(2)
        }
        cluster.run(60)
    }

    /// The leader makes durable elsewhere what it may, and forgets it.
    private func compact(_ node: UInt64, _ cluster: inout Cluster) {
        let floor = cluster[node].compactionFloor
        guard let term = cluster[node].term(at: floor) else { return }
        cluster.give(
            node, .checkpointed(Base(position: Position(index: floor, term: term), contents: [1])))
        cluster.run(20)
    }

    @Test func `the log is kept for a member that is away, and not for ever`() {
        var cluster = group()
        cluster.crash(3)
        let held = cluster[1].progress.first { $0.node == NodeID(3) }?.match ?? .zero
        write(10, to: 1, &cluster)
        cluster.run(600)
        #expect(cluster[1].compactionFloor <= held.next, "so little is kept")
        write(40, to: 1, &cluster)
        #expect(cluster[1].compactionFloor == cluster[1].commitIndex)
        #expect(cluster.leftBehind.isEmpty, "nothing is forgotten yet")
        compact(1, &cluster)
        #expect(cluster.leftBehind.map(\.node) == [NodeID(3)])
        #expect(cluster.leftBehind.first?.through == cluster[1].basePosition.index)
        compact(1, &cluster)
        #expect(cluster.leftBehind.count == 1, "said once")
        #expect(cluster.violations == [])
    }

    @Test func `what was on its way to a member that fell silent does not keep its base from it`() {
        var settings = Self.settings
        settings.inFlightBytesMax = 2_000
        var cluster = Cluster(3, preferred: [NodeID(1)], settings: settings)
        _ = cluster.run(upTo: 3_000) { $0.leader == 1 && $0[1].commitIndex > .zero }
        cluster.run(100)
        cluster.isCut = { $0 == NodeID(3) || $1 == NodeID(3) }
        write(60, to: 1, &cluster)
        cluster.run(600)
        compact(1, &cluster)
        #expect(cluster.leftBehind.map(\.node) == [NodeID(3)])
        cluster.isCut = { _, _ in false }
        let back = cluster.run(upTo: 3_000) { $0[3].lastPosition == $0[1].lastPosition }
        #expect(back, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    @Test func `a base whose entry is in its log makes nobody less whole`() throws {
        var core = try Lone(
            2, hardState: HardState(term: Term(1)), entries: (1...9).map { entry($0, 1) })
        let base = Base(position: position(6, 1), membership: core.raft.membership, state: [4])
        let chunk = SealedBase(base).chunk(from: 0, bytesMax: 1_000)
        let effects = core.receive(1, 1, .snapshot(chunk))
        #expect(core.raft.isWhole && core.raft.basePosition == .zero)
        #expect(core.raft.commitIndex == LogIndex(6))
        #expect(!effects.contains { if case .restore = $0 { true } else { false } })
        #expect(effects.bodies.contains(.appended(through: LogIndex(6))))
    }

    @Test func `one that was silent for a moment only is not away`() {
        var cluster = group()
        cluster.crash(3)
        for _ in 0..<30 { cluster.propose(1, [UInt8](repeating: 7, count: 100)) }
        cluster.run(200)
        #expect(cluster[1].commitIndex.rawValue > 30)
        // Twice as much is kept for one that may be back at once.
        #expect(cluster[1].compactionFloor < cluster[1].commitIndex)
        cluster.run(600)
        #expect(cluster[1].compactionFloor == cluster[1].commitIndex)
    }

    @Test func `nothing goes above what another member has that is here`() {
        var cluster = group(5)
        cluster.crash(5)
        write(10, to: 1, &cluster)
        cluster.isCut = { _, to in to == NodeID(4) }
        write(20, to: 1, &cluster)
        cluster.run(700)
        let late = cluster[4].lastPosition.index
        cluster.isCut = { _, _ in false }
        cluster.stalled = [NodeID(4)]
        cluster.run(100)
        #expect(cluster[1].progress.contains { $0.node == NodeID(4) && $0.match <= late })
        #expect(cluster[1].compactionFloor <= late)
    }

    @Test func `with two data members and a witness nobody is left behind`() {
        var cluster = group(2, hasWitness: true)
        cluster.crash(2)
        let held = cluster[1].progress.first { $0.node == NodeID(2) }?.match ?? .zero
        write(60, to: 1, &cluster)
        cluster.run(600)
        #expect(cluster[3].lastPosition.index == cluster[1].lastPosition.index)
        // Of two copies one has to outlast any failure: the other one is what it lacks, in the log.
        #expect(cluster[1].compactionFloor <= held.next)
        compact(1, &cluster)
        #expect(cluster.leftBehind.isEmpty)
        // So the leader may be lost: what the witness holds brings the other one up to date.
        let last = cluster[1].lastPosition.index
        cluster.crash(1)
        cluster.restart(2)
        let back = cluster.run(upTo: 5_000) { $0.leader == 2 && $0[2].commitIndex > last }
        #expect(back, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    @Test
    func `while one member copies what it lacks the log is kept for another that is away`() {
        var cluster = partial()
        cluster.crash(2)
        let held = cluster[1].progress.first { $0.node == NodeID(2) }?.match ?? .zero
        write(80, to: 1, &cluster)
        cluster.run(600)
        #expect(cluster[1].compactionFloor <= held.next)
        compact(1, &cluster)
        compact(3, &cluster)
        // The only whole one that is here is lost for good; the other one gets all from the partial one.
        let last = cluster[1].commitIndex
        cluster.crash(1)
        cluster.restart(2)
        let back = cluster.run(upTo: 15_000) { $0.leader == 2 && $0[2].commitIndex > last }
        #expect(back, "\(cluster.summary)")
        #expect(cluster.violations == [])
    }

    @Test func `a witness that was never heard keeps no more of the log than it could be fed`() {
        var cluster = group(4, hasWitness: true)
        cluster.crash(5)
        cluster.crash(4)
        cluster.give(1, .transferLeadership(to: NodeID(2)))
        #expect(cluster.run(upTo: 3_000) { $0.leader == 2 }, "\(cluster.summary)")
        write(60, to: 2, &cluster)
        cluster.run(600)
        #expect(cluster[2].progress.first { $0.node == NodeID(5) }?.witness?.base == nil)
        #expect(cluster[2].compactionFloor == cluster[2].commitIndex)
    }

    @Test func `a caretaker moves no base, whoever is away`() {
        var cluster = partial()
        cluster.crash(2)
        write(80, to: 1, &cluster)
        cluster.crash(1)
        cluster.restart(2)
        let floor = cluster[3].compactionFloor
        #expect(cluster.run(upTo: 10_000) { $0.leader == 3 }, "\(cluster.summary)")
        #expect(cluster[3].compactionFloor == floor)
    }

    @Test func `who took a base is partial before it says so, whatever it said before`() throws {
        var follower = Progress(NodeID(3), next: LogIndex(1), at: .zero)
        follower.said(isWhole: true, through: LogIndex(4), in: 1)
        follower.tookBase(LogIndex(9))
        #expect(follower.isPartial)
        follower.said(isWhole: true, through: LogIndex(4), in: 2)
        #expect(follower.isPartial, "that was said before it took it")
        follower.said(isWhole: false, through: LogIndex(9), in: 3)
        follower.said(isWhole: true, through: LogIndex(12), in: 4)
        #expect(!follower.isPartial)
    }

    @Test func `what a member acknowledges is whole only as far as it says so`() {
        var cluster = group(2, hasWitness: true)
        write(10, to: 1, &cluster)
        cluster.crash(2)
        let said = cluster[1].compactionFloor
        write(10, to: 1, &cluster)
        let (last, term) = (cluster[1].commitIndex, cluster[1].term)
        let round = cluster[1].progress.first { $0.node == NodeID(2) }?.round ?? 0
        func hear(_ body: Letter.Body) {
            let letter = Letter(
                from: NodeID(2), to: NodeID(1), group: Cluster.group, term: term, body: body)
            cluster.give(1, .received(letter))
        }
        // It is back as a copy perhaps: a peer's base stands for what its log had lost.
        hear(.appended(through: last))
        #expect(said < last && cluster[1].compactionFloor == said)
        hear(.heard(round: round, holds: true, isWhole: true, through: last, base: .zero))
        #expect(cluster[1].compactionFloor == last)
    }

    @Test func `what the volumes say before a base is restored makes nobody whole`() throws {
        var core = try Lone(2, hardState: HardState(term: Term(1)))
        let base = Base(position: position(6, 1), membership: core.raft.membership, state: [4])
        let chunk = SealedBase(base).chunk(from: 0, bytesMax: 1_000)
        _ = core.receive(1, 1, .snapshot(chunk))
        #expect(!core.raft.isWhole)
        _ = core.give(.replica(isWhole: true))
        #expect(!core.raft.isWhole)
    }

    /// Node 3 was away, took a base, and its volumes lack something.
    private func partial() -> Cluster {
        var cluster = group()
        cluster.staysPartial = [NodeID(3)]
        cluster.crash(3)
        write(60, to: 1, &cluster)
        cluster.run(600)
        compact(1, &cluster)
        cluster.restart(3)
        _ = cluster.run(upTo: 2_000) { $0[3].lastPosition == $0[1].lastPosition }
        cluster.run(100)
        return cluster
    }

    @Test func `a member that took a base is no heir until its volumes are whole`() {
        var cluster = partial()
        #expect(!cluster[3].isWhole)
        let follower = cluster[1].progress.first { $0.node == NodeID(3) }
        #expect(follower?.isPartial == true && follower?.isHeir == false)
        cluster.give(1, .transferLeadership(to: NodeID(3)))
        cluster.run(cluster.timeouts(3))
        #expect(cluster.leader == 1)
        cluster.give(3, .replica(isWhole: true))
        cluster.run(100)
        cluster.give(1, .transferLeadership(to: NodeID(3)))
        #expect(cluster.run(upTo: 2_000) { $0.leader == 3 })
        #expect(cluster.violations == [])
    }

    @Test func `its log counts: commits go on with it while another member is away`() {
        var cluster = partial()
        cluster.crash(2)
        write(5, to: 1, &cluster)
        #expect(cluster[1].commitIndex == cluster[1].lastPosition.index)
        #expect(cluster.violations == [])
    }

    @Test
    func `what only it holds beside a lost leader it hands to a whole member, and serves nothing`()
    {
        var cluster = partial()
        cluster.crash(2)
        write(5, to: 1, &cluster)
        let last = cluster[1].lastPosition.index
        cluster.crash(1)
        cluster.restart(2)
        #expect(cluster[2].lastPosition.index < last, "the whole one lacks what was committed")
        #expect(cluster.run(upTo: 10_000) { $0.leader == 3 }, "\(cluster.summary)")
        #expect(cluster[3].termStartIndex == nil)
        cluster.propose(3)
        #expect(cluster.refusals.last == .transferring)
        #expect(cluster.run(upTo: 5_000) { $0.leader == 2 }, "\(cluster.summary)")
        #expect(cluster.run(upTo: 2_000) { $0[2].commitIndex > last })
        #expect(cluster.violations == [])
    }

    @Test func `alone with a whole member that lacks nothing it lets that one stand first`() {
        var cluster = partial()
        cluster.crash(1)
        #expect(cluster.run(upTo: 5_000) { $0.leader != nil })
        #expect(cluster.leader == 2)
    }

    @Test func `it becomes whole as a caretaker, and then leads like any other`() {
        var cluster = partial()
        cluster.crash(2)
        write(5, to: 1, &cluster)
        cluster.crash(1)
        cluster.restart(2)
        // The other one can't be brought up: its disk stands still.
        cluster.stalled = [NodeID(2)]
        _ = cluster.run(upTo: 10_000) { $0[3].role != .follower }
        cluster.give(3, .replica(isWhole: true))
        #expect(cluster[3].role == .follower)
        cluster.stalled = []
        #expect(cluster.run(upTo: 10_000) { $0.leader != nil }, "\(cluster.summary)")
        cluster.run(100)
        #expect(cluster.violations == [])
    }
}
