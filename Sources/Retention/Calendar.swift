/// Days as people count them, in UTC: no clock of a place, so no hour that comes twice.
enum Calendar {
    static let nanosecondsPerHour: UInt64 = 3_600_000_000_000
    static let nanosecondsPerDay = 24 * nanosecondsPerHour

    struct Day: Hashable {
        let year: Int
        let month: Int
        let day: Int
    }

    /// The day that begins so many days after 1970-01-01, in the proleptic Gregorian calendar.
    static func day(_ since1970: Int) -> Day {
        // Years that begin in March: the leap day is the last one. 400 of them have 146,097 days.
        let shifted = since1970 + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * ofYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return Day(
            year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month,
            day: ofYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    /// Days since 1970-01-01 of the first day of a year.
    static func firstDay(of year: Int) -> Int {
        let before = year - 1
        return 365 * (year - 1970) + (before / 4 - before / 100 + before / 400) - 477
    }

    /// Weeks begin on Mondays; that of 1970-01-01, a Thursday, has number 0. None is cut by a year's end.
    static func week(_ since1970: Int) -> Int { (since1970 + 3) / 7 }

    /// `2026-W53`: a week belongs to the year that has its Thursday (ISO 8601).
    static func weekName(_ week: Int) -> String {
        let thursday = week * 7
        let year = day(thursday).year
        return "\(year)-W\(digits((thursday - firstDay(of: year)) / 7 + 1))"
    }

    static func digits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
