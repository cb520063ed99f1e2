internal import Mesh

/// Why a text is no schedule.
package enum CronRefused: Error, Hashable, Sendable, CustomStringConvertible {
    case oversized(limit: Int)
    case fields(count: Int)
    case value(field: String, text: String, expected: String)
    case range(field: String, text: String)
    case step(field: String, text: String)
    case never

    package var description: String {
        switch self {
        case .oversized(let limit): "is longer than \(limit) bytes"
        case .fields(let count):
            "has \(count) field\(count == 1 ? "" : "s") where five are expected: minute, hour, day of the month, "
                + "month, day of the week"
        case .value(let field, let text, let expected):
            "has \(text.debugDescription) for the \(field); expected \(expected)"
        case .range(let field, let text):
            "has \(text.debugDescription) for the \(field), a range that ends before it begins"
        case .step(let field, let text):
            "has \(text.debugDescription) for the \(field); a step is a whole number from 1 behind * or a range, "
                + "such as */15"
        case .never: "names a day that never comes"
        }
    }
}

extension Cron {
    package static let byteCountMax = 256

    /// Whatever is accepted comes again and again.
    package init(parsing text: String) throws(CronRefused) {
        guard text.utf8.count <= Self.byteCountMax else {
            throw .oversized(limit: Self.byteCountMax)
        }
        let words = text.split { $0 == " " || $0 == "\t" }
        guard words.count == 5 else { throw .fields(count: words.count) }
        minutes = try Grammar.minute.field(words[0])
        hours = try Grammar.hour.field(words[1])
        days = try Grammar.day.field(words[2])
        months = try Grammar.month.field(words[3])
        weekdays = try Grammar.weekday.field(words[4])
        description = words.joined(separator: " ")
        guard next(after: .zero) != nil else { throw .never }
    }
}

/// What one of the five fields may say.
private struct Grammar {
    let name: String
    let range: ClosedRange<Int>
    /// Of the values from the lowest on.
    var names: [String] = []
    /// Counts as the lowest: Sunday is 0 and 7.
    var alias: Int?

    static let minute = Grammar(name: "minute", range: 0...59)
    static let hour = Grammar(name: "hour", range: 0...23)
    static let day = Grammar(name: "day of the month", range: 1...31)
    static let month = Grammar(
        name: "month", range: 1...12,
        names: [
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ])
    static let weekday = Grammar(
        name: "day of the week", range: 0...6,
        names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"], alias: 7)

    func field(_ text: Substring) throws(CronRefused) -> Cron.Field {
        var values: UInt64 = 0
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            for value in try self.values(part) {
                values |= 1 << UInt64(value == alias ? range.lowerBound : value)
            }
        }
        return Cron.Field(values: values, isOpen: text.hasPrefix("*"))
    }

    private func values(_ part: Substring) throws(CronRefused) -> StrideThrough<Int> {
        let halves = part.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let bounds = try bounds(halves[0])
        guard halves.count == 2 else { return stride(from: bounds.0, through: bounds.1, by: 1) }
        guard halves[0] == "*" || halves[0].contains("-"), let step = Self.number(halves[1]),
            step > 0
        else { throw .step(field: name, text: String(part)) }
        return stride(from: bounds.0, through: bounds.1, by: step)
    }

    private func bounds(_ text: Substring) throws(CronRefused) -> (Int, Int) {
        if text == "*" { return (range.lowerBound, range.upperBound) }
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let first = try value(ends[0])
        guard ends.count == 2 else { return (first, first) }
        var last = try value(ends[1])
        // A week may end on its Sunday, as in fri-sun.
        if let alias, last == range.lowerBound, first > last { last = alias }
        guard first <= last else { throw .range(field: name, text: String(text)) }
        return (first, last)
    }

    private func value(_ text: Substring) throws(CronRefused) -> Int {
        if let place = names.firstIndex(of: text.lowercased()) { return range.lowerBound + place }
        guard let number = Self.number(text), range.contains(number) || number == alias else {
            throw .value(field: name, text: String(text), expected: expected)
        }
        return number
    }

    private var expected: String {
        let numbers = "\(range.lowerBound) to \(alias ?? range.upperBound)"
        guard let first = names.first, let last = names.last else { return numbers }
        return "\(numbers), or \(first) to \(last)"
    }

    /// Digits only, and few enough for any field.
    private static func number(_ text: Substring) -> Int? {
        guard (1...3).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return Int(text)
    }
}
