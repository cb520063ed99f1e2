internal import Dispatch
internal import NIOConcurrencyHelpers

/// Numbered items that are read one after the other, some before they are asked for: whoever reads and whoever works on what was
/// read wait for each other less.
final class ReadAhead<Value: Sendable>: Sendable {
    typealias Read = @Sendable (Int) throws(BackupFailure) -> Value

    private struct State: Sendable {
        var read: [Int: Result<Value, BackupFailure>] = [:]
        var isStopped = false
    }

    private let state = NIOLockedValueBox(State())
    private let room: DispatchSemaphore
    private let items: [DispatchSemaphore]
    private let reader = DispatchGroup()

    /// At most `depth` items are held that nobody has taken. Whoever begins it stops it.
    init(_ count: Int, depth: Int, on queue: DispatchQueue, _ read: @escaping Read) {
        // One that begins with a value must not go with less.
        room = DispatchSemaphore(value: 0)
        for _ in 0..<depth { room.signal() }
        items = (0..<count).map { _ in DispatchSemaphore(value: 0) }
        queue.async(group: reader) { [self] in
            for item in 0..<count {
                room.wait()
                if state.withLockedValue({ $0.isStopped }) { return }
                let result: Result<Value, BackupFailure>
                do throws(BackupFailure) { result = .success(try read(item)) } catch {
                    result = .failure(error)
                }
                state.withLockedValue { $0.read[item] = result }
                items[item].signal()
            }
        }
    }

    /// Waits for that item, which is given once. They have to be taken in their order, or nearly: one that `depth` others which
    /// nobody takes lie before is waited for in vain.
    func take(_ item: Int) throws(BackupFailure) -> Value {
        items[item].wait()
        guard let result = state.withLockedValue({ $0.read.removeValue(forKey: item) }) else {
            throw .givenUp
        }
        room.signal()
        return try result.get()
    }

    /// Nothing is read any more when this returns.
    func stop() {
        state.withLockedValue { $0.isStopped = true }
        room.signal()
        reader.wait()
    }
}
