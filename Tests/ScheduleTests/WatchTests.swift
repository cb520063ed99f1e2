import Decisions
import Mesh
import Schedule
import Testing

/// One member of three, of which node 1 is primary, with a schedule of every hour.
private struct Member {
    static let hour: UInt64 = 3_600_000_000_000
    /// 2026-11-27 08:30.
    static let morning = wall(minutes(2026, 11, 27, 8, 30))
    static let slot = wall(minutes(2026, 11, 27, 8, 0))

    var watch = BackupWatch()
    var view: BackupWatch.View
    var now = Instant.zero + .seconds(1_000)

    init(_ own: UInt64, full: String? = nil, _ duty: BackupDuty = BackupDuty()) throws {
        view = BackupWatch.View(
            own: NodeID(own),
            schedule: BackupSchedule(
                runs: try Cron(parsing: "0 * * * *"), full: try full.map { try Cron(parsing: $0) }),
            duty: duty, time: Self.morning, members: [NodeID(1), NodeID(2), NodeID(3)],
            primary: NodeID(1))
    }

    mutating func look(after wait: Interval = .zero) -> BackupNews? {
        now = now + wait
        return watch.look(view, at: now)
    }

    func claim(over: LogIndex? = nil, isFull: Bool = false) -> BackupNews {
        .claimed(slot: Self.slot, isFull: isFull, by: view.own, over: over)
    }

    mutating func hold(_ node: UInt64, since: UInt64 = 40, renewal: UInt64 = 40) {
        view.duty.claim = BackupDuty.Claim(
            node: NodeID(node), slot: Self.slot, isFull: false, since: LogIndex(since),
            renewal: LogIndex(renewal))
        view.duty.attempts = BackupDuty.Attempts(slot: Self.slot, count: 1)
    }
}

@Suite("Who makes the backup of a slot, and when it says so")
struct WatchTests {
    private static let lapse = BackupWatch.lapse
    private static let instant = Interval.milliseconds(1)

    @Test func `the first who is not primary claims at once, the others later, the primary last`()
        throws
    {
        for (node, wait) in [(2, 0), (3, 1), (1, 2)] as [(UInt64, UInt64)] {
            var member = try Member(node)
            let patience = BackupWatch.headStart * wait
            if wait > 0 {
                #expect(member.look() == nil)
                #expect(member.look(after: patience - Self.instant) == nil)
                #expect(member.look(after: Self.instant) == member.claim())
            } else {
                #expect(member.look() == member.claim())
            }
        }
    }

    @Test func `who can't make one claims none, and its turn begins anew once it can`() throws {
        var member = try Member(3)
        #expect(member.look() == nil)
        member.view.isAble = false
        #expect(member.look(after: .seconds(60)) == nil)
        member.view.isAble = true
        #expect(member.look() == nil)
        #expect(member.look(after: BackupWatch.headStart) == member.claim())
        var stranger = try Member(4)
        #expect(stranger.look(after: .seconds(600)) == nil)
    }

