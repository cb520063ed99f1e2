/// Numbers as names of files and as operators write them: lower-case digits, all of them.
package enum Hexadecimal {
    /// 16 digits.
    package static func text(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// 2 digits.
    package static func text(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    /// Reads 32 hexadecimal digits; nil for anything else.
    package static func words(_ text: some StringProtocol) -> (high: UInt64, low: UInt64)? {
        guard text.utf8.count == 32, text.allSatisfy(\.isHexDigit),
            let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        return (high, low)
    }
}
