package import Mesh

/// A span of time of which one backup is kept.
package struct RetentionSlot: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case hourly
        case daily
        case weekly
        case monthly
        case yearly
    }

    package let kind: Kind
    /// Counts slots of its kind.
    private let number: Int

    /// The slot in which that time lies, in UTC.
    package init(_ kind: Kind, of time: WallTime) {
        self.kind = kind
        let days = Int(time.rawValue / Calendar.nanosecondsPerDay)
        let date = CivilDay(since1970: days)
        number =
            switch kind {
            case .hourly: Int(time.rawValue / Calendar.nanosecondsPerHour)
            case .daily: days
            case .weekly: Calendar.week(days)
            case .monthly: date.year * 12 + date.month - 1
            case .yearly: date.year
            }
    }

    /// As in `2026-11-30 07h`, `2026-11-30`, `2026-W49`, `2026-11` and `2026`.
    package var name: String {
        switch kind {
        case .hourly: "\(Self.date(number / 24)) \(Calendar.digits(number % 24))h"
        case .daily: Self.date(number)
        case .weekly: Calendar.weekName(number)
        case .monthly: "\(number / 12)-\(Calendar.digits(number % 12 + 1))"
        case .yearly: "\(number)"
        }
    }

    package var description: String { "\(kind.rawValue) \(name)" }

    private static func date(_ days: Int) -> String {
        let day = CivilDay(since1970: days)
        return "\(day.year)-\(Calendar.digits(day.month))-\(Calendar.digits(day.day))"
    }
}