    @Test func `one backup stands for all slots that were missed, and for none that comes`() throws
    {
        var member = try Member(2, BackupDuty(settled: WallTime(1)))
        #expect(member.look() == member.claim())
        member.view.duty.settled = Member.slot
        #expect(member.look() == nil)
        // By hand, between two slots.
        member.view.duty.settled = WallTime(Member.slot.rawValue + Member.hour - 1)
        member.view.time = WallTime(Member.slot.rawValue + Member.hour - 1)
        #expect(member.look() == nil)
        member.view.time = WallTime(Member.slot.rawValue + Member.hour)
        #expect(
            member.look()
                == .claimed(slot: member.view.time, isFull: false, by: NodeID(2), over: nil))
    }

    @Test func `one is full where the last moment for a full one has none`() throws {
        // Sundays at three: the last one was the 22nd.
        let sunday = wall(minutes(2026, 11, 22, 3))
        var member = try Member(2, full: "0 3 * * 0", BackupDuty(settled: Member.slot))
        #expect(member.look() == member.claim(isFull: true))
        member.view.duty.settledFull = sunday
        #expect(member.look() == nil)
        member.view.duty.settled = WallTime(Member.slot.rawValue - 1)
        #expect(member.look() == member.claim())
    }

    @Test func `a claim of who is heard is left alone while it is renewed`() throws {
        var member = try Member(2)
        for renewal in 40..<50 as Range<UInt64> {
            member.hold(3, renewal: renewal)
            #expect(member.look() == nil)
            #expect(member.look(after: Self.lapse - Self.instant) == nil)
        }
        #expect(member.look(after: Self.instant) == member.claim(over: LogIndex(49)))
    }

    @Test func `a claim of who is gone, or of an earlier process here, is taken over at once`()
        throws
    {
        var member = try Member(2)
        member.hold(3)
        #expect(member.look() == nil)
        member.view.gone = [NodeID(3)]
        #expect(member.look() == member.claim(over: LogIndex(40)))
        member.hold(2)
        member.view.gone = []
        #expect(member.look() == member.claim(over: LogIndex(40)))
    }

    @Test func `whose backup runs says so every quarter of a minute, and claims nothing`() throws {
        var member = try Member(2)
        member.hold(2)
        member.view.running = LogIndex(40)
        #expect(member.look() == nil)
        #expect(member.look(after: BackupWatch.renewEvery - Self.instant) == nil)
        #expect(member.look(after: Self.instant) == .renewed(claim: LogIndex(40)))
        #expect(member.look(after: Self.instant) == nil)
        // Another one took over.
        member.hold(3, since: 60, renewal: 60)
        #expect(member.look(after: .seconds(600)) == nil)
    }

    @Test func `a failure is followed by a rest, and the next try is another member's first`()
        throws
    {
        for (node, wait) in [(3, 0), (1, 1), (2, 2)] as [(UInt64, UInt64)] {
            var member = try Member(node)
            member.view.duty.attempts = BackupDuty.Attempts(slot: Member.slot, count: 1)
            member.view.duty.failure = BackupDuty.Failure(
                node: NodeID(2), slot: Member.slot, at: Member.morning, words: "no room")
            #expect(member.look() == nil)
            let rest = BackupWatch.retryAfter.nanoseconds
            member.view.time = WallTime(Member.morning.rawValue + rest - 1)
            #expect(member.look(after: .seconds(299)) == nil)
            member.view.time = WallTime(Member.morning.rawValue + rest)
            if wait > 0 { #expect(member.look() == nil) }
            #expect(member.look(after: BackupWatch.headStart * wait) == member.claim())
        }
    }

    @Test func `a slot that was begun so often is left, and the next one is not`() throws {
        var member = try Member(2)
        member.view.duty.attempts = BackupDuty.Attempts(
            slot: Member.slot, count: BackupDuty.attemptsMax)
        #expect(member.look(after: .seconds(3_000)) == nil)
        // Nor is it taken from who died over it.
        member.hold(3)
        member.view.duty.attempts = BackupDuty.Attempts(
            slot: Member.slot, count: BackupDuty.attemptsMax)
        #expect(member.look(after: .seconds(3_000)) == nil)
        member.view.time = WallTime(Member.slot.rawValue + Member.hour)
        #expect(
            member.look(after: .seconds(3_000))
                == .claimed(
                    slot: member.view.time, isFull: false, by: NodeID(2), over: LogIndex(40)))
    }

    @Test func `a backup is overdue once two slots came behind it`() throws {
        let schedule = try Member(2, full: "30 * * * *").view.schedule
        let now = wall(minutes(2026, 11, 27, 8, 45))
        #expect(schedule.overdueBefore(now) == wall(minutes(2026, 11, 27, 8, 0)))
        #expect(schedule.next(after: now) == wall(minutes(2026, 11, 27, 9, 0)))
        #expect(schedule.overdueBefore(wall(29)) == nil)
        #expect(schedule.overdueBefore(wall(30)) == wall(0))
    }
}
