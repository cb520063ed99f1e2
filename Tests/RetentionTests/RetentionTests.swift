import Mesh
import Retention
import Testing

/// Backups whose numbers begin at 1.
private struct Line {
    static let hour: UInt64 = 3_600_000_000_000
    static let day = 24 * hour
    /// 2026-01-01 00:00 UTC, a Thursday.
    static let year2026: UInt64 = 20_454 * day

    var backups: [Dated] = []
    var cluster = ClusterID(high: 1, low: 2)

    mutating func add(_ time: UInt64, whole: Bool = true, held: Bool = false) {
        let number = UInt64(backups.count + 1)
        backups.append(
            Dated(
                number: number, cluster: cluster, group: GroupID(1), index: LogIndex(number * 10),
                time: WallTime(time), isWhole: whole, isHeld: held))
    }

    mutating func add(hourly count: Int, from start: UInt64) {
        for hour in 0..<count { add(start + UInt64(hour) * Self.hour) }
    }

    func fates(
        _ policy: RetentionPolicy = RetentionPolicy(), now: UInt64? = nil
    ) -> [Retention.Fate] {
        let now = now ?? backups.map(\.time.rawValue).max() ?? 0
        return Retention.fates(backups, by: policy, now: WallTime(now))
    }

    func kept(_ policy: RetentionPolicy = RetentionPolicy(), now: UInt64? = nil) -> [UInt64] {
        zip(backups, fates(policy, now: now)).filter { $1.isKept }.map(\.0.number)
    }

    /// As a prune leaves it.
    mutating func prune(now: UInt64? = nil) {
        let kept = Set(kept(now: now))
        backups.removeAll { !kept.contains($0.number) }
    }
}

@Suite("Retention") struct RetentionTests {
    private typealias Kind = RetentionSlot.Kind

    private func count(_ fates: [Retention.Fate], _ kind: Kind) -> Int {
        fates.filter { fate in
            guard case .kept(let reasons) = fate else { return false }
            return reasons.contains {
                if case .slot(let slot) = $0 { slot.kind == kind } else { false }
            }
        }.count
    }

    @Test func `hourly backups of three years leave what the rules say`() {
        var line = Line()
        line.add(hourly: 3 * 366 * 24, from: Line.year2026)
        let fates = line.fates()
        #expect(count(fates, .hourly) == 7 * 24)
        #expect(count(fates, .daily) == 30 || count(fates, .daily) == 31)
        #expect((12...14).contains(count(fates, .weekly)))
        #expect((12...13).contains(count(fates, .monthly)))
        // Three days of 2029.
        #expect(count(fates, .yearly) == 4)
        #expect(fates.last?.isKept == true)
    }

    /// Pruned each day or once in the end: the same is left of what the rules reach.
    @Test func `pruning often leaves what pruning once leaves`() {
        var (often, once) = (Line(), Line())
        var next: UInt64 = 1
        for hour in 0..<(400 * 24) {
            let time = Line.year2026 + UInt64(hour) * Line.hour
            for line in [0, 1] {
                let backup = Dated(
                    number: next, cluster: often.cluster, group: GroupID(1), index: LogIndex(next),
                    time: WallTime(time), isWhole: true, isHeld: false)
                if line == 0 { often.backups.append(backup) } else { once.backups.append(backup) }
            }
            next += 1
            if hour % 24 == 23 { often.prune() }
        }
        once.prune()
        #expect(often.backups == once.backups)
    }

    @Test func `each fate says why`() throws {
        var line = Line()
        line.add(Line.year2026, held: true)
        line.add(Line.year2026 + Line.day)
        line.add(Line.year2026 + Line.day + 60)
        line.add(Line.year2026 + 2 * Line.day, whole: false)
        line.add(Line.year2026 + 2 * Line.day + 1)
        let policy = try #require(RetentionPolicy(newest: 1))
        let fates = line.fates(policy)
        guard case .kept(let held) = fates[0], case .kept(let newest) = fates[4] else {
            return #expect(Bool(false), "both are kept")
        }
        #expect(held.map(\.description) == ["held", "hourly 2026-01-01 00h", "daily 2026-01-01"])
        #expect(
            newest.map(\.description) == [
                "newest", "hourly 2026-01-03 00h", "daily 2026-01-03", "weekly 2026-W01",
                "monthly 2026-01", "yearly 2026",
            ])
        #expect(
            fates[1]
                == .goes(
                    .represented(
                        by: 3, RetentionSlot(.hourly, of: WallTime(Line.year2026 + Line.day)))))
        #expect(fates[3] == .goes(.notWhole))
        let short = try #require(
            RetentionPolicy(
                newest: 1,
                days: [.hourly: 0, .daily: 1, .weekly: 0, .monthly: 0, .yearly: 0]))
        #expect(line.fates(short)[1] == .goes(.tooOld))
    }

    @Test func `slots at the edges of weeks, months and years`() {
        func names(_ days: Int, hours: Int = 0) -> [String] {
            let time = UInt64(days) * Line.day + UInt64(hours) * Line.hour
            return Kind.allCases.map { RetentionSlot($0, of: WallTime(time)).name }
        }
        #expect(names(0) == ["1970-01-01 00h", "1970-01-01", "1970-W01", "1970-01", "1970"])
        // 2026-12-31 is a Thursday, so 2027 begins in week 53 of 2026.
        #expect(names(20_818, hours: 23)[2] == "2026-W53")
        #expect(names(20_819) == ["2027-01-01 00h", "2027-01-01", "2026-W53", "2027-01", "2027"])
        #expect(names(20_822)[2] == "2027-W01")
        // A leap day, and none in 2100.
        #expect(names(19_782)[1] == "2024-02-29" && names(19_783)[1] == "2024-03-01")
        #expect(names(47_540)[1] == "2100-02-28" && names(47_541)[1] == "2100-03-01")
        // The last week of 2024 belongs to 2025.
        #expect(names(20_087)[2] == "2025-W01")
    }

    @Test func `the newest whole one of a slot is kept, and the last one whatever it is`() throws {
        var line = Line()
        for (minute, whole) in [true, true, false, false].enumerated() {
            line.add(Line.year2026 + UInt64(minute) * 60_000_000_000, whole: whole)
        }
        let policy = try #require(RetentionPolicy(newest: 1))
        #expect(line.kept(policy) == [2, 4])
    }

    @Test func `one that is not whole stands for no day`() throws {
        var line = Line()
        line.add(Line.year2026)
        line.add(Line.year2026 + 60, whole: false)
        line.add(Line.year2026 + Line.day)
        #expect(line.kept(try #require(RetentionPolicy(newest: 1))) == [1, 3])
    }

    @Test func `a policy of nothing keeps the newest, and as many as it names`() throws {
        let none = Dictionary(uniqueKeysWithValues: Kind.allCases.map { ($0, 0) })
        var line = Line()
        line.add(hourly: 20, from: Line.year2026)
        #expect(line.kept(try #require(RetentionPolicy(newest: 1, days: none))) == [20])
        #expect(
            line.kept(try #require(RetentionPolicy(newest: 4, days: none))) == [17, 18, 19, 20])
        #expect(RetentionPolicy(newest: 0) == nil)
        #expect(RetentionPolicy(days: [.daily: -1]) == nil)
        #expect(RetentionPolicy(days: [.daily: RetentionPolicy.daysMax + 1]) == nil)
    }
}

