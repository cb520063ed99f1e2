import Dispatch
import Mesh
import NIOConcurrencyHelpers
import Testing

@testable import Driver

/// Repeats what it is told, and says when it was woken.
private struct Echo: Core {
    enum Event: Sendable {
        case wake
        case say(Int)
        case wakeAt(Instant)
    }
    enum Effect: Hashable, Sendable {
        case said(Int)
        case woken
    }
    static var wake: Event { .wake }
    var deadline = Instant.distantFuture

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout [Effect]) {
        switch event {
        case .wake:
            effects.append(.woken)
            deadline = .distantFuture
        case .say(let number): effects.append(.said(number))
        case .wakeAt(let at): deadline = at
        }
    }
}

/// Collects effects; `wait` returns once so many are there.
private final class Sink: Sendable {
    private let seen = NIOLockedValueBox<[Echo.Effect]>([])
    private let came = DispatchSemaphore(value: 0)

    func take(_ effects: [Echo.Effect]) {
        seen.withLockedValue { $0 += effects }
        for _ in effects { came.signal() }
    }
    func wait(_ count: Int) -> [Echo.Effect] {
        for _ in 0..<count { came.wait() }
        return seen.withLockedValue { $0 }
    }
}

@Suite("The driver turns a core", .timeLimit(.minutes(1)))
struct DriverTests {
    @Test func `events are handled in the order in which they were posted`() {
        let sink = Sink()
        let driver = Driver(Echo()) { sink.take($0) }
        driver.start()
        for number in 0..<10_000 { driver.post(.say(number)) }
        #expect(sink.wait(10_000) == (0..<10_000).map { .said($0) })
        driver.stop()
    }

    @Test func `a core is woken when its deadline has come, and not before`() {
        let sink = Sink()
        let due = BootClock.now + .milliseconds(30)
        let driver = Driver(Echo()) { effects in
            #expect(BootClock.now >= due)
            sink.take(effects)
        }
        driver.start()
        driver.post(.wakeAt(due))
        #expect(sink.wait(1) == [.woken])
        driver.stop()
    }

    @Test func `offers beyond the limit are dropped and counted, posts never`() {
        let sink = Sink()
        let driver = Driver(Echo()) { sink.take($0) }
        let most = Driver<Echo>.droppableWaitingMax
        for number in 0..<most + 5 { driver.offer(.say(number)) }
        driver.post(.say(-1))
        #expect(driver.dropped == 5)
        driver.start()
        #expect(sink.wait(most + 1).last == .said(-1))
        driver.stop()
    }

    /// A node that stops says farewell, also where its driver was busy until then.
    @Test func `what was posted before stop is turned`() {
        let sink = Sink()
        let (begun, goesOn) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let driver = Driver(Echo()) { effects in
            if effects == [.said(1)] {
                begun.signal()
                goesOn.wait()
            }
            sink.take(effects)
        }
        driver.start()
        driver.post(.say(1))
        begun.wait()
        driver.post(.say(2))
        let stopped = DispatchSemaphore(value: 0)
        DispatchQueue.global().async {
            driver.stop()
            stopped.signal()
        }
        // Only once it refuses what is posted has it heard that it stops.
        while !driver.isStopped { _ = stopped.wait(timeout: .now() + .milliseconds(1)) }
        goesOn.signal()
        stopped.wait()
        #expect(sink.wait(2) == [.said(1), .said(2)])
    }

    @Test func `nothing is carried out after stop returned`() {
        let sink = Sink()
        let stopped = NIOLockedValueBox(false)
        let driver = Driver(Echo()) { effects in
            #expect(!stopped.withLockedValue { $0 })
            sink.take(effects)
        }
        driver.start()
        driver.post(.say(1))
        _ = sink.wait(1)
        driver.stop()
        stopped.withLockedValue { $0 = true }
        driver.post(.say(2))
        driver.stop()
    }
}
