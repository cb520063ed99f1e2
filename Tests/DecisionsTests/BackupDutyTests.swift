import Decisions
import Mesh
import Testing

/// Nodes 1 and 2 at the level that knows backups.
private struct Told {
    var decisions = Decisions.pair
    /// Of the next entry.
    var time = WallTime(1_000)

    init() { _ = decisions.next(.command(.raiseLevel(.backups))) }

    var duty: BackupDuty { decisions.backups }

    mutating func say(_ news: BackupNews) -> Refusal? {
        decisions.apply(
            Decisions.Step(
                index: decisions.appliedIndex.next, epoch: .zero, time: time,
                deed: .command(.backup(news)))
        ).refusal
    }

    mutating func claim(
        _ slot: UInt64, by node: UInt64, over: LogIndex? = nil, isFull: Bool = false
    ) -> Refusal? {
        say(.claimed(slot: WallTime(slot), isFull: isFull, by: NodeID(node), over: over))
    }

    mutating func made(
        _ number: UInt64, by node: UInt64, asOf: UInt64, _ claim: LogIndex?, isFull: Bool = false
    ) -> Refusal? {
        say(
            .made(
                BackupDuty.Made(
                    number: number, node: NodeID(node), asOf: WallTime(asOf), isFull: isFull),
                claim: claim))
    }
}

