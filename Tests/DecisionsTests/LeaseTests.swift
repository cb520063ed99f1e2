import Decisions
import Mesh
import Testing

@Suite("The log is the lease (LeaseGuard 2025)")
struct LeaseTests {
    private let terms =
        LeaseTerms(length: .milliseconds(400)) ?? { preconditionFailure("lawful terms") }()
    private func at(_ ms: UInt64) -> Instant { Instant.zero + .milliseconds(ms) }

    @Test func `a primary does not act before a renewal of its own has committed`() {
        var lease = HeldLease(terms, epoch: Epoch(2))
        #expect(!lease.isHeld(at: at(0)))
        lease.proposed(LogIndex(5), epoch: Epoch(2), at: at(0))
        #expect(!lease.isHeld(at: at(1)))
        lease.renewed(through: LogIndex(5))
        #expect(lease.isHeld(at: at(1)))
    }

    @Test func `time counts from the proposal, not from the commit`() {
        var lease = HeldLease(terms, epoch: Epoch(1))
        lease.proposed(LogIndex(5), epoch: Epoch(1), at: at(0))
        lease.renewed(through: LogIndex(5))
        #expect(lease.until == at(0) + terms.holderStops)
        #expect(!lease.isHeld(at: at(0) + terms.holderStops))
    }

    @Test func `another epoch's entry renews nothing`() {
        var lease = HeldLease(terms, epoch: Epoch(2))
        lease.proposed(LogIndex(5), epoch: Epoch(1), at: at(0))
        lease.renewed(through: LogIndex(5))
        #expect(lease.until == nil)
    }

    @Test func `what was lost with the term renews nothing`() {
        var lease = HeldLease(terms, epoch: Epoch(1))
        lease.proposed(LogIndex(5), epoch: Epoch(1), at: at(0))
        lease.proposalsLost()
        lease.renewed(through: LogIndex(6))
        #expect(lease.until == nil)
    }

    @Test func `a late commit of an older renewal shortens nothing`() {
        var lease = HeldLease(terms, epoch: Epoch(1))
        lease.proposed(LogIndex(5), epoch: Epoch(1), at: at(0))
        lease.proposed(LogIndex(6), epoch: Epoch(1), at: at(100))
        lease.renewed(through: LogIndex(6))
        let end = lease.until
        lease.renewed(through: LogIndex(5))
        #expect(lease.until == end)
    }

    @Test func `outstanding renewals are bounded`() {
        var lease = HeldLease(terms, epoch: Epoch(1))
        for i in 1...UInt64(HeldLease.outstandingMax) + 1 {
            lease.proposed(LogIndex(i), epoch: Epoch(1), at: at(i))
        }
        lease.renewed(through: LogIndex(1))
        #expect(lease.until == nil, "the oldest was dropped; forgetting only ends a lease sooner")
        lease.renewed(through: LogIndex(2))
        #expect(lease.until == at(2) + terms.holderStops)
    }

    @Test func `a node that has just started takes the lease for fresh`() {
        var decisions = Decisions.pair
        _ = decisions.promote(1, 1, .firstPrimary)
        let lease = ObservedLease(terms, processStart: at(1_000))
        #expect(lease.warrant(for: decisions.tenure, at: at(1_400)) == nil)
        #expect(
            lease.warrant(for: decisions.tenure, at: lease.ends)
                == .leaseEnded(renewal: LogIndex(1)))
    }

    @Test func `each received renewal begins the wait anew`() {
        var lease = ObservedLease(terms, processStart: at(0))
        lease.received(at: at(300))
        #expect(lease.ends == at(300) + terms.successorStarts)
        lease.received(at: at(200))
        #expect(lease.ends == at(300) + terms.successorStarts)
    }

    @Test(arguments: [0, 49, 60_001] as [UInt64])
    func `a lease outside the limits is no lease`(ms: UInt64) {
        #expect(LeaseTerms(length: .milliseconds(ms)) == nil)
    }

    /// Without the margins on both sides this fails within a few seeds.
    @Test
    func `over all clocks within the drift bound, the holder stops before a successor starts`() {
        var random = SeededRandom(seed: 7)
        for _ in 0..<2_000 {
            let length = Interval.milliseconds(50 + random.next() % 59_950)
            guard let terms = LeaseTerms(length: length, driftPerMille: 10) else {
                Issue.record("lawful terms were refused")
                return
            }
            // Rates of the two clocks in parts per ten thousand of true time, less than 1 % apart.
            let slow = 9_900 + random.next() % 200
            let fast = slow + random.next() % 99
            let (holderRate, successorRate) =
                random.chance(1, in: 2) ? (slow, fast) : (fast, slow)
            var held = HeldLease(terms, epoch: Epoch(1))
            held.proposed(LogIndex(1), epoch: Epoch(1), at: .zero)
            held.renewed(through: LogIndex(1))
            // Received at the very moment of the proposal: the worst case.
            let observed = ObservedLease(terms, processStart: .zero)
            let holderStops = (held.until ?? .zero).nanoseconds / holderRate
            let successorStarts = observed.ends.nanoseconds / successorRate
            #expect(holderStops < successorStarts)
        }
    }
}
