package import Mesh

/// Where a node listens: a host name or address, and a port.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package let host: String
    package let port: UInt16

    /// Reads `host:port` or `[v6]:port`; nil for anything else.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        let isLawful = host.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte)
                || (0x41...0x5a).contains(byte) || [0x2d, 0x2e, 0x3a, 0x25].contains(byte)
        }
        guard !host.isEmpty, isLawful else { return nil }
        self.host = String(host)
        self.port = port
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Reads `512M`, `8G`, `1T` (powers of 1024) or a plain count of bytes; nil for anything else.
func byteCount(_ text: String) -> UInt64? {
    let shifts: [String: UInt64] = ["": 0, "K": 10, "M": 20, "G": 30, "T": 40]
    let digits = text.prefix { ("0"..."9").contains($0) }
    guard let count = UInt64(digits), let shift = shifts[String(text.dropFirst(digits.count))],
        count <= UInt64.max >> shift
    else { return nil }
    return count << shift
}

extension Interval {
    private static let units: [(suffix: String, length: Interval)] = [
        ("ms", .milliseconds(1)), ("us", .microseconds(1)), ("s", .seconds(1)),
        ("m", .seconds(60)), ("h", .seconds(3_600)), ("d", .seconds(86_400)),
    ]

    /// Reads `400ms`, `30s`, `2m`, `1h`, `7d`; nil for anything else. A bare number is no duration:
    /// nobody knows its unit at three in the morning.
    package init?(duration text: String) {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard let count = UInt64(digits),
            let unit = Self.units.first(where: { $0.suffix == text.dropFirst(digits.count) }),
            !count.multipliedReportingOverflow(by: unit.length.nanoseconds).overflow
        else { return nil }
        self = unit.length * count
    }
}
