package import Mesh
internal import Planted

/// What was said last of this node's lease: taken note of by whoever posts to the volumes, so that it is
/// newer than what their queue has come to.
///
/// The lease may end while an answer is computed or on its way, and the volumes hear of it only once
/// they are through with what came before. So each answer is looked at again when it leaves: in which
/// tenure was it computed, and is that one still present?
package struct PostedLease: Hashable, Sendable {
    /// Counts the events that begin or end a tenure, as they were posted.
    private var tenure: UInt64 = 0
    /// nil while none was posted that has not ended.
    package private(set) var until: Instant?

    package init() {}

    package mutating func note(_ event: ExportEvent) {
        switch event {
        case .opened(_, let until): (tenure, self.until) = (tenure + 1, until)
        case .leased(let until): self.until = self.until.map { max($0, until) }
        case .closed, .behind: end()
        default: break
        }
    }

    package mutating func end() { (tenure, until) = (tenure + 1, nil) }

    /// `tenure` counts the same events as they were handled.
    package func isPresent(_ tenure: UInt64) -> Bool { self.tenure == tenure }

    package func holds(_ tenure: UInt64, at now: Instant) -> Bool {
        isPlanted(.tellsBehindTheTenure) || isPresent(tenure) && until.map { now < $0 } ?? false
    }
}

extension ExportEvent {
    /// What falls behind closes first.
    package var changesTenure: Bool {
        switch self {
        case .opened, .closed, .behind: true
        default: false
        }
    }
}