@Suite("One slot, one backup that counts (ADR 16)")
struct BackupDutyTests {
    @Test func `of two claims the log takes the first`() throws {
        var mesh = Told()
        #expect(mesh.claim(900, by: 2) == nil)
        let claim = try #require(mesh.duty.claim)
        #expect(claim.node == NodeID(2) && claim.since == claim.renewal)
        #expect(
            mesh.claim(900, by: 1) == .backupClaimed(by: NodeID(2), renewal: claim.renewal))
        #expect(mesh.duty.claim == claim)
    }

    @Test func `a claim is taken over by its newest renewal only`() throws {
        var mesh = Told()
        #expect(mesh.claim(900, by: 2) == nil)
        let claim = try #require(mesh.duty.claim)
        #expect(mesh.say(.renewed(claim: claim.since)) == nil)
        let renewed = try #require(mesh.duty.claim)
        #expect(renewed.since == claim.since && renewed.renewal > claim.renewal)
        // What was measured is stale: its holder lives.
        #expect(
            mesh.claim(900, by: 1, over: claim.renewal)
                == .backupClaimed(by: NodeID(2), renewal: renewed.renewal))
        #expect(mesh.claim(900, by: 1, over: renewed.renewal) == nil)
        #expect(mesh.duty.claim?.node == NodeID(1))
        #expect(mesh.duty.failure?.node == NodeID(2))
        #expect(mesh.claim(900, by: 2, over: LogIndex(1)) != nil)
    }

    @Test func `what becomes of a claim that was taken over counts for nothing`() throws {
        var mesh = Told()
        #expect(mesh.claim(900, by: 2) == nil)
        let old = try #require(mesh.duty.claim).since
        #expect(mesh.claim(900, by: 1, over: old) == nil)
        let new = try #require(mesh.duty.claim).since
        #expect(mesh.made(7, by: 2, asOf: 950, old) == .backupClaimOver(old))
        #expect(mesh.say(.renewed(claim: old)) == .backupClaimOver(old))
        #expect(mesh.say(.failed(claim: old, words: "late")) == .backupClaimOver(old))
        #expect(mesh.duty.settled == .zero && mesh.duty.claim?.since == new)
        #expect(mesh.made(8, by: 1, asOf: 960, new) == nil)
        #expect(mesh.duty.settled == WallTime(960) && mesh.duty.claim == nil)
        #expect(mesh.duty.newest?.number == 8)
        #expect(mesh.made(8, by: 1, asOf: 960, new) == .backupClaimOver(new))
    }

    @Test func `a slot with its backup is claimed no more, whoever made it and why`() throws {
        var mesh = Told()
        #expect(mesh.made(3, by: 1, asOf: 905, nil) == nil)
        #expect(mesh.claim(900, by: 2) == .backupSettled(WallTime(900)))
        #expect(mesh.claim(905, by: 2) == .backupSettled(WallTime(905)))
        #expect(mesh.claim(906, by: 2) == nil)
        // Nor one before it.
        let claim = try #require(mesh.duty.claim).since
        #expect(mesh.say(.failed(claim: claim, words: "no room")) == nil)
        #expect(mesh.claim(905, by: 2, isFull: true) == .backupSettled(WallTime(905)))
    }

    @Test func `a full one is claimed though another kind is there, and stands for both`() throws {
        var mesh = Told()
        #expect(mesh.made(3, by: 1, asOf: 905, nil) == nil)
        #expect(mesh.claim(905, by: 2, isFull: true) == nil)
        let claim = try #require(mesh.duty.claim).since
        #expect(mesh.made(4, by: 2, asOf: 910, claim, isFull: true) == nil)
        #expect(mesh.duty.settledFull == WallTime(910) && mesh.duty.settled == WallTime(910))
        #expect(mesh.claim(905, by: 2, isFull: true) == .backupSettled(WallTime(905)))
    }

    @Test func `a slot that has not come is nobody's, and neither is a backup of what is to come`()
    {
        var mesh = Told()
        #expect(mesh.claim(1_001, by: 2) == .backupAhead(WallTime(1_001)))
        #expect(mesh.made(1, by: 2, asOf: 1_001, nil) == .backupAhead(WallTime(1_001)))
        #expect(mesh.claim(1_000, by: 2) == nil)
    }

    @Test func `a slot is begun so often, by whomever, and no more; the next one anew`() throws {
        var mesh = Told()
        for attempt in 0..<BackupDuty.attemptsMax {
            #expect(mesh.claim(900, by: attempt % 2 + 1) == nil)
            let claim = try #require(mesh.duty.claim).since
            #expect(mesh.say(.failed(claim: claim, words: "no room \(attempt)")) == nil)
        }
        #expect(mesh.claim(900, by: 1) == .backupGivenUp(limit: BackupDuty.attemptsMax))
        #expect(mesh.duty.failures == BackupDuty.attemptsMax)
        #expect(mesh.duty.failure?.words == "no room 2")
        #expect(mesh.claim(901, by: 1) == nil)
        let claim = try #require(mesh.duty.claim).since
        #expect(mesh.made(1, by: 1, asOf: 990, claim) == nil)
        #expect(mesh.duty.failure == nil && mesh.duty.failures == 0)
    }

    @Test func `deaths over a slot count as tries`() throws {
        var mesh = Told()
        #expect(mesh.claim(900, by: 1) == nil)
        for _ in 1..<BackupDuty.attemptsMax {
            #expect(mesh.claim(900, by: 2, over: mesh.duty.claim?.renewal) == nil)
        }
        #expect(
            mesh.claim(900, by: 1, over: mesh.duty.claim?.renewal)
                == .backupGivenUp(limit: BackupDuty.attemptsMax))
        #expect(mesh.duty.failures == BackupDuty.attemptsMax - 1)
    }

    @Test func `who stores no volumes makes no backup`() {
        var mesh = Told()
        #expect(mesh.claim(900, by: 3) == .unknownNode(NodeID(3)))
        #expect(mesh.made(1, by: 3, asOf: 900, nil) == .unknownNode(NodeID(3)))
    }

    @Test func `below its feature level nothing of it is taken`() {
        var decisions = Decisions.pair
        let outcome = decisions.next(.command(.backup(.renewed(claim: LogIndex(1)))))
        #expect(outcome.refusal == .levelTooLow(mesh: .first, needed: .backups))
    }

    @Test func `an image holds all of it`() throws {
        var mesh = Told()
        #expect(mesh.made(3, by: 1, asOf: 800, nil) == nil)
        #expect(mesh.claim(900, by: 2) == nil)
        #expect(mesh.claim(900, by: 1, over: mesh.duty.claim?.renewal) == nil)
        #expect(mesh.duty.failure != nil && mesh.duty.newest != nil)
        #expect(Decisions(restoring: mesh.decisions.image) == mesh.decisions)
    }
}
