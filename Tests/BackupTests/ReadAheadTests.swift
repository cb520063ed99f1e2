import Dispatch
import NIOConcurrencyHelpers
import Testing

@testable import Backup

@Suite("What is read ahead") struct ReadAheadTests {
    /// As two take them, nearly in their order.
    private static let order: [Int] = (0..<20).flatMap { [2 * $0 + 1, 2 * $0] }
    private static let queue = DispatchQueue(label: "reading")

    /// Off the pool that tests share: it waits.
    private func alone<Value: Sendable>(_ deed: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { waiter in
            DispatchQueue(label: "alone").async { waiter.resume(returning: deed()) }
        }
    }

    @Test func `each item is given once, and no more are held than were agreed on`() async {
        let (given, mostHeld) = await alone {
            let held = NIOLockedValueBox((now: 0, most: 0))
            let ahead = ReadAhead(40, depth: 3, on: Self.queue) { item in
                held.withLockedValue { held in
                    held.now += 1
                    held.most = max(held.most, held.now)
                }
                return item * 7
            }
            defer { ahead.stop() }
            let given = Self.order.map { item -> Int? in
                let value = try? ahead.take(item)
                held.withLockedValue { $0.now -= 1 }
                return value
            }
            return (given, held.withLockedValue { $0.most })
        }
        let expected = Self.order.map { $0 * 7 }
        #expect(given == expected)
        // One more may be read between the taking and its count here.
        #expect((2...4).contains(mostHeld))
    }

    @Test func `a failure is its item's, and the others can be had`() async {
        let words = await alone {
            let ahead = ReadAhead(3, depth: 1, on: Self.queue) { item throws(BackupFailure) in
                if item == 1 { throw .volume("it is torn") }
                return "\(item)"
            }
            defer { ahead.stop() }
            return (0..<3).map { item in
                do throws(BackupFailure) { return try ahead.take(item) } catch { return "\(error)" }
            }
        }
        #expect(words == ["0", "it is torn", "2"])
    }

    @Test func `behind the stop nothing is read`() async {
        let (before, after) = await alone {
            let count = NIOLockedValueBox(0)
            let ahead = ReadAhead(1_000, depth: 2, on: Self.queue) { _ in
                count.withLockedValue { $0 += 1 }
            }
            _ = try? ahead.take(0)
            ahead.stop()
            let before = count.withLockedValue { $0 }
            Self.queue.sync {}
            return (before, count.withLockedValue { $0 })
        }
        #expect(before == after && before <= 4)
    }
}
