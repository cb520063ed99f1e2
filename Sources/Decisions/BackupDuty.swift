package import Mesh

/// Which backups of the schedule are made, and who makes one: the part of the decisions that turns a schedule into one job of one member.
///
/// The schedule itself is in every member's file. Here stands what must be the same for all: which slots are settled, and whose
/// claim to the next one counts.
package struct BackupDuty: Hashable, Sendable {
    /// Claims to one slot, those included whose holders died: what kills an agent must not kill them all, one after the other.
    package static let attemptsMax: UInt64 = 3
    package static let failureBytesMax = 400

    /// One member makes the backup of a slot.
    package struct Claim: Hashable, Sendable {
        package let node: NodeID
        /// A moment of the schedule.
        package let slot: WallTime
        package let isFull: Bool
        /// The entry that made it: its name.
        package let since: LogIndex
        /// The last entry in which its holder said that it goes on.
        package internal(set) var renewal: LogIndex

        package init(
            node: NodeID, slot: WallTime, isFull: Bool, since: LogIndex, renewal: LogIndex
        ) {
            (self.node, self.slot, self.isFull) = (node, slot, isFull)
            (self.since, self.renewal) = (since, renewal)
        }
    }

    package struct Made: Hashable, Sendable {
        /// The repository's.
        package let number: UInt64
        package let node: NodeID
        /// Of the last entry that is in it.
        package let asOf: WallTime
        package let isFull: Bool

        package init(number: UInt64, node: NodeID, asOf: WallTime, isFull: Bool) {
            (self.number, self.node, self.asOf, self.isFull) = (number, node, asOf, isFull)
        }
    }

    package struct Failure: Hashable, Sendable {
        package let node: NodeID
        package let slot: WallTime
        /// Of the entry that told it.
        package let at: WallTime
        package let words: String

        package init(node: NodeID, slot: WallTime, at: WallTime, words: String) {
            (self.node, self.slot, self.at, self.words) = (node, slot, at, words)
        }
    }

    /// The slot that was claimed last, and how often.
    package struct Attempts: Hashable, Sendable {
        package let slot: WallTime
        package internal(set) var count: UInt64

        package init(slot: WallTime, count: UInt64) { (self.slot, self.count) = (slot, count) }
    }

    package var claim: Claim?
    package var newest: Made?
    /// Every slot up to here has its backup: one of a later moment stands for all before it.
    package var settled: WallTime
    /// And its full one.
    package var settledFull: WallTime
    package var attempts: Attempts?
    /// The last one since a backup was made.
    package var failure: Failure?
    /// One after the other, since a backup was made.
    package var failures: UInt64

    package init(
        claim: Claim? = nil, newest: Made? = nil, settled: WallTime = .zero,
        settledFull: WallTime = .zero, attempts: Attempts? = nil, failure: Failure? = nil,
        failures: UInt64 = 0
    ) {
        (self.claim, self.newest) = (claim, newest)
        (self.settled, self.settledFull) = (settled, settledFull)
        (self.attempts, self.failure, self.failures) = (attempts, failure, failures)
    }

    /// No further claim to this slot is taken.
    package func isGivenUp(_ slot: WallTime) -> Bool {
        attempts?.slot == slot && attempts?.count ?? 0 >= Self.attemptsMax
    }
}

/// What members say of backups in the log.
package enum BackupNews: Hashable, Sendable {
    /// `node` makes the one of `slot`. Over another claim, it names that one's last renewal: its holder is gone, or nothing
    /// came since for so long. A later renewal in the log proves that stale.
    case claimed(slot: WallTime, isFull: Bool, by: NodeID, over: LogIndex?)
    /// The holder of this claim goes on.
    case renewed(claim: LogIndex)
    /// A backup is in the repository; by no claim where somebody asked for it.
    case made(BackupDuty.Made, claim: LogIndex?)
    case failed(claim: LogIndex, words: String)

    /// Changes nothing, for no claim has that name: where it is applied, all is that guests had flushed before it was said. A backup
    /// begins behind one, or it would lack what a guest flushed just before somebody asked for it. Not a command of its own, so that every
    /// release from the first backups on knows it.
    package static let mark = BackupNews.renewed(claim: .zero)
}
