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

    @Test func `who applied nothing yet can't say as of when it would be`() throws {
        var trio = try Trio()
        trio.give(0, .cut(CutTicket(1), since: nil))
        #expect(Self.orders(trio, 0).map(\.moment) == [nil])
    }
}
