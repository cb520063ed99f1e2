/// What an object is called in its store: parts of `a-z 0-9 -`, with slashes between them. No such name
/// leads out of a directory, and every store can spell it.
package struct ObjectName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package static let byteCountMax = 200
    package let text: String

    /// nil when `text` is not such a name.
    package init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard text.utf8.count <= Self.byteCountMax,
            parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(Self.isLawful) })
        else { return nil }
        self.text = text
    }

    private static func isLawful(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: "-")
    }

    package static func < (a: Self, b: Self) -> Bool { a.text < b.text }
    package var description: String { text }
}
