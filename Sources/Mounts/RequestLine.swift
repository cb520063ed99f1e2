internal import Dispatch
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import VolumeCore

/// A few threads that carry out what comes, which may wait for a store. Who hands something over is not kept waiting; how much
/// may stand in line is the NBD server's to bound.
final class RequestLine: Sendable {
    private struct State: Sendable {
        var waiting = CircularBuffer<Deed>()
        var idle: [Int]
    }

    struct Deed: Sendable {
        let connection: ConnectionID
        let body: @Sendable () -> Void
    }

    /// One for each thread: those that work on one concurrent queue are no more than there are processors until the system has
    /// noticed that they wait, and each of them is for some of the others.
    private let queues: [DispatchQueue]
    private let state: NIOLockedValueBox<State>

    init(threads: Int) {
        let count = max(threads, 1)
        queues = (0..<count).map { DispatchQueue(label: "holdfast.mount.\($0)") }
        state = NIOLockedValueBox(State(idle: Array(0..<count)))
    }

    func add(_ deeds: [Deed]) {
        let woken = state.withLockedValue { state in
            state.waiting.append(contentsOf: deeds)
            let count = min(state.waiting.count, state.idle.count)
            defer { state.idle.removeLast(count) }
            return Array(state.idle.suffix(count))
        }
        for number in woken { queues[number].async { self.work(number) } }
    }

    /// Nobody waits for what that one asked any more.
    func drop(_ connection: ConnectionID) {
        state.withLockedValue { $0.waiting.removeAll { $0.connection == connection } }
    }

    private func work(_ number: Int) {
        while let deed = next(number) { deed.body() }
    }

    private func next(_ number: Int) -> Deed? {
        state.withLockedValue { state in
            if let deed = state.waiting.popFirst() { return deed }
            state.idle.append(number)
            return nil
        }
    }
}
