internal import Glibc
package import Logging

/// One line an event on standard error, as text or as JSON; the service manager adds the rest.
package struct LineLog: LogHandler {
    package enum Format: Sendable { case text, json }

    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    private let format: Format

    package init(level: Logger.Level, format: Format) {
        logLevel = level
        self.format = format
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let time = Self.now
        var line: String
        switch format {
        case .text:
            line = "\(time) \(event.level.rawValue) \(event.message)"
            for (key, value) in all { line += " \(key)=\(Self.quoted("\(value)", force: false))" }
        case .json:
            line = "{\"time\":\"\(time)\",\"level\":\"\(event.level.rawValue)\""
            line += ",\"message\":\(Self.quoted("\(event.message)", force: true))"
            for (key, value) in all {
                line += ",\(Self.quoted(key, force: true)):"
                line += Self.quoted("\(value)", force: true)
            }
            line += "}"
        }
        line += "\n"
        let bytes = Array(line.utf8)
        _ = unsafe write(STDERR_FILENO, bytes, bytes.count)
    }

    /// UTC with milliseconds (RFC 3339).
    private static var now: String {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        var parts = unsafe tm()
        _ = unsafe gmtime_r(&time.tv_sec, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let thousandths = time.tv_nsec / 1_000_000
        let padding = thousandths < 10 ? "00" : thousandths < 100 ? "0" : ""
        let day = unsafe "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        let clock = unsafe "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        return "\(day)T\(clock).\(padding)\(thousandths)Z"
    }

    /// JSON's quoting serves both formats; a plain word of text stays bare.
    static func quoted(_ text: String, force: Bool) -> String {
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c }
        if !force, isPlain, !text.isEmpty { return text }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
