package import Mesh

/// Who decides from an entry of the log on.
package struct Configuration: Sendable {
    package let index: LogIndex
    package let membership: Membership
}

/// Every configuration that may still be in force: the base's first, then those in the log.
struct Configurations: Sendable {
    /// Stored apart from the others: every event asks for it.
    private(set) var newest: Configuration
    private var earlier: [Configuration] = []

    init(base: Configuration, _ others: [Configuration] = []) {
        newest = base
        for next in others { append(next) }
    }

    var all: [Configuration] { earlier + [newest] }

    mutating func append(_ next: Configuration) {
        earlier.append(newest)
        newest = next
    }

    /// Those above `index` go; the base's never does.
    mutating func truncate(after index: LogIndex) {
        while newest.index > index, let former = earlier.popLast() { newest = former }
    }

    /// Those up to the new base's go.
    mutating func rebase(to base: Configuration) {
        guard newest.index > base.index else { return self = Configurations(base: base) }
        earlier.removeAll { $0.index <= base.index }
        earlier.insert(base, at: 0)
    }

    /// The newest that is committed and not joint, if `index` is committed.
    func settled(at index: LogIndex) -> Configuration? {
        isSettled(at: index) ? newest : earlier.last { $0.index <= index && !$0.membership.isJoint }
    }

    /// Whether `settled(at:)` is the newest: nothing is about to change.
    func isSettled(at index: LogIndex) -> Bool {
        newest.index <= index && !newest.membership.isJoint
    }

    /// All that may decide as long as only `index` is known to be committed, the newest last.
    func possible(from index: LogIndex) -> [Membership] {
        var possible: [Membership] = []
        forEachPossible(from: index) { possible.append($0) }
        return possible
    }

    /// Without a list of them: a leader asks with each heartbeat, and far more often while its log waits.
    func forEachPossible(from index: LogIndex, _ body: (Membership) -> Void) {
        // Nearly always it is the newest alone.
        if newest.index > index {
            let start = earlier.lastIndex { $0.index <= index } ?? 0
            for former in earlier[start...] { body(former.membership) }
        }
        body(newest.membership)
    }

    /// The one in force when everything up to `index` is applied.
    func inForce(at index: LogIndex) -> Membership {
        if newest.index <= index { return newest.membership }
        return (earlier.last { $0.index <= index } ?? earlier.first ?? newest).membership
    }
}
