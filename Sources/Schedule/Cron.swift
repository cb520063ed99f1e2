package import Mesh

/// Moments that come again, as crontab(5) writes them: minute, hour, day of the month, month, day of the week. All in UTC,
/// so that no hour is missing in spring and none comes twice in autumn.
package struct Cron: Hashable, Sendable, CustomStringConvertible {
    /// What a field takes, as bits.
    struct Field: Hashable, Sendable {
        let values: UInt64
        /// It begins with `*`: of both fields of days this one asks for nothing.
        let isOpen: Bool

        func takes(_ value: Int) -> Bool { values >> UInt64(value) & 1 == 1 }
    }

    /// The 29th of February comes once in eight years at times (2096, 2104), and on one day of the week once in forty. What
    /// does not come within that never does.
    static let daysMax = 40 * 366 + 1

    /// As it was written.
    package let description: String
    let minutes: Field
    let hours: Field
    let days: Field
    let months: Field
    let weekdays: Field

    /// The first moment behind `time`; nil where none comes that a clock can tell.
    package func next(after time: WallTime) -> WallTime? {
        let (first, from) = Self.split(Self.minute(of: time) + 1)
        for day in first...(first + Self.daysMax) where runs(onDay: day) {
            guard let minute = firstMinute(from: day == first ? from : 0) else { continue }
            return Self.time(day * Self.minutesPerDay + minute)
        }
        return nil
    }

    /// The last moment that is not behind `time`; nil where there was none since 1970.
    package func last(upTo time: WallTime) -> WallTime? {
        let (last, until) = Self.split(Self.minute(of: time))
        for day in stride(from: last, through: max(0, last - Self.daysMax), by: -1)
        where runs(onDay: day) {
            let end = day == last ? until : Self.minutesPerDay - 1
            guard let minute = lastMinute(upTo: end) else { continue }
            return Self.time(day * Self.minutesPerDay + minute)
        }
        return nil
    }

    /// crontab(5): where both the day of the month and the day of the week are restricted, either will do.
    private func runs(onDay since1970: Int) -> Bool {
        let civil = CivilDay(since1970: since1970)
        guard months.takes(civil.month) else { return false }
        // 1970-01-01 was a Thursday; Sunday is 0.
        let (day, weekday) = (days.takes(civil.day), weekdays.takes((since1970 + 4) % 7))
        return days.isOpen || weekdays.isOpen ? day && weekday : day || weekday
    }

    private func firstMinute(from start: Int) -> Int? {
        (start..<Self.minutesPerDay).first(where: takes)
    }

    private func lastMinute(upTo end: Int) -> Int? { (0...end).last(where: takes) }

    private func takes(_ minuteOfDay: Int) -> Bool {
        hours.takes(minuteOfDay / 60) && minutes.takes(minuteOfDay % 60)
    }

    private static let minutesPerDay = 1_440
    private static let nanosecondsPerMinute: UInt64 = 60_000_000_000

    private static func minute(of time: WallTime) -> Int {
        Int(time.rawValue / nanosecondsPerMinute)
    }

    private static func split(_ minute: Int) -> (day: Int, minute: Int) {
        (minute / minutesPerDay, minute % minutesPerDay)
    }

    /// nil beyond what a wall time counts to, in the year 2554.
    private static func time(_ minute: Int) -> WallTime? {
        let (nanoseconds, overflows) = UInt64(minute).multipliedReportingOverflow(
            by: nanosecondsPerMinute)
        return overflows ? nil : WallTime(nanoseconds)
    }
}
