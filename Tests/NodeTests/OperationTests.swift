import Decisions
import Mesh
import Node
import Raft
import Record
import Testing
import VolumeCore
import Voting
import Wire

@Suite struct `Operations, writes and the log's end` {
    private static func create(_ name: String) -> Node.Operation {
        .command(.createVolume(name: name, byteCount: 4_096, durability: .sync))
    }

    private func acting(_ shape: @escaping (inout Node.Settings) -> Void = { _ in }) throws -> Trio
    {
        var trio = try Trio(shape)
        #expect(trio.run(upTo: .seconds(2)) { $0.primary == 0 })
        return trio
    }

    private func creations(_ trio: Trio, _ name: String) -> Int {
        trio.seats[0].node.decisions.volumes.count { $0.name == name }
    }

    @Test(arguments: 0..<3)
    func `a command is carried out wherever it is asked`(at: Int) throws {
        var trio = try acting()
        trio.give(at, .operate(.init(1), Self.create("a")))
        #expect(trio.run(upTo: .milliseconds(300)) { $0.seats[at].answers[.init(1)] != nil })
        guard case .done(.created(let volume)) = trio.seats[at].answers[.init(1)] else {
            Issue.record("answered \(String(describing: trio.seats[at].answers[.init(1)]))")
            return
        }
        #expect(volume.name == "a")
        trio.run(.milliseconds(100))
        #expect(creations(trio, "a") == 1)
    }

