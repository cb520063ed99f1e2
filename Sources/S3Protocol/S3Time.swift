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

    /// As in `2015-08-30T12:36:00Z`.
    package var date: String {
        let all = Array(text)
        func part(_ range: Range<Int>) -> String { String(all[range]) }
        return
            "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(9..<11)):\(part(11..<13)):\(part(13..<15))Z"
    }

    /// Reads that, also with a fraction of a second, which is left out; nil for anything else.
    package static func unixSeconds(date text: String) -> UInt64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.last == UInt8(ascii: "Z") else { return nil }
        func number(_ range: Range<Int>) -> UInt64? {
            String(validating: bytes[range], as: UTF8.self).flatMap { UInt64($0) }
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1_970...9_999).contains(year), (1...12).contains(month), (1...31).contains(day),
            hour < 24, minute < 60, second < 61
        else { return nil }
        // The inverse of `date`: years begin with March.
        let (shifted, place) = month > 2 ? (year, month - 3) : (year - 1, month + 9)
        let (era, yearOfEra) = shifted.quotientAndRemainder(dividingBy: 400)
        let dayOfYear = (153 * place + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second
    }

    /// In milliseconds, of which a service may give the last three digits or not.
    package static func unixMilliseconds(date text: String) -> UInt64? {
        guard let seconds = unixSeconds(date: text) else { return nil }
        let fraction = text.split(separator: ".").dropFirst().first?.prefix { $0.isNumber } ?? ""
        let digits = (fraction + "000").prefix(3)
        return UInt64(digits).map { seconds * 1_000 + $0 }
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
