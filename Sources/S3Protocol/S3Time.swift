/// A second, as signatures name it (ISO 8601, UTC).
package struct S3Time: Hashable, Sendable {
    /// As in `20150830T123600Z`.
    package let text: String
    package var day: String { String(text.prefix(8)) }

    package init(unixSeconds: UInt64) {
        func digits(_ number: UInt64, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let (days, second) = unixSeconds.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = Self.date(days)
        text =
            digits(year, 4) + digits(month, 2) + digits(day, 2) + "T"
            + digits(second / 3_600, 2) + digits(second / 60 % 60, 2) + digits(second % 60, 2) + "Z"
    }

    /// Of the Gregorian calendar, counted in years that begin with March: leap days come last.
    private static func date(_ days: UInt64) -> (year: UInt64, month: UInt64, day: UInt64) {
        let shifted = days + 719_468
        let (era, dayOfEra) = shifted.quotientAndRemainder(dividingBy: 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let year = yearOfEra + era * 400
        return month < 10 ? (year, month + 3, day) : (year + 1, month - 9, day)
    }
}
