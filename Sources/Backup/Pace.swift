internal import Dispatch
internal import Mesh
internal import NIOConcurrencyHelpers
internal import Pacing

/// Holds threads up, so that together they come to no more than so many bytes in a second.
package final class Pace: Sendable {
    private let watch = Stopwatch()
    private let bucket: NIOLockedValueBox<TokenBucket>?

    /// nil lets everything through.
    package init(_ bytesPerSecond: UInt64?) {
        let start = watch.now
        bucket = bytesPerSecond.map { NIOLockedValueBox(TokenBucket($0, at: start)) }
    }

    package func wait(for count: Int) {
        let now = watch.now
        guard let wait = bucket?.withLockedValue({ $0.take(UInt64(count), at: now) }),
            wait > .zero
        else { return }
        let nanoseconds = Int(min(wait.nanoseconds, UInt64(Int.max / 2)))
        _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .nanoseconds(nanoseconds))
    }
}
