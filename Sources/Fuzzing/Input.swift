/// Takes an input apart; past its end everything is zero, so that no input is too short.
struct Input {
    let all: [UInt8]
    private var bytes: [UInt8] { all }
    private var offset = 0

    init(_ bytes: [UInt8]) { all = bytes }

    var isAtEnd: Bool { offset >= bytes.count }

    mutating func byte() -> UInt8 {
        guard offset < bytes.count else { return 0 }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func word() -> Int { Int(byte()) | Int(byte()) << 8 }

    mutating func take(_ count: Int) -> [UInt8] {
        let end = min(offset + count, bytes.count)
        defer { offset = end }
        return Array(bytes[offset..<end])
    }

    mutating func rest() -> [UInt8] { take(bytes.count - offset) }

    mutating func text() -> String { String(decoding: rest(), as: UTF8.self) }
}

/// The first byte of an input of a format with checksums: whether they are made right before the
/// bytes are decoded. Nothing behind a checksum would be reached otherwise; and with none made right
/// it shows that a wrong one is refused.
struct Mode {
    private let byte: UInt8
    init(_ byte: UInt8) { self.byte = byte }

    var seals: Bool { byte & 1 != 0 }
    /// Also what binds several files together.
    var links: Bool { byte & 2 != 0 }
    var isFirst: Bool { byte & 4 == 0 }

    static let sealed: UInt8 = 1
    static let linked: UInt8 = 3
    static let second: UInt8 = 4
}

/// Lengths of the pieces in which a stream arrives, drawn from one byte: from byte by byte up to all
/// at once.
struct Pieces: Sequence, IteratorProtocol {
    private let bytes: [UInt8]
    private var offset = 0
    private var state: UInt8

    init(_ bytes: [UInt8], seed: UInt8) {
        self.bytes = bytes
        state = seed
    }

    mutating func next() -> [UInt8]? {
        guard offset < bytes.count else { return nil }
        // Odd and even steps, small and large ones: x ↦ 5x + 17 walks all 256 states.
        state = state &* 5 &+ 17
        let count = state & 1 == 0 ? Int(state >> 5) + 1 : Int(state) * 4 + 1
        let end = Swift.min(offset + count, bytes.count)
        defer { offset = end }
        return Array(bytes[offset..<end])
    }
}