@Suite("Retention where clocks were wrong") struct WrongClockTests {
    private static let year = 365 * Line.day

    /// Whatever one backup's time says, all others are kept that would be without it.
    @Test(arguments: [-400, -365, -20, -1, 1, 20, 365, 4_000], [0, 40, 80, 99])
    func `one wrong time pushes out nothing`(days: Int, at: Int) {
        for asks in [true, false] {
            var (right, wrong) = (Line(), Line())
            for hour in 0..<100 {
                let time = Line.year2026 + UInt64(hour) * 5 * Line.hour
                right.add(time)
                wrong.add(hour == at ? UInt64(Int(time) + days * Int(Line.day)) : time)
            }
            // Of who asks either the right time, or one that believes the wrong one.
            let end = right.backups[99].time.rawValue
            let now = asks ? end : end + 5_000 * Line.day
            let kept = Set(wrong.kept(now: now))
            let others = Set(right.kept(now: now)).subtracting([UInt64(at + 1)])
            if asks || abs(days) > 32 || at < 99 {
                #expect(others.isSubset(of: kept), "\(days) days at \(at), right clock: \(asks)")
            }
            #expect(kept.contains(100))
        }
    }

    @Test func `a future-dated backup is neither now nor the keeper of anybody's slot`() {
        var line = Line()
        line.add(hourly: 48, from: Line.year2026)
        let now = Line.year2026 + 48 * Line.hour
        let before = Set(line.kept(now: now))
        for ahead in 1...200 { line.add(now + UInt64(ahead) * Line.day) }
        #expect(before.isSubset(of: line.kept(now: now)))
    }

    @Test func `a clock that was a year ahead for a while loses no history`() {
        var line = Line()
        line.add(hourly: 24 * 7, from: Line.year2026)
        let jumped = Line.year2026 + 7 * Line.day + Self.year
        line.add(hourly: 24 * 3, from: jumped)
        // A log's time never goes back: it stands still until the year is over.
        for _ in 0..<48 { line.add(jumped + 71 * Line.hour) }
        var right = Line()
        right.add(hourly: 24 * 12, from: Line.year2026)
        let wanted = Set(right.kept())
        for now in [Line.year2026 + 12 * Line.day, jumped + 3 * Line.day] {
            #expect(wanted.isSubset(of: line.kept(now: now)))
        }
    }

    @Test func `an asking clock that is wrong lets go of no more than a right one`() {
        var line = Line()
        line.add(hourly: 24 * 200, from: Line.year2026)
        let end = Line.year2026 + 200 * Line.day
        let right = line.kept(now: end)
        #expect(line.kept(now: end + Self.year) == right)
        #expect(Set(right).isSubset(of: line.kept(now: end - Self.year)))
        #expect(Set(right).isSubset(of: line.kept(now: 0)))
    }

    @Test func `another mesh in the repository pushes out nothing`() {
        var line = Line()
        line.add(hourly: 24, from: Line.year2026)
        let before = Set(line.kept())
        line.cluster = ClusterID(high: 9, low: 9)
        line.add(hourly: 24, from: Line.year2026)
        #expect(before.isSubset(of: line.kept()))
    }

    @Test func `two backups without an entry between them are of one slot`() throws {
        var line = Line()
        line.add(Line.year2026)
        let first = line.backups[0]
        line.backups.append(
            Dated(
                number: 2, cluster: first.cluster, group: first.group, index: first.index,
                time: first.time, isWhole: true, isHeld: false))
        #expect(line.kept(try #require(RetentionPolicy(newest: 1))) == [2])
    }
}
