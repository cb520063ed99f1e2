package import Mesh

/// How often and how long a service is asked for the same thing.
package struct S3Patience: Hashable, Sendable {
    /// What an operator may set `total` to.
    package static let totals = Interval.seconds(1)...Interval.seconds(3_600)

    /// Until there is a connection, secured.
    package var connecting = Interval.seconds(10)
    /// While nothing comes, or nothing can be sent.
    package var silence = Interval.seconds(30)
    /// For one request from its beginning to the end of its answer.
    package var request = Interval.seconds(300)
    /// For all tries together: none begins, and none goes on, later.
    package var total = Interval.seconds(600)
    package var triesMax = 12
    package var pauseFirst = Interval.milliseconds(100)
    package var pauseMax = Interval.seconds(20)

    package init() {}

    /// How long to wait after that many tries, from 1 on: anything up to a bound that doubles. Clients that were
    /// turned away together so don't come back together ("full jitter").
    package func pause(
        afterTries tries: Int, asked: Interval?, using random: inout some RandomNumberGenerator
    ) -> Interval {
        let bound = min(pauseMax, pauseFirst * (1 << UInt64(min(max(tries, 1) - 1, 32))))
        let drawn = Interval(nanoseconds: .random(in: 0...bound.nanoseconds, using: &random))
        return max(drawn, min(asked ?? .zero, pauseMax))
    }

    /// What `retry-after` asks for, where that is a number of seconds.
    package static func asked(_ answer: S3Answer) -> Interval? {
        answer.headers["retry-after"].flatMap { UInt64($0) }.flatMap {
            $0 < 86_400 ? .seconds($0) : nil
        }
    }
}
