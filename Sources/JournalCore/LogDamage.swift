package import Mesh
package import Record

/// Damage of which all is known: which entries and which base are to be had from elsewhere, and
/// that everything else stands, or is told by what stands.
package struct LogDamage: Hashable, Sendable, CustomStringConvertible {
    /// What was found, place by place.
    package let places: [JournalDamage]
    /// Entries above the base whose bytes are lost here, in rising order.
    package let missing: [EntryIdentity]
    /// The base that the log builds on, where its contents are lost here.
    package let base: BaseIdentity?
    /// Of the base that the log builds on, whole or not.
    package let basePosition: Position
    /// Where the log ends.
    package let last: Position
    /// Up to where this node knew of commits.
    package let commit: LogIndex

    /// Nothing is lost here that does not stand here a second time.
    package var needsNobody: Bool { missing.isEmpty && base == nil }

    package var description: String {
        let list = places.map(\.description).joined(separator: "; ")
        return "\(list). \(needs) The log ends at \(last)"
    }

    /// What has to come from a peer.
    package var needs: String {
        var parts: [String] = []
        if let first = missing.first, let last = missing.last {
            parts.append(
                first == last
                    ? "entry \(first.position)"
                    : "\(missing.count) entries from \(first.position) to \(last.position)")
        }
        if let base { parts.append("\(base)") }
        return parts.isEmpty
            ? "All of it stands here twice." : "Lost here: \(parts.joined(separator: ", "))."
    }
}

/// What becomes of damage that could not be made good in its place.
package enum LogResolution: Hashable, Sendable {
    case none
    /// A peer's base stands for what is lost, by the rules of a snapshot (Raft §7).
    case base(Base)
    /// The log ends before this index: what lies above was never committed, or an operator gave it up.
    case cut(before: LogIndex)

    /// `isPatched` says that nothing stands here twice and once wrongly.
    func resolves(_ damage: LogDamage, _ isPatched: Bool) -> Bool {
        guard isPatched else { return false }
        switch self {
        case .none: return false
        case .base(let base):
            return base.position.index > damage.basePosition.index
                && damage.missing.allSatisfy { $0.index <= base.position.index }
        case .cut(let index):
            return damage.base == nil && index > damage.basePosition.index
                && damage.missing.allSatisfy { $0.index >= index }
        }
    }
}