    @Test func `a command whose note was lost is asked again, and carried out once`() throws {
        var trio = try acting()
        trio.losesNotes = true
        trio.give(1, .operate(.init(1), Self.create("a")))
        trio.run(.milliseconds(100))
        trio.losesNotes = false
        #expect(trio.run(upTo: .seconds(1)) { $0.seats[1].answers[.init(1)] != nil })
        #expect(trio.notes.count == 2)
        trio.run(.seconds(1))
        #expect(
            trio.commands(0).count {
                $0 == .createVolume(name: "a", byteCount: 4_096, durability: .sync)
            } == 1)
    }

    @Test func `a note proposes no promotion and ends nobody's tenure`() throws {
        var trio = try acting()
        let epoch = trio.seats[0].node.decisions.tenure.epoch
        let commands: [Command] = [
            .promote(node: NodeID(2), epoch: epoch.next, warrant: .firstPrimary),
            .relinquish(epoch: epoch),
        ]
        for command in commands {
            let last = trio.seats[0].node.voter.raft.lastPosition
            trio.give(0, .note(.propose(sequence: 1, payload: command.encoded), from: NodeID(2)))
            #expect(trio.seats[0].node.voter.raft.lastPosition == last)
        }
        trio.run(.milliseconds(200))
        #expect(trio.seats[0].node.decisions.tenure.epoch == epoch)
    }

    @Test func `a note claims a backup for its sender only`() throws {
        var trio = try acting()
        trio.carriesGossip = true
        #expect(
            trio.run(upTo: .seconds(20)) { trio in
                trio.seats.allSatisfy { $0.node.meshLevel >= .backups }
            })
        func claim(_ node: UInt64) -> Command {
            .backup(.claimed(slot: WallTime(1), isFull: false, by: NodeID(node), over: nil))
        }
        func made(_ node: UInt64) -> Command {
            let made = BackupDuty.Made(
                number: 1, node: NodeID(node), asOf: WallTime(1), isFull: false)
            return .backup(.made(made, claim: nil))
        }
        for command in [claim(3), made(3)] {
            let last = trio.seats[0].node.voter.raft.lastPosition
            trio.give(0, .note(.propose(sequence: 1, payload: command.encoded), from: NodeID(2)))
            #expect(trio.seats[0].node.voter.raft.lastPosition == last)
        }
        // By whichever member it is asked: here one that follows.
        trio.give(1, .operate(.init(1), claim(2).operation))
        #expect(trio.run(upTo: .seconds(1)) { $0.seats[1].answers[.init(1)] != nil })
        trio.run(.milliseconds(100))
        for seat in trio.seats { #expect(seat.node.decisions.backups.claim?.node == NodeID(2)) }
        #expect(trio.seats[1].node.appliedTime != nil)
    }

    @Test func `a note that comes twice proposes twice, and takes effect once`() throws {
        var trio = try acting()
        trio.give(1, .operate(.init(1), Self.create("a")))
        trio.run(.milliseconds(1))
        let note = try #require(trio.notes.first)
        trio.give(0, .note(note, from: NodeID(2)))
        trio.give(0, .note(note, from: NodeID(2)))
        trio.run(.milliseconds(200))
        guard case .done(.created) = trio.seats[1].answers[.init(1)] else {
            Issue.record("answered \(String(describing: trio.seats[1].answers[.init(1)]))")
            return
        }
        #expect(creations(trio, "a") == 1)
        #expect(trio.seats[0].node.decisions.lastSequence(of: SessionID(2)) == 1)
    }

    @Test func `a command survives the leader it was asked of`() throws {
        var trio = try acting()
        trio.isCut = { from, to in from == 0 || to == 0 }
        trio.give(1, .operate(.init(1), Self.create("a")))
        trio.run(.milliseconds(50))
        trio.crash(0)
        trio.isCut = { _, _ in false }
        #expect(trio.run(upTo: .seconds(5)) { $0.seats[1].answers[.init(1)] != nil })
        guard case .done(.created) = trio.seats[1].answers[.init(1)] else {
            Issue.record("answered \(String(describing: trio.seats[1].answers[.init(1)]))")
            return
        }
        #expect(trio.seats[1].node.decisions.volumes.count == 1)
    }

    /// The simulator found it: volume 1 was given to an operator as the one just created, long after
    /// its deletion.
    @Test func `what an earlier process of the node asked is no answer to who asks the same now`()
        throws
    {
        var trio = try acting()
        trio.isCut = { _, to in to == 1 }
        let command = Command.createVolume(name: "a", byteCount: 4_096, durability: .sync)
        let earlier = command.encoded(request: 7)
        trio.give(0, .note(.propose(sequence: 1, payload: earlier), from: NodeID(2)))
        trio.run(.milliseconds(100))
        trio.give(0, .operate(.init(1), .command(.deleteVolume(VolumeID(1)))))
        trio.run(.milliseconds(100))
        #expect(trio.seats[0].node.decisions.volumes.isEmpty)
        trio.give(1, .operate(.init(2), Self.create("a")))
        trio.isCut = { _, _ in false }
        #expect(trio.run(upTo: .seconds(5)) { $0.seats[1].answers[.init(2)] != nil })
        guard case .done(.created(let volume)) = trio.seats[1].answers[.init(2)] else {
            Issue.record("answered \(String(describing: trio.seats[1].answers[.init(2)]))")
            return
        }
        #expect(trio.seats[1].node.decisions.volumes.map(\.id) == [volume.id])
    }

    @Test func `without a quorum a command is answered as unknown at its deadline`() throws {
        var trio = try acting()
        trio.crash(1)
        trio.crash(2)
        trio.give(0, .operate(.init(1), Self.create("a")))
        trio.run(.seconds(9))
        #expect(trio.seats[0].answers.isEmpty)
        trio.run(.seconds(2))
        guard case .unknown = trio.seats[0].answers[.init(1)] else {
            Issue.record("answered \(String(describing: trio.seats[0].answers[.init(1)]))")
            return
        }
    }

    @Test func `more operations than may wait are turned away, and those who wait are not`() throws
    {
        var trio = try acting { $0.operationsMax = 2 }
        for number in 1...3 as ClosedRange<UInt64> {
            trio.give(1, .operate(.init(number), Self.create("v\(number)")))
        }
        guard case .busy(limit: 2) = trio.seats[1].answers[.init(3)] else {
            Issue.record("answered \(String(describing: trio.seats[1].answers[.init(3)]))")
            return
        }
        trio.run(.milliseconds(600))
        #expect(trio.seats[0].node.decisions.volumes.map(\.name) == ["v1", "v2"])
    }

    // MARK: Writes

    private func draft(_ number: UInt8, epoch: UInt64 = 1) -> Draft {
        Draft(.write, epoch: Epoch(epoch), payload: [number])
    }

    private func writes(_ trio: Trio) -> [UInt8] {
        trio.seats[0].entries.filter { $0.kind == .write }.compactMap(\.payload.first)
    }

    @Test func `writes go into the log in order, and the exports learn where they stand`() throws {
        var trio = try acting()
        trio.give(0, .write([draft(1), draft(2)], ProposalRound(3)))
        trio.give(0, .write([draft(3)], ProposalRound(3)))
        #expect(writes(trio) == [1, 2, 3])
        let first = try #require(trio.seats[0].entries.first { $0.kind == .write })
        var placed: [(LogIndex, Int)] = []
        for case .placed(let at, let count, ProposalRound(3)) in trio.seats[0].told {
            placed.append((at, count))
        }
        #expect(placed.map(\.0) == [first.index, first.index.advanced(by: 2)])
        #expect(placed.map(\.1) == [2, 1])
    }

    @Test func `a disk without room holds the writes back, and lets them go in order`() throws {
        var trio = try acting()
        trio.give(0, .disk(hasRoom: false))
        trio.give(0, .write([draft(1)], .zero))
        trio.give(0, .write([draft(2)], .zero))
        trio.run(.seconds(1))
        #expect(writes(trio).isEmpty)
        #expect(trio.primary == 0, "the seat is held by renewals, which the reserve has room for")
        trio.give(0, .disk(hasRoom: true))
        #expect(writes(trio) == [1, 2])
    }

    @Test func `a new round of proposals replaces what an earlier one still had waiting`() throws {
        var trio = try acting()
        trio.give(0, .disk(hasRoom: false))
        trio.give(0, .write([draft(1), draft(2)], .zero))
        trio.give(0, .write([draft(1), draft(2), draft(3)], ProposalRound(1)))
        trio.give(0, .disk(hasRoom: true))
        #expect(writes(trio) == [1, 2, 3])
    }

    @Test func `writes of another epoch, or at a node that does not act, go nowhere`() throws {
        var trio = try acting()
        trio.give(0, .write([draft(1, epoch: 2)], .zero))
        trio.give(1, .write([draft(2)], .zero))
        trio.run(.milliseconds(100))
        #expect(writes(trio).isEmpty)
    }

    @Test func `writes that wait when the leadership goes are not proposed under a later one`()
        throws
    {
        var trio = try acting()
        trio.give(0, .disk(hasRoom: false))
        trio.give(0, .write([draft(1)], .zero))
        trio.isCut = { from, to in (from == 0) != (to == 0) }
        #expect(trio.run(upTo: .seconds(3)) { $0.isOpen(1) || $0.isOpen(2) })
        trio.give(0, .disk(hasRoom: true))
        trio.isCut = { _, _ in false }
        trio.run(.seconds(2))
        #expect(trio.seats.allSatisfy { $0.entries.allSatisfy { $0.kind != .write } })
    }

    // MARK: The log's end

    @Test func `the log forgets only what the volumes hold and every data member has`() throws {
        var trio = try acting { $0.checkpointEntries = 20 }
        trio.crash(2)
        trio.give(0, .write((1...30).map { draft($0) }, .zero))
        trio.run(.milliseconds(200))
        #expect(trio.seats[0].checkpointsAsked == 1)
        #expect(trio.seats[0].base.position == .zero, "nothing is durable outside the log yet")
        let applied = trio.seats[0].node.decisions.appliedIndex
        trio.give(0, .checkpointed(applied))
        trio.run(.milliseconds(200))
        #expect(trio.seats[0].base.position == .zero, "a member that is away still needs the log")
        try trio.restart(2)
        trio.run(.seconds(1))
        #expect(trio.seats[0].base.position.index > LogIndex(20))
        #expect(trio.seats[0].base.position.index <= applied)
        #expect(trio.seats[2].halted == nil)
    }

    @Test func `one checkpoint is asked at a time`() throws {
        var trio = try acting { $0.checkpointEntries = 5 }
        for number in 1...30 as ClosedRange<UInt8> {
            trio.give(0, .write([draft(number)], .zero))
            trio.run(.milliseconds(5))
        }
        #expect(trio.seats[0].checkpointsAsked == 1)
    }
}

extension Command {
    fileprivate var operation: Node.Operation { .command(self) }
}
