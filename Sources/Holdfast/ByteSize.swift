internal import Decisions

/// A volume's size as a person writes it: `512M`, `10G`, `1T`.
struct ByteSize: Hashable, Sendable {
    let byteCount: UInt64

    enum Refused: Error, Hashable, Sendable, CustomStringConvertible {
        case misspelled(String)
        case uneven(UInt64)
        case outOfRange(String)

        var description: String {
            switch self {
            case .misspelled(let text):
                "\(text.debugDescription) is no size: write a whole number and K, M, G or T "
                    + "(powers of 1024), such as 512M or 10G"
            case .uneven(let count):
                "\(count) bytes is not a multiple of \(Decisions.volumeGrain): the next size up is "
                    + "\((count / Decisions.volumeGrain + 1) * Decisions.volumeGrain) bytes"
            case .outOfRange(let text):
                "\(text) is out of range: a volume has \(Words.bytes(Decisions.volumeGrain)) to "
                    + Words.bytes(Decisions.volumeByteCountMax)
            }
        }
    }

    private static let shifts: [String: UInt64] = [
        "": 0, "B": 0, "K": 10, "KIB": 10, "M": 20, "MIB": 20, "G": 30, "GIB": 30, "T": 40,
        "TIB": 40,
    ]

    /// Any whole number of bytes.
    static func count(parsing text: String) throws(Refused) -> UInt64 {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard !digits.isEmpty, let shift = Self.shifts[text.dropFirst(digits.count).uppercased()]
        else { throw .misspelled(text) }
        guard let count = UInt64(digits), count <= Decisions.volumeByteCountMax >> shift else {
            throw .outOfRange(text)
        }
        return count << shift
    }

    init(parsing text: String) throws(Refused) {
        let byteCount = try Self.count(parsing: text)
        guard byteCount > 0 else { throw .outOfRange(text) }
        guard byteCount % Decisions.volumeGrain == 0 else { throw .uneven(byteCount) }
        self.byteCount = byteCount
    }
}
