/// How far a replica has come that takes what it lacks from another.
package struct ResyncStanding: Hashable, Sendable {
    /// What is missing is known.
    package let isCopying: Bool
    package let missingByteCount: UInt64
    /// What was missing in all when the copying began.
    package let wholeByteCount: UInt64

    package init(isCopying: Bool, missingByteCount: UInt64, wholeByteCount: UInt64) {
        self.isCopying = isCopying
        self.missingByteCount = missingByteCount
        self.wholeByteCount = wholeByteCount
    }
}
