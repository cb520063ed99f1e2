package import Mesh

/// What a Raft voter must never forget besides its log (Raft fig. 2, "persistent state").
package struct HardState: Hashable, Sendable {
    package var term: Term
    /// Whom this node voted for in `term`.
    package var vote: NodeID?
    /// Known committed; a hint that lets a restart apply at once, never a promise.
    package var commit: LogIndex

    package init(term: Term = .zero, vote: NodeID? = nil, commit: LogIndex = .zero) {
        self.term = term
        self.vote = vote
        self.commit = commit
    }
}

/// What stands for all entries up to and including `position` (Raft §7): a snapshot's contents, or
/// on a witness nothing but the membership.
package struct Base: Hashable, Sendable {
    /// The longest contents: bounds memory on both sides of a transfer.
    package static let contentsByteCountMax = 64 << 20

    package let position: Position
    /// Opaque to the log; its owner writes and reads it.
    package let contents: [UInt8]

    package init(position: Position, contents: [UInt8]) {
        self.position = position
        self.contents = contents
    }

    package static let empty = Base(position: .zero, contents: [])
}

/// What tells one base from every other without its contents.
package struct BaseIdentity: Hashable, Sendable, CustomStringConvertible {
    package let position: Position
    /// Of the contents.
    package let checksum: UInt32
    package let byteCount: UInt32

    package init(position: Position, checksum: UInt32, byteCount: UInt32) {
        self.position = position
        self.checksum = checksum
        self.byteCount = byteCount
    }

    package init(_ base: Base) {
        self.init(
            position: base.position, checksum: Checksum.crc32c(base.contents),
            byteCount: UInt32(base.contents.count))
    }

    package var description: String { "base \(position) (\(byteCount) bytes, CRC \(checksum))" }
}

/// One step of the log as its disk sees it, atomic in this order: `base`, `entries`, `hardState`.
///
/// - `base`: entries at or below it go. Those above stay only if the entry at the base has the
///   base's term; otherwise the whole log goes (Raft §7, fig. 13 steps 6–7).
/// - `entries`: consecutive; whatever stood at the first one's index or above is replaced.
package struct LogChange: Hashable, Sendable {
    package var base: Base?
    package var entries: [Entry]
    package var hardState: HardState?

    package init(base: Base? = nil, entries: [Entry] = [], hardState: HardState? = nil) {
        self.base = base
        self.entries = entries
        self.hardState = hardState
    }

    package var isEmpty: Bool { base == nil && entries.isEmpty && hardState == nil }
}
