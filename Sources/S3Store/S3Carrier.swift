package import Mesh
package import S3Protocol

/// Brings a request to a service, and its answer back. Blocks until then.
package protocol S3Carrier: Sendable {
    /// Of an answer at most `answerMax` bytes are taken; all has to be over within `limit`.
    func carry(
        _ request: S3Request, _ body: [UInt8], answerMax: Int, within limit: Interval
    ) throws(S3Mishap) -> S3Answer
}

/// Why no answer came.
package enum S3Mishap: Error, Hashable, Sendable {
    /// Another try may do.
    case broken(String)
    /// No other try will do.
    case hopeless(String)
    /// The answer is longer than it may be.
    case tooLong
}

/// What a store waits by, and what it draws its pauses from.
package struct S3World: Sendable {
    package let now: @Sendable () -> Instant
    package let unixSeconds: @Sendable () -> UInt64
    package let sleep: @Sendable (Interval) -> Void

    package init(
        now: @escaping @Sendable () -> Instant, unixSeconds: @escaping @Sendable () -> UInt64,
        sleep: @escaping @Sendable (Interval) -> Void
    ) {
        (self.now, self.unixSeconds, self.sleep) = (now, unixSeconds, sleep)
    }
}
