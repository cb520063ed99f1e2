package import Mesh
internal import NIOConcurrencyHelpers
package import Record
internal import Repository

/// The log of a node, for whoever ships it.
package protocol ShippedLog: Sendable {
    /// Up to where it is committed, as far as this node knows; nil while it is not the one that ships.
    func committed() -> LogIndex?
    /// The entry before the first that the log still holds.
    func base() throws(BackupFailure) -> Position
    /// None where the log does not hold the first of them.
    func entries(
        from first: LogIndex, through last: LogIndex, bytesMax: Int
    ) throws(BackupFailure) -> [Entry]
}

/// Ships a log to a repository: what is committed goes there in stretches that follow each other. Whoever comes to act as primary
/// goes on where the archive ends; where two do, each stretch is stored once.
///
/// Only what is committed is shipped (protocol-rules 23), so nothing that a deposed primary alone held is ever there.
package final class LogShipping: Sendable {
    /// How often a turn is due, and so about how old the newest durable entry gets.
    package static let period = Interval.seconds(1)
    /// Renewals of the lease alone are not worth an object more often.
    static let idlePeriod = Interval.seconds(60)
    /// More renewals than an hour has, or a write among them.
    static let lookByteCount = 256 << 10
    /// How often somebody else may come first in one turn.
    static let triesMax = 4
    /// After so many turns keys and repository are looked at anew.
    static let turnsPerOpening: UInt64 = 600

    package struct Standing: Hashable, Sendable {
        package enum Phase: Hashable, Sendable {
            /// Another node is primary, and ships.
            case standsBy
            case ships
            case fails(String)
        }
        package var phase = Phase.standsBy
        /// Where the archive ends, as far as this node knows.
        package var end: LogArchive.End?
        /// How often the archive began anew, because the log no longer held what came next, or held something else.
        package var breaks: UInt64 = 0
    }

    private struct State: Sendable {
        var standing = Standing()
        var archive: LogArchive?
        var turns: UInt64 = 0
    }

    private let log: any ShippedLog
    private let open: @Sendable () throws(BackupFailure) -> LogArchive
    private let state = NIOLockedValueBox(State())

    package init(
        _ log: any ShippedLog, open: @escaping @Sendable () throws(BackupFailure) -> LogArchive
    ) {
        (self.log, self.open) = (log, open)
    }

    package var standing: Standing { state.withLockedValue { $0.standing } }

    /// The leader's wall time at the first write, or decision, that is committed and not in the repository; nil where all
    /// are, and where another node ships.
    package func oldestMissing() -> WallTime? {
        guard let committed = log.committed(), let place = try? place(),
            place.before.index < committed
        else { return nil }
        let next = try? log.entries(
            from: place.before.index.next, through: committed, bytesMax: Self.lookByteCount)
        return next?.first { $0.isDue }?.time
    }

    /// Ships what is due. Called by one thread, which may wait.
    package func turn() {
        guard let committed = log.committed() else {
            return state.withLockedValue { $0 = State(standing: $0.standing.resting) }
        }
        do throws(BackupFailure) {
            try ship(through: committed)
            state.withLockedValue { $0.standing.phase = .ships }
        } catch {
            state.withLockedValue {
                $0.standing.phase = .fails("\(error)")
                $0.archive = nil
            }
        }
    }

    private func ship(through committed: LogIndex) throws(BackupFailure) {
        let archive = try archive()
        var tries = 0
        while let (before, end) = try place(), before.index < committed {
            let entries = try log.entries(
                from: before.index.next, through: committed, bytesMax: Stretch.byteCountAimed)
            guard let last = entries.last else { return }
            guard entries.contains(where: \.isDue) || isIdleDue(last.time, since: end) else {
                return
            }
            guard let next = try archive.append(entries, behind: before, after: end) else {
                tries += 1
                guard tries < Self.triesMax else { throw .overtaken(tries: tries) }
                let found = try archive.end()
                state.withLockedValue { $0.standing.end = found }
                continue
            }
            state.withLockedValue {
                $0.standing.end = next
                if end == nil { $0.standing.breaks += 1 }
            }
        }
    }

    /// Opened anew now and then: a disk may have been mounted over it, keys rotated.
    private func archive() throws(BackupFailure) -> LogArchive {
        let known = state.withLockedValue { state in
            state.turns += 1
            return state.turns % Self.turnsPerOpening == 0 ? nil : state.archive
        }
        if let known { return known }
        let archive = try open()
        let end = try archive.end()
        state.withLockedValue {
            $0.archive = archive
            $0.standing.end = end
        }
        return archive
    }

    /// Behind which entry the next stretch begins, and the end that it follows if it does. nil where this log has not come
    /// so far.
    private func place() throws(BackupFailure) -> (before: Position, end: LogArchive.End?)? {
        let base = try log.base()
        guard let end = standing.end, end.last.index >= base.index else { return (base, nil) }
        guard end.last.index > base.index else {
            return (base, base == end.last ? end : nil)
        }
        let own = try log.entries(
            from: end.last.index, through: end.last.index, bytesMax: Entry.byteCountMax)
        guard let own = own.first?.position else { return nil }
        return (own, own == end.last ? end : nil)
    }

    private func isIdleDue(_ time: WallTime, since end: LogArchive.End?) -> Bool {
        guard let end else { return true }
        return time.rawValue >= end.time.rawValue + Self.idlePeriod.nanoseconds
    }
}

extension Entry {
    /// Whether somebody would miss it.
    fileprivate var isDue: Bool { kind != .blank }
}

extension LogShipping.Standing {
    /// Nothing is known any more of what another node ships.
    fileprivate var resting: Self { Self(breaks: breaks) }
}
