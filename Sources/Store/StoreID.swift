internal import Mesh

/// One making of a data directory: 128 bits drawn by `holdfast init`. A node that is made anew under
/// an old id has another one, so that the two can be told apart.
package struct StoreID: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads 32 hexadecimal digits; nil for anything else.
    package init?(_ text: some StringProtocol) {
        guard let words = Hexadecimal.words(text) else { return nil }
        self.init(high: words.high, low: words.low)
    }

    package var description: String { Hexadecimal.text(high) + Hexadecimal.text(low) }
}
