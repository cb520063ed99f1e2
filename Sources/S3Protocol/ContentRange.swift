/// Which part of an object an answer holds (RFC 9110 §14.4).
package struct ContentRange: Hashable, Sendable {
    /// nil where none was given: the object ends before what was asked for.
    package let part: Range<Int>?
    /// Of the whole object.
    package let byteCount: Int?

    /// Reads `bytes 0-9/100`, `bytes 0-9/*` and `bytes */100`; nil for anything else.
    package init?(_ text: String) {
        let words = text.split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "bytes" else { return nil }
        let halves = words[1].split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2 else { return nil }
        byteCount = Int(halves[1])
        guard byteCount ?? 0 >= 0, byteCount != nil || halves[1] == "*" else { return nil }
        guard halves[0] != "*" else {
            part = nil
            return
        }
        let ends = halves[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Int(ends[0]), let last = Int(ends[1]), first >= 0,
            first <= last, last < byteCount ?? .max
        else { return nil }
        part = first..<last + 1
    }
}
