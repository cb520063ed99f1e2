import Decisions
import Mesh
import Node
import Record
import Testing
import VolumeCore
import Wire

@Suite struct `Orders of a cut` {
    private static func orders(_ trio: Trio, _ at: Int) -> [CutOrder] {
        trio.seats[at].told.compactMap { if case .cut(let order) = $0 { order } else { nil } }
    }

    @Test func `a cut is as of the last entry that the volumes were handed`()
        throws
    {
        var trio = try Trio()
        #expect(trio.run(upTo: .seconds(2)) { $0.primary == 0 })
        let create = Command.createVolume(name: "a", byteCount: 4_096, durability: .sync)
        trio.give(0, .operate(Node.OperationID(1), .command(create)))
        #expect(trio.run(upTo: .seconds(2)) { $0.seats[1].node.decisions.volumes.count == 1 })
        for at in 0..<2 {
            trio.give(at, .cut(CutTicket(UInt64(at + 5)), since: LogIndex(3)))
            let order = try #require(Self.orders(trio, at).last)
            let last = try #require(trio.seats[at].applied.last?.entry)
            #expect(order.ticket == CutTicket(UInt64(at + 5)) && order.since == LogIndex(3))
            #expect(order.moment?.place == CutOrder.Place(position: last.position, time: last.time))
            #expect(order.moment?.epoch == Epoch(1))
            let decided = try Decisions(parsing: try #require(order.moment).decisions)
            #expect(decided.volumes.map(\.name) == ["a"])
            #expect(decided.image.appliedIndex == last.index)
        }
    }

    /// What is decided before a mark is asked for lies before it in the log, however far behind a replica is.
    @Test
    func `behind a mark a replica has applied all that was decided before, and nobody is told`()
        throws
    {
        var trio = try Trio()
        trio.carriesGossip = true
        #expect(trio.run(upTo: .seconds(2)) { $0.primary == 0 })
        #expect(
            trio.run(upTo: .seconds(10)) {
                $0.seats.allSatisfy { $0.node.decisions.level >= .backups }
            })
        trio.isCut = { from, to in from == 1 || to == 1 }
        let create = Command.createVolume(name: "a", byteCount: 4_096, durability: .sync)
        trio.give(0, .operate(Node.OperationID(1), .command(create)))
        #expect(trio.run(upTo: .seconds(2)) { $0.seats[0].answers[Node.OperationID(1)] != nil })
        #expect(trio.seats[1].node.decisions.volumes.isEmpty)
        trio.isCut = { _, _ in false }
        let happened = trio.seats[1].happened.count
        let decided = trio.seats[0].node.decisions.backups
        trio.give(1, .operate(Node.OperationID(2), .command(.backup(.mark))))
        #expect(trio.run(upTo: .seconds(5)) { $0.seats[1].answers[Node.OperationID(2)] != nil })
        #expect(
            trio.seats[1].answers[Node.OperationID(2)] == .done(.refused(.backupClaimOver(.zero))))
        #expect(trio.seats[1].node.decisions.volumes.map(\.name) == ["a"])
        #expect(
            trio.seats[1].happened[happened...].allSatisfy {
                if case .refused = $0 { false } else { true }
            })
        #expect(trio.seats[0].node.decisions.backups == decided)
    }

    @Test func `who applied nothing yet can't say as of when it would be`() throws {
        var trio = try Trio()
        trio.give(0, .cut(CutTicket(1), since: nil))
        #expect(Self.orders(trio, 0).map(\.moment) == [nil])
    }
}
