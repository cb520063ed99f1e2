internal import Mesh

/// Days as people count them, in UTC: no clock of a place, so no hour that comes twice.
enum Calendar {
    static let nanosecondsPerHour: UInt64 = 3_600_000_000_000
    static let nanosecondsPerDay = 24 * nanosecondsPerHour

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
        let year = CivilDay(since1970: thursday).year
        return "\(year)-W\(digits((thursday - firstDay(of: year)) / 7 + 1))"
    }

    static func digits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
