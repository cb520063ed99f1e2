internal import NBDProtocol

/// What clients say.
enum NBDSamples {
    static let offer = NBDOffer(
        [
            NBDExport(name: "secret-db-1", byteCount: 1 << 30),
            NBDExport(name: "secret-db-2", byteCount: 4_096),
        ], acceptsEmptyName: true)

    /// A mode, a seed of pieces, the first piece's length, and a client's words.
    static let handshakes: [[UInt8]] = [
        [0, 1, 0] + flags(3) + option(7, info("secret-db-1", [3])) + request(0, 0, 4_096),
        [0, 9, 4] + flags(1) + option(8) + option(3) + option(6, info("secret-db-2", []))
            + option(9, contexts("secret-db-2", [])) + option(10, contexts("", ["base:allocation"]))
            + option(7, info("", [])),
        [0, 77, 20] + flags(3) + option(1, Array("secret-db-1".utf8)) + request(3, 0, 0),
        [4, 255, 36] + flags(3) + option(3) + option(5) + option(7, info("secret-db-1", [])),
        [4, 3, 0] + flags(3) + option(99, [1, 2]) + option(2),
    ]

    static let requests: [[UInt8]] = [
        write(0, [1, 2, 3, 4]) + request(0, 0, 16) + request(3, 0, 0),
        write(65_530, [UInt8](repeating: 7, count: 20)) + request(4, 65_536, 2_048)
            + request(0, 65_000, 2_000) + request(7, 0, 67_584),
        write(10, [5, 5]) + request(6, 8, 65_536, flags: 2) + request(7, 0, 67_584, flags: 8)
            + write(11, [6]) + request(0, 0, 67_584) + request(2, 0, 0),
    ]

    private static func flags(_ flags: UInt64) -> [UInt8] { number(flags, 4) }

    private static func number(_ value: UInt64, _ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(value, bigEndian: count)
        return bytes
    }

    private static func option(_ option: UInt64, _ data: [UInt8] = []) -> [UInt8] {
        Array("IHAVEOPT".utf8) + number(option, 4) + number(UInt64(data.count), 4) + data
    }

    private static func text(_ text: String) -> [UInt8] {
        number(UInt64(text.utf8.count), 4) + text.utf8
    }

    private static func info(_ name: String, _ kinds: [UInt64]) -> [UInt8] {
        text(name) + number(UInt64(kinds.count), 2) + kinds.flatMap { number($0, 2) }
    }

    private static func contexts(_ name: String, _ queries: [String]) -> [UInt8] {
        text(name) + number(UInt64(queries.count), 4) + queries.flatMap(text)
    }

    private static func request(
        _ command: UInt64, _ offset: UInt64, _ byteCount: UInt64, flags: UInt64 = 0
    ) -> [UInt8] {
        number(UInt64(NBDRequest.magic), 4) + number(flags, 2) + number(command, 2) + number(1, 8)
            + number(offset, 8) + number(byteCount, 4)
    }

    private static func write(_ offset: UInt64, _ data: [UInt8]) -> [UInt8] {
        request(1, offset, UInt64(data.count)) + data
    }
}
