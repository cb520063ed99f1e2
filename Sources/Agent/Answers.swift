import Node
import Synchronization

/// Operators' requests under way in the core, each with who waits for it.
final class Answers: Sendable {
    private struct Open {
        var next: UInt64 = 1
        var waiting: [Node.OperationID: CheckedContinuation<Node.Answer, Never>] = [:]
    }
    private let open = Mutex(Open())

    /// `post` hands the request to the core, which answers every one.
    func wait(_ post: (Node.OperationID) -> Void) async -> Node.Answer {
        await withCheckedContinuation { continuation in
            let id = open.withLock { open in
                defer { open.next += 1 }
                let id = Node.OperationID(open.next)
                open.waiting[id] = continuation
                return id
            }
            post(id)
        }
    }

    func give(_ answer: Node.Answer, to id: Node.OperationID) {
        open.withLock { $0.waiting.removeValue(forKey: id) }?.resume(returning: answer)
    }
}

/// What happened how often, by name.
final class Counters: Sendable {
    private let counts = Mutex<[String: UInt64]>([:])
    func add(_ name: String) { counts.withLock { $0[name, default: 0] += 1 } }
    var all: [String: UInt64] { counts.withLock { $0 } }
}
