import Node
import NIOConcurrencyHelpers

/// Operators' requests under way in the core, each with who waits for it.
final class Answers: Sendable {
    private struct Open {
        var next: UInt64 = 1
        var waiting: [Node.OperationID: CheckedContinuation<Node.Answer, Never>] = [:]
    }
    private let open = NIOLockedValueBox(Open())

    /// `post` hands the request to the core, which answers every one.
    func wait(_ post: (Node.OperationID) -> Void) async -> Node.Answer {
        await withCheckedContinuation { continuation in
            let id = open.withLockedValue { open in
                defer { open.next += 1 }
                let id = Node.OperationID(open.next)
                open.waiting[id] = continuation
                return id
            }
            post(id)
        }
    }

    func give(_ answer: Node.Answer, to id: Node.OperationID) {
        open.withLockedValue { $0.waiting.removeValue(forKey: id) }?.resume(returning: answer)
    }
}

/// What happened how often, by name.
final class Counters: Sendable {
    private let counts = NIOLockedValueBox<[String: UInt64]>([:])
    func add(_ name: String) { counts.withLockedValue { $0[name, default: 0] += 1 } }
    var all: [String: UInt64] { counts.withLockedValue { $0 } }
}
