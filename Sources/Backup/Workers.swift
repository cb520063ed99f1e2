internal import Dispatch
internal import Mesh
internal import NIOConcurrencyHelpers

/// A few threads that share out numbered items among them.
struct Workers: Sendable {
    let count: Int
    private let queues: [DispatchQueue]

    init(_ count: Int) {
        invariant(count > 0, "somebody has to do it")
        self.count = count
        queues = (0..<count).map { DispatchQueue(label: "holdfast.backup.\($0)") }
    }

    fileprivate struct Progress: Sendable {
        var next = 0
        var failure: BackupFailure?
    }

    /// Calls `body` with each item and the worker that has it; returns once all are done. After a failure no new
    /// item is begun, and the first failure is thrown.
    func perform(
        _ items: Int,
        _ body: @Sendable (_ item: Int, _ worker: Int) throws(BackupFailure) -> Void
    ) throws(BackupFailure) {
        let progress = NIOLockedValueBox(Progress())
        let group = DispatchGroup()
        withoutActuallyEscaping(body) { body in
            for worker in 0..<min(count, items) {
                queues[worker].async(group: group) {
                    while let item = progress.withLockedValue({ $0.take(of: items) }) {
                        do throws(BackupFailure) { try body(item, worker) } catch {
                            progress.withLockedValue { $0.failure = $0.failure ?? error }
                        }
                    }
                }
            }
            group.wait()
        }
        if let failure = progress.withLockedValue({ $0.failure }) { throw failure }
    }
}

extension Workers.Progress {
    fileprivate mutating func take(of items: Int) -> Int? {
        guard failure == nil, next < items else { return nil }
        defer { next += 1 }
        return next
    }
}
