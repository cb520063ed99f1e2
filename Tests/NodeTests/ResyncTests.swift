import Decisions
import Mesh
import Raft
import Record
import Testing
import VolumeCore
import Voting
import Wire

@testable import Node

@Suite("A replica that the log no longer reaches, as its node sees it")
struct ResyncTests {
    private static let copying = ResyncStanding(
        isCopying: true, missingByteCount: 3 << 20, wholeByteCount: 12 << 20)

    private func acting() throws -> Trio {
        var trio = try Trio()
        trio.run(upTo: .seconds(5)) { $0.primary == 0 }
        return trio
    }

    /// Sends node 2 a base whose decisions name a volume.
    private func base(
        _ trio: inout Trio, at index: UInt64, _ state: [UInt8]? = nil,
        using session: SessionID? = nil
    ) {
        var decisions = trio.seats[0].node.decisions
        if let session {
            let next = decisions.lastSequence(of: session) + 1
            _ = decisions.apply(
                Decisions.Step(
                    index: decisions.appliedIndex.next, epoch: .zero, session: session,
                    sequence: next, deed: .command(.prefer(Trio.regions[2]))))
        }
        while decisions.appliedIndex < LogIndex(index) {
            _ = decisions.apply(
                Decisions.Step(index: decisions.appliedIndex.next, epoch: .zero, deed: .blank))
        }
        let base = Base(
            position: Position(index: LogIndex(index), term: Term(1)), membership: Trio.membership,
            state: state ?? decisions.encoded)
        let chunk = Letter.SnapshotChunk(
            position: base.position, byteCount: base.contents.count,
            checksum: Checksum.crc32c(base.contents), offset: 0, bytes: base.contents)
        trio.give(
            1,
            .letter(
                Letter(
                    from: NodeID(1), to: NodeID(2), group: Trio.group,
                    term: trio.seats[1].node.voter.raft.term, body: .snapshot(chunk))))
    }

    @Test func `a base brings what was decided, and the volumes are told that they lack the rest`()
        throws
    {
        var trio = try acting()
        base(&trio, at: 900)
        let node = trio.seats[1].node
        #expect(trio.seats[1].halted == nil)
        #expect(node.decisions.appliedIndex == LogIndex(900))
        #expect(node.decisions.tenure.primary?.node == NodeID(1))
        #expect(trio.seats[1].behind == LogIndex(900) && node.resync != nil)
        #expect(trio.seats[1].happened.contains(.resync(isWhole: false)))
        #expect(!node.voter.raft.isWhole)
    }

    @Test func `the leader is asked again and again, until the volumes lack nothing`() throws {
        var trio = try acting()
        base(&trio, at: 900)
        trio.give(1, .resync(Self.copying, behind: LogIndex(900)))
        trio.seats[1].pulled = nil
        trio.isCut = { _, _ in true }
        for _ in 0..<60 {
            trio.now = trio.now + .milliseconds(1)
            trio.give(1, .wake)
        }
        #expect(trio.seats[1].pulled == NodeID(1))
        trio.give(1, .resync(nil, behind: LogIndex(900)))
        #expect(trio.seats[1].node.resync == nil && trio.seats[1].node.voter.raft.isWhole)
        #expect(trio.seats[1].happened.last == .resync(isWhole: true))
    }

    @Test func `what the volumes said before they heard of the base makes nothing whole`() throws {
        var trio = try acting()
        base(&trio, at: 900)
        trio.give(1, .resync(nil, behind: LogIndex(899)))
        #expect(trio.seats[1].node.resync != nil && !trio.seats[1].node.voter.raft.isWhole)
    }

    @Test func `an operation whose end a base hides is answered as unknown, and not asked again`()
        throws
    {
        var trio = try acting()
        trio.losesNotes = true
        trio.give(1, .operate(Node.OperationID(4), .command(.prefer(Trio.regions[2]))))
        #expect(trio.seats[1].answers[Node.OperationID(4)] == nil)
        base(&trio, at: 900, using: SessionID(2))
        #expect(trio.seats[1].answers[Node.OperationID(4)] == .unknown(leader: NodeID(1)))
        let asked = trio.notes.count
        trio.run(.seconds(1))
        #expect(trio.notes.count == asked)
    }

    @Test func `a base whose decisions can't be read stops the node`() throws {
        var trio = try acting()
        base(&trio, at: 900, [0xff, 0xff, 0xff])
        #expect(trio.seats[1].halted == .unreadableBase(LogIndex(900)))
    }

    @Test func `nobody hands over to a member whose volumes lack something`() throws {
        var trio = try acting()
        trio.give(1, .resync(Self.copying, behind: .zero))
        trio.run(.milliseconds(200))
        trio.give(0, .operate(Node.OperationID(1), .switchOver(Trio.regions[1])))
        trio.run(.milliseconds(50))
        let answer = trio.seats[0].answers[Node.OperationID(1)]
        guard case .declined(let why) = answer else {
            Issue.record("\(String(describing: answer))")
            return
        }
        #expect(why.contains("still taking what it missed"))
    }

    @Test func `it takes over from nobody, and the other one does`() throws {
        var trio = try acting()
        trio.give(1, .resync(Self.copying, behind: .zero))
        trio.run(.milliseconds(200))
        trio.crash(0)
        #expect(trio.run(upTo: .seconds(6)) { $0.primary == 2 })
        #expect(trio.words(1).isEmpty)
    }

    @Test(arguments: [nil, copying, ResyncStanding.unknown])
    func `what it lacks is told in the gossip, and read again`(standing: ResyncStanding?) throws {
        let report = Report(
            applied: LogIndex(4), last: LogIndex(9), hasRoom: false, resync: standing,
            bulletin: [7, 8], speaks: .spoken, mesh: .first)
        #expect(Report(parsing: report.encoded) == report)
    }
}
