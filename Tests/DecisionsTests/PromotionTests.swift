import Decisions
import Mesh
import Testing

@Suite("Who is primary")
struct PromotionTests {
    @Test func `the first primary needs no lease to end, the second does`() {
        var decisions = Decisions.pair
        #expect(decisions.promote(1, 1, .firstPrimary).refusal == nil)
        #expect(decisions.tenure.primary?.region == east)
        #expect(
            decisions.promote(2, 2, .firstPrimary).refusal == .noSuchWarrant(.firstPrimary))
        #expect(decisions.tenure.epoch == Epoch(1))
    }

    @Test func `a lease measured from an older renewal promotes nobody`() {
        var decisions = Decisions.pair
        _ = decisions.promote(1, 1, .firstPrimary)
        _ = decisions.next(.blank, epoch: 1)
        #expect(
            decisions.promote(2, 2, .leaseEnded(renewal: LogIndex(1))).refusal
                == .leaseRenewedSince(measured: LogIndex(1), latest: LogIndex(2)))
        #expect(decisions.promote(2, 2, .leaseEnded(renewal: LogIndex(2))).refusal == nil)
    }

    @Test func `a promotion is as fresh as a renewal`() {
        var decisions = Decisions.pair
        _ = decisions.promote(1, 1, .firstPrimary)
        _ = decisions.next(.blank, epoch: 1)
        _ = decisions.promote(2, 2, .leaseEnded(renewal: LogIndex(2)))
        #expect(
            decisions.promote(1, 3, .leaseEnded(renewal: LogIndex(2))).refusal
                == .leaseRenewedSince(measured: LogIndex(2), latest: LogIndex(3)))
    }

    @Test func `a deposed primary's late entries neither renew nor write`() {
        var decisions = Decisions.pair
        _ = decisions.promote(1, 1, .firstPrimary)
        _ = decisions.promote(2, 2, .leaseEnded(renewal: LogIndex(1)))
        let stale = Refusal.staleEpoch(current: Epoch(2), offered: Epoch(1))
        #expect(decisions.next(.record, epoch: 1).refusal == stale)
        #expect(decisions.next(.blank, epoch: 1).refusal == stale)
        #expect(decisions.next(.record, epoch: 2) == .renewed(Epoch(2)))
    }

    @Test func `a record without an epoch is refused`() {
        var decisions = Decisions.pair
        #expect(
            decisions.next(.record).refusal
                == .staleEpoch(current: .zero, offered: .zero))
        #expect(decisions.next(.blank) == .nothing)
    }

    @Test func `an epoch is never skipped and never used twice`() {
        var decisions = Decisions.pair
        #expect(decisions.promote(1, 2, .firstPrimary).refusal != nil)
        _ = decisions.promote(1, 1, .firstPrimary)
        #expect(decisions.promote(2, 1, .leaseEnded(renewal: LogIndex(2))).refusal != nil)
    }

    @Test func `two promotions with the same warrant: the log's order decides`() {
        var decisions = Decisions.pair
        _ = decisions.promote(1, 1, .firstPrimary)
        let warrant = Warrant.leaseEnded(renewal: LogIndex(1))
        #expect(decisions.promote(2, 2, warrant).refusal == nil)
        #expect(decisions.promote(1, 2, warrant).refusal != nil)
        #expect(decisions.tenure.primary?.node == NodeID(2))
    }

    @Test func `who relinquishes writes no more, and its successor need not wait`() {
        var decisions = Decisions.pair
        _ = decisions.promote(1, 1, .firstPrimary)
        #expect(decisions.next(.command(.relinquish(epoch: Epoch(1)))).refusal == nil)
        #expect(decisions.next(.record, epoch: 1).refusal != nil)
        #expect(decisions.next(.blank, epoch: 1).refusal != nil)
        #expect(decisions.promote(2, 2, .relinquished(at: LogIndex(1))).refusal != nil)
        #expect(decisions.promote(2, 2, .relinquished(at: LogIndex(2))).refusal == nil)
    }

    @Test func `only data members become primary`() {
        var decisions = Decisions.pair
        #expect(decisions.promote(9, 1, .firstPrimary).refusal == .unknownNode(NodeID(9)))
    }

    @Test func `a preferred region must have a data member`() throws {
        var decisions = Decisions.pair
        let north = try #require(RegionName("eu-north-1"))
        #expect(decisions.next(.command(.prefer(north))).refusal == .unknownRegion(north))
        #expect(decisions.next(.command(.prefer(west))) == .preferred(west))
    }
}
