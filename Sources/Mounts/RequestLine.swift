internal import Dispatch
internal import NIOConcurrencyHelpers
internal import NIOCore

/// A few threads that carry out what comes, which may wait for a store. Who hands something over is not kept waiting; how much
/// may stand in line is the NBD server's to bound.
final class RequestLine: Sendable {
    private struct State: Sendable {
        var waiting = CircularBuffer<@Sendable () -> Void>()
        var busy = 0
    }

    private let threads: Int
    private let queue = DispatchQueue(label: "holdfast.mount", attributes: .concurrent)
    private let state = NIOLockedValueBox(State())

    init(threads: Int) { self.threads = max(threads, 1) }

    func add(_ deeds: [@Sendable () -> Void]) {
        let new = state.withLockedValue { state in
            state.waiting.append(contentsOf: deeds)
            let new = min(state.waiting.count, threads - state.busy)
            state.busy += new
            return new
        }
        for _ in 0..<new { queue.async { self.work() } }
    }

    private func work() {
        while let deed = next() { deed() }
    }

    private func next() -> (@Sendable () -> Void)? {
        state.withLockedValue { state in
            if let deed = state.waiting.popFirst() { return deed }
            state.busy -= 1
            return nil
        }
    }
}
