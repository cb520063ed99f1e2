internal import Dispatch
package import Mesh
internal import NIOConcurrencyHelpers

/// Turns a core on real time: one thread, one mailbox, events in the order in which they came.
///
/// `carryOut` runs on that thread, in order, and must not block: whoever does the deed posts what
/// came of it.
package final class Driver<C: Core>: Sendable {
    /// What may be lost, and is sent again, is dropped when so many events wait.
    package static var droppableWaitingMax: Int { 8_192 }
    /// Effects are carried out after so many events, so that a flood delays no letter.
    static var turnEventsMax: Int { 128 }

    private struct Mailbox: Sendable {
        var events: [C.Event] = []
        var isStopped = false
        /// The thread sleeps: only then a bell is heard, and none is rung for nothing.
        var isWaiting = false
        var dropped: UInt64 = 0

        mutating func wakes() -> Bool {
            defer { isWaiting = false }
            return isWaiting
        }
    }

    private let mailbox = NIOLockedValueBox(Mailbox())
    private let core: NIOLockedValueBox<C>
    private let bell = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let clock: @Sendable () -> Instant
    private let carryOut: @Sendable ([C.Effect]) -> Void

    package init(
        _ core: C, clock: @escaping @Sendable () -> Instant = { BootClock.now },
        carryOut: @escaping @Sendable ([C.Effect]) -> Void
    ) {
        self.core = NIOLockedValueBox(core)
        self.clock = clock
        self.carryOut = carryOut
    }

    /// Begins to turn; at most once.
    package func start() {
        DispatchQueue(label: "holdfast.driver", qos: .userInteractive).async { self.run() }
    }

    /// Returns when all that was posted before is turned and the last effect is carried out: a farewell that was
    /// posted just now is said.
    package func stop() {
        let wakes = mailbox.withLockedValue { mailbox in
            mailbox.isStopped = true
            return mailbox.wakes()
        }
        if wakes { bell.signal() }
        ended.wait()
        ended.signal()
    }

    /// Never dropped: for what a disk or an operator did, which nobody says twice.
    package func post(_ event: sending C.Event) { deliver(event, mayDrop: false) }

    /// Dropped, and counted, when too much waits: for what a peer will say again.
    package func offer(_ event: sending C.Event) { deliver(event, mayDrop: true) }

    /// How many offers were dropped.
    package var dropped: UInt64 { mailbox.withLockedValue { $0.dropped } }

    /// Whether it hears no more of what is posted.
    var isStopped: Bool { mailbox.withLockedValue { $0.isStopped } }

    /// Reads the core between two events; `body` must be short, for the mesh waits.
    package func inspect<T: Sendable>(_ body: (borrowing C) -> T) -> T {
        core.withLockedValue { body($0) }
    }

    private func deliver(_ event: C.Event, mayDrop: Bool) {
        let wakes = mailbox.withLockedValue { mailbox -> Bool in
            guard !mailbox.isStopped else { return false }
            guard !mayDrop || mailbox.events.count < Self.droppableWaitingMax else {
                mailbox.dropped += 1
                return false
            }
            mailbox.events.append(event)
            return mailbox.wakes()
        }
        if wakes { bell.signal() }
    }

    private func run() {
        var effects: [C.Effect] = []
        var deadline = turn([], &effects)
        while true {
            let (events, isStopped) = take()
            if isStopped {
                if !events.isEmpty { _ = turn(events, &effects) }
                break
            }
            if events.isEmpty { wait(until: deadline) }
            deadline = turn(events, &effects)
        }
        ended.signal()
    }

    /// All that waits, in order.
    private func take() -> ([C.Event], isStopped: Bool) {
        mailbox.withLockedValue { mailbox in
            var events: [C.Event] = []
            swap(&events, &mailbox.events)
            return (events, mailbox.isStopped)
        }
    }

    private func wait(until deadline: Instant) {
        let left = deadline.since(clock())
        guard left > .zero else { return }
        let sleeps = mailbox.withLockedValue { mailbox in
            mailbox.isWaiting = mailbox.events.isEmpty && !mailbox.isStopped
            return mailbox.isWaiting
        }
        guard sleeps else { return }
        // A day is as good as for ever, and does not overflow.
        let nanoseconds = min(left.nanoseconds, 86_400_000_000_000)
        guard bell.wait(timeout: .now() + .nanoseconds(Int(nanoseconds))) == .timedOut else {
            return
        }
        // Whoever saw it asleep rings all the same: that ring must not be heard the next time.
        if mailbox.withLockedValue({ !$0.wakes() }) { bell.wait() }
    }

    private func turn(_ events: [C.Event], _ effects: inout [C.Effect]) -> Instant {
        var rest = events[...]
        while true {
            let some = rest.prefix(Self.turnEventsMax)
            rest = rest.dropFirst(some.count)
            let deadline = core.withLockedValue { core in
                for event in some { core.handle(event, at: clock(), &effects) }
                let now = clock()
                if now >= core.deadline { core.handle(C.wake, at: now, &effects) }
                return core.deadline
            }
            if !effects.isEmpty {
                carryOut(effects)
                effects.removeAll(keepingCapacity: true)
            }
            if rest.isEmpty { return deadline }
        }
    }
}
