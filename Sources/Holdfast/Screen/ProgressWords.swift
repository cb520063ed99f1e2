internal import FoundationEssentials
internal import Mesh
internal import Pacing

/// How far work is, in a person's words and a program's.
enum ProgressWords {
    /// As in "restoring backup 12: 1.2 GiB of 4 GiB, 30 %, 310 MiB/s, about 3 min left".
    static func line(
        _ reading: ProgressMeter.Reading, of subject: String? = nil, stored: UInt64? = nil
    ) -> String {
        let what = subject.map { "\(reading.phase) \($0)" } ?? reading.phase
        let parts = far(reading) + fast(reading)
        let line = parts.isEmpty ? what : "\(what): \(parts.joined(separator: ", "))"
        return stored.map { "\(line); \(Words.bytes($0)) stored" } ?? line
    }

    private static func far(_ reading: ProgressMeter.Reading) -> [String] {
        let done = amount(reading.done, reading.unit)
        guard let total = reading.total, let percent = reading.percent else {
            return reading.done > 0 ? [done] : []
        }
        return ["\(done) of \(amount(total, reading.unit))", "\(percent) %"]
    }

    private static func fast(_ reading: ProgressMeter.Reading) -> [String] {
        guard !reading.isStalled else {
            return ["nothing came for \(Words.seconds(reading.idle.wholeSeconds))"]
        }
        var parts: [String] = []
        if let rate = reading.rate, rate > 0 { parts.append("\(amount(rate, reading.unit))/s") }
        if let left = reading.left, left > .zero { parts.append(self.left(left)) }
        return parts
    }

    private static func amount(_ count: UInt64, _ unit: Work.Unit) -> String {
        switch unit {
        case .bytes: Words.bytes(count)
        case .objects: "\(count)"
        }
    }

    /// No more exact than anybody knows: "about 35 s left", "about 3 min left", "about 2 h 10 min left".
    static func left(_ left: Interval) -> String {
        let seconds = left.wholeSeconds
        let minutes = (seconds + 30) / 60
        let words =
            switch seconds {
            case ..<58: "\((seconds + 4) / 5 * 5) s"
            case ..<5_400: "\(minutes) min"
            case ..<172_800: "\(minutes / 60) h \(minutes % 60 / 10 * 10) min"
            default: "\((seconds + 43_200) / 86_400) days"
            }
        return "about \(words) left"
    }
}

/// How far work is, for a program: docs/operations.md says what each of it is.
struct ProgressReport: Encodable, Hashable {
    enum State: String, Encodable { case running, ended }

    let state: State
    let reading: ProgressMeter.Reading
    let stored: UInt64?
    let elapsed: Interval

    private enum Key: String, CodingKey {
        case state, phase, unit, done, total, percent, rate, stored
        case left = "left_s"
        case idle = "idle_s"
        case elapsed = "elapsed_s"
    }

    /// What is not known is null, and there.
    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(state, forKey: .state)
        try fields.encode(reading.phase, forKey: .phase)
        try fields.encode(reading.unit.rawValue, forKey: .unit)
        try fields.encode(reading.done, forKey: .done)
        try fields.encode(reading.total, forKey: .total)
        try fields.encode(reading.percent, forKey: .percent)
        try fields.encode(reading.rate, forKey: .rate)
        try fields.encode(stored, forKey: .stored)
        try fields.encode(reading.left?.wholeSeconds, forKey: .left)
        try fields.encode(reading.idle.wholeSeconds, forKey: .idle)
        try fields.encode(elapsed.wholeSeconds, forKey: .elapsed)
    }

    /// One line.
    var text: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return ((try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}")
            + "\n"
    }
}

extension Interval {
    var wholeSeconds: UInt64 { nanoseconds / 1_000_000_000 }
}
