internal import FoundationEssentials

/// Quantities as a person reads them.
enum Words {
    private static let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

    /// `10 GiB`, `1.5 MiB`: one decimal only where it says something.
    static func bytes(_ count: UInt64) -> String {
        var unit = 0
        while unit + 1 < units.count, count >> (10 * UInt64(unit + 1)) > 0 { unit += 1 }
        let whole = count >> (10 * UInt64(unit))
        let tenth = unit == 0 ? 0 : (count >> (10 * UInt64(unit - 1)) & 1_023) * 10 / 1_024
        return tenth == 0 || whole >= 100
            ? "\(whole) \(units[unit])" : "\(whole).\(tenth) \(units[unit])"
    }

    static func microseconds(_ count: UInt64) -> String {
        switch count {
        case 0..<1_000: "\(count) us"
        case 1_000..<10_000: "\(count / 1_000).\(count % 1_000 / 100) ms"
        default: "\(count / 1_000) ms"
        }
    }

    static func milliseconds(_ count: Double) -> String {
        count.isFinite && (0..<1e15).contains(count)
            ? microseconds(UInt64(count * 1_000)) : "\(count) ms"
    }

    /// `12s`, `3m 4s`, `5h 12m`, `9d 3h`: two units are enough for an age.
    static func seconds(_ count: UInt64) -> String {
        switch count {
        case 0..<60: "\(count)s"
        case 60..<3_600: "\(count / 60)m \(count % 60)s"
        case 3_600..<86_400: "\(count / 3_600)h \(count % 3_600 / 60)m"
        default: "\(count / 86_400)d \(count % 86_400 / 3_600)h"
        }
    }

    /// `2026-11-24 09:00:12 UTC`.
    static func time(unixSeconds: UInt64) -> String {
        // Year 9999: beyond it the calendar's text has another shape.
        guard unixSeconds < 253_402_300_800 else { return "\(unixSeconds) s after 1970" }
        let text = Date(timeIntervalSince1970: Double(unixSeconds)).formatted(.iso8601)
        return text.replacing("T", with: " ").replacing("Z", with: " UTC")
    }

    /// As a restore takes it, of nanoseconds since 1970: `2026-11-24T09:00:12.250000000Z`.
    static func moment(_ nanoseconds: UInt64) -> String {
        let fraction = String(nanoseconds % 1_000_000_000 + 1_000_000_000).dropFirst()
        return time(unixSeconds: nanoseconds / 1_000_000_000).replacing(
            " UTC", with: ".\(fraction)Z"
        )
        .replacing(" ", with: "T")
    }

    static func list(_ parts: [String]) -> String {
        guard let last = parts.last, parts.count > 1 else { return parts.first ?? "" }
        return parts.dropLast().joined(separator: ", ") + " and " + last
    }
}
