import Mesh
import Node
import Record
import Testing
import VolumeCore

@Suite("How long writes take to each replica")
struct ReplicaLagTests {
    private func acting() throws -> Trio {
        var trio = try Trio()
        #expect(trio.run(upTo: .seconds(2)) { $0.isOpen(0) })
        return trio
    }

    private func drafts(_ count: Int) -> [Draft] {
        (0..<count).map { Draft(.write, epoch: Epoch(1), payload: [UInt8(truncatingIfNeeded: $0)]) }
    }

    private func replica(_ trio: Trio, _ id: UInt64) -> LagHistogram? {
        trio.seats[0].node.lags.replicas.first { $0.node == NodeID(id) }?.histogram
    }

    @Test func `each write counts once for each replica, from its answer to the acknowledgement`()
        throws
    {
        var trio = try acting()
        // There and back is two milliseconds here; it was answered three before it came to the log.
        trio.give(0, .write(drafts(7), .zero, answeredAt: trio.now - .milliseconds(3)))
        trio.run(.milliseconds(50))
        trio.give(0, .write(drafts(1), .zero))
        trio.run(.milliseconds(50))
        for id in [2, 3] as [UInt64] {
            let lag = try #require(replica(trio, id))
            #expect(lag.count == 8)
            #expect(lag.longest == .milliseconds(5))
            let median = try #require(lag.percentile(50))
            #expect((5_000...5_312).contains(median))
            let least = try #require(lag.percentile(1))
            #expect((2_000...2_125).contains(least), "the last one did not wait")
        }
        #expect(replica(trio, 1) == nil, "this node is not its own replica")
    }

    @Test func `what waits for the disk's room waits for its replicas too`() throws {
        var trio = try acting()
        trio.give(0, .disk(hasRoom: false))
        trio.give(0, .write(drafts(2), .zero))
        trio.run(.milliseconds(500))
        #expect(replica(trio, 2) == nil)
        trio.give(0, .disk(hasRoom: true))
        trio.run(.milliseconds(50))
        #expect(replica(trio, 2)?.longest == .milliseconds(502))
        #expect(replica(trio, 2)?.count == 2)
    }

    @Test func `a replica that is away counts once it is back, and the other one goes on`() throws {
        var trio = try acting()
        trio.isCut = { from, to in from == 2 || to == 2 }
        trio.give(0, .write(drafts(3), .zero))
        trio.run(.seconds(1))
        #expect(replica(trio, 2)?.count == 3)
        #expect(replica(trio, 3)?.count ?? 0 == 0)
        trio.isCut = { _, _ in false }
        trio.run(.seconds(1))
        let late = try #require(replica(trio, 3))
        #expect(late.count == 3 && late.longest > .seconds(1))
    }

    @Test func `more than is held of one that is away counts as later than all others`() throws {
        var trio = try acting()
        trio.isCut = { from, to in from == 2 || to == 2 }
        for _ in 0..<9_000 {
            trio.give(0, .write(drafts(1), .zero))
            trio.run(.milliseconds(1))
        }
        let away = try #require(replica(trio, 3))
        #expect((700...9_000).contains(away.count), "the oldest are let go of")
        #expect(away.percentile(1) == LagHistogram.microsecondsMax)
        #expect(replica(trio, 2)?.count ?? 0 > 8_900)
    }

    @Test func `a percentile is never below the truth, and a sixteenth above it at most`() {
        var lengths: [UInt64] = []
        var histogram = LagHistogram()
        var chance = SeededRandom(seed: 7)
        for _ in 0..<4_999 {
            let length = UInt64.random(
                in: 0...1 << UInt64.random(in: 0...25, using: &chance), using: &chance)
            lengths.append(length)
            histogram.add(.microseconds(length), times: 1)
        }
        lengths.sort()
        for hundredths in [1, 10, 50, 90, 99, 100] as [UInt64] {
            let truth = lengths[max(1, (4_999 * Int(hundredths) + 99) / 100) - 1]
            let told = histogram.percentile(hundredths) ?? 0
            #expect(told >= truth && told <= truth + truth / 16, "\(hundredths): \(truth), \(told)")
        }
        #expect(histogram.longest == .microseconds(lengths[4_998]))
        #expect(LagHistogram().percentile(50) == nil)
    }
}
