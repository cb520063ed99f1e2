/// How far a node has come that reads over what lies in the repository.
package struct RepositoryScrubReport: Codable, Hashable, Sendable {
    /// A pass that came to its end.
    package struct Ended: Codable, Hashable, Sendable {
        /// Unix seconds.
        package var at: UInt64
        /// Copies of objects, and their bytes.
        package var copies: UInt64
        package var bytes: UInt64

        package init(at: UInt64, copies: UInt64, bytes: UInt64) {
            (self.at, self.copies, self.bytes) = (at, copies, bytes)
        }
    }

    /// When the pass began that is under way: Unix seconds.
    package var began: UInt64
    package var percent: UInt64
    package var bytes: UInt64
    /// Copies that are not as they were stored, and were not put right.
    package var damaged: UInt64
    /// Why it does not go on.
    package var failure: String?
    package var last: Ended?

    package init(
        began: UInt64, percent: UInt64, bytes: UInt64, damaged: UInt64, failure: String? = nil
    ) {
        (self.began, self.percent, self.bytes) = (began, percent, bytes)
        (self.damaged, self.failure) = (damaged, failure)
    }
}
