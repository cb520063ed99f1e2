import Mesh
import Schedule
import Testing

/// Minutes since 1970 of a moment in UTC, by counting days up from there.
func minutes(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0) -> Int {
    func isLeap(_ year: Int) -> Bool { year % 4 == 0 && year % 100 != 0 || year % 400 == 0 }
    let lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    let years = (1970..<year).reduce(0) { $0 + (isLeap($1) ? 366 : 365) }
    let days = years + lengths[..<(month - 1)].reduce(0, +) + day - 1
    return (days * 24 + hour) * 60 + minute
}

func wall(_ minutes: Int, seconds: UInt64 = 0) -> WallTime {
    WallTime((UInt64(minutes) * 60 + seconds) * 1_000_000_000)
}

@Suite("A schedule in five fields (crontab(5), in UTC)")
struct CronTests {
    private static let friday = minutes(2026, 11, 27, 8, 30)

    @Test(arguments: [
        ("15 * * * *", minutes(2026, 11, 27, 9, 15)),
        ("30 8 * * *", minutes(2026, 11, 28, 8, 30)),
        ("31-59/2 8 * * *", minutes(2026, 11, 27, 8, 31)),
        ("*/20 * * * *", minutes(2026, 11, 27, 8, 40)),
        ("0 3 * * 0", minutes(2026, 11, 29, 3)), ("0 3 * * 7", minutes(2026, 11, 29, 3)),
        ("0 3 * * SUN", minutes(2026, 11, 29, 3)), ("0 3 * * sat-sun", minutes(2026, 11, 28, 3)),
        ("0 3 * * mon-fri", minutes(2026, 11, 30, 3)),
        ("0 3 31 * *", minutes(2026, 12, 31, 3)), ("0 3 31 feb,apr,jul *", minutes(2027, 7, 31, 3)),
        ("0 0 29 2 *", minutes(2028, 2, 29)),
        // Either of both days.
        ("0 3 1 * 6", minutes(2026, 11, 28, 3)), ("0 3 28 * 1", minutes(2026, 11, 28, 3)),
        // A day that begins with * asks for nothing of its own.
        ("0 3 */2 * 6", minutes(2026, 12, 5, 3)), ("0 3 30 * *", minutes(2026, 11, 30, 3)),
        ("0,15,59 0-2,23 * 1-3,dec */3", minutes(2026, 12, 2)),
    ])
    func `the next moment is the first one behind that the five fields take`(
        text: String, next: Int
    ) throws {
        let cron = try Cron(parsing: text)
        #expect(cron.next(after: wall(Self.friday, seconds: 12)) == wall(next))
    }

    @Test func `a moment is not behind itself, and is the last one up to itself`() throws {
        let cron = try Cron(parsing: "30 8 * * *")
        #expect(cron.next(after: wall(Self.friday)) == wall(Self.friday + 1_440))
        #expect(cron.last(upTo: wall(Self.friday)) == wall(Self.friday))
        #expect(cron.last(upTo: wall(Self.friday - 1, seconds: 59)) == wall(Self.friday - 1_440))
    }

    @Test func `a leap day is found over the year that has none`() throws {
        let cron = try Cron(parsing: "0 0 29 2 *")
        #expect(cron.next(after: wall(minutes(2096, 3, 1))) == wall(minutes(2104, 2, 29)))
        #expect(cron.last(upTo: wall(minutes(2104, 2, 28))) == wall(minutes(2096, 2, 29)))
        // One on a Sunday: 2088 is followed by no other for 40 years less twelve.
        let sunday = try Cron(parsing: "0 0 29 2 */7")
        #expect(sunday.next(after: wall(minutes(2088, 3, 1))) == wall(minutes(2128, 2, 29)))
    }

    @Test func `before the first one there is none, and behind the end of time neither`() throws {
        let cron = try Cron(parsing: "30 8 * * *")
        #expect(cron.last(upTo: wall(509)) == nil)
        #expect(cron.last(upTo: wall(510)) == wall(510))
        #expect(cron.next(after: WallTime(.max)) == nil)
    }

    @Test(arguments: [
        ("", "has 0 fields where five are expected"), ("* * * *", "has 4 fields"),
        ("@daily", "has 1 field where"), ("* * * * * *", "has 6 fields"),
        ("60 * * * *", "has \"60\" for the minute; expected 0 to 59"),
        ("* 24 * * *", "has \"24\" for the hour; expected 0 to 23"),
        ("* * 0 * *", "has \"0\" for the day of the month; expected 1 to 31"),
        ("* * * 13 *", "has \"13\" for the month; expected 1 to 12, or jan to dec"),
        ("* * * * 8", "has \"8\" for the day of the week; expected 0 to 7, or sun to sat"),
        ("* * * * lun", "has \"lun\" for the day of the week"),
        ("5-1 * * * *", "a range that ends before it begins"),
        ("* * * nov-feb *", "a range that ends before it begins"),
        ("5/2 * * * *", "a step is a whole number from 1 behind * or a range"),
        ("*/0 * * * *", "a step is"), ("*/-1 * * * *", "a step is"),
        ("1,,2 * * * *", "has \"\" for"),
        ("1-2-3 * * * *", "has \"2-3\" for"), ("+1 * * * *", "has \"+1\" for"),
        ("99999999999999999999 * * * *", "for the minute"),
        ("0 0 30 2 *", "names a day that never comes"),
        ("0 0 31 2,4,6,9,11 *", "names a day that never comes"),
    ])
    func `what is no schedule is refused with the field that is wrong`(text: String, why: String) {
        let refusal = #expect(throws: CronRefused.self) { try Cron(parsing: text) }
        #expect(refusal?.description.contains(why) == true, "\(String(describing: refusal))")
    }

    @Test func `a day of the week makes up for a day that never comes`() throws {
        let cron = try Cron(parsing: "0 0 30 2 mon")
        #expect(cron.next(after: wall(Self.friday)) == wall(minutes(2027, 2, 1)))
        #expect(throws: CronRefused.oversized(limit: Cron.byteCountMax)) {
            try Cron(parsing: String(repeating: " ", count: 300))
        }
    }
}
