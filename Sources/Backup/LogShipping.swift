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
    /// Renewals of the lease alone are not worth an object more often.
    static let idlePeriod = Interval.seconds(60)
    /// How much of the log is looked at for the first write that is missing.
    static let lookByteCount = 256 << 10
    /// How often in a row somebody else may come first.
    static let triesMax = 4
    /// How often the keys are read anew: they may have been rotated.
    static let openingPeriod = Interval.seconds(60)
    /// Turns are passed over after a failure: twice as many each time, and for so long at most.
    static let pauseMax = Interval.seconds(30)

    package struct Standing: Hashable, Sendable {
        package enum Phase: Hashable, Sendable {
            /// Another node is primary, and ships.
            case standsBy
            case ships
            case fails(String)
        }
        package enum Missing: Hashable, Sendable {
            /// All that was committed at the last turn is there, but for renewals.
            case nothing
            /// The leader's wall time at the first write, or decision, that is not there, or a little before it.
            case since(WallTime)
            case unknown
        }
        package var phase = Phase.standsBy
        /// Where the archive ends, as far as this node knows.
        package var end: LogArchive.End?
        package var missing = Missing.unknown
        /// How often the archive began anew behind what was there, because the log no longer held what came next, or held
        /// something else. No restore goes across such a place; the next backup heals it.
        package var breaks: UInt64 = 0
    }

    private struct State: Sendable {
        var standing = Standing()
        var archive: LogArchive?
        var turns: UInt64 = 0
        var failures: UInt64 = 0
        var pause: UInt64 = 0
    }

    /// How often a turn is due, and so about how old the newest durable entry gets.
    private let period: Interval
    private let log: any ShippedLog
    private let open: @Sendable () throws(BackupFailure) -> LogArchive
    private let state = NIOLockedValueBox(State())

    package init(
        _ log: any ShippedLog, every period: Interval = .seconds(1),
        open: @escaping @Sendable () throws(BackupFailure) -> LogArchive
    ) {
        (self.log, self.period, self.open) = (log, period, open)
    }

    package var standing: Standing { state.withLockedValue { $0.standing } }

    /// Ships what is due. Called by one thread, which may wait.
    package func turn() {
        guard log.committed() != nil else {
            return state.withLockedValue { $0 = State(standing: $0.standing.resting) }
        }
        let rests = state.withLockedValue { state in
            defer { state.pause -= min(state.pause, 1) }
            return state.pause > 0
        }
        if !rests { attempt() }
        let missing = missing()
        state.withLockedValue { $0.standing.missing = missing }
    }

    private func turns(in length: Interval) -> UInt64 { length.nanoseconds / period.nanoseconds }

    private func attempt() {
        do throws(BackupFailure) {
            try ship()
            state.withLockedValue { ($0.standing.phase, $0.failures) = (.ships, 0) }
        } catch {
            state.withLockedValue { state in
                state.standing.phase = .fails("\(error)")
                state.archive = nil
                state.failures += 1
                state.pause = min(1 << min(state.failures, 16), turns(in: Self.pauseMax))
            }
        }
    }

    /// Until nothing is due that was committed meanwhile: a guest that writes fast must not get ahead by a turn each time.
    private func ship() throws(BackupFailure) {
        let archive = try archive()
        var tries = 0
        while let committed = log.committed() {
            let (before, end) = try place()
            guard before.index < committed else { return }
            let entries = try log.entries(
                from: before.index.next, through: committed, bytesMax: Stretch.byteCountAimed)
            guard let last = entries.last,
                entries.contains(where: \.isDue) || isIdleDue(last.time, since: end)
            else { return }
            // What is known of the archive may be old: it begins anew only behind its true end.
            if end == nil, try hasMoved(archive) { continue }
            guard let next = try archive.append(entries, behind: before, after: end) else {
                tries += 1
                guard tries < Self.triesMax else { throw .outpaced(tries: tries) }
                _ = try hasMoved(archive)
                continue
            }
            tries = 0
            state.withLockedValue { state in
                if end == nil, state.standing.end != nil { state.standing.breaks += 1 }
                state.standing.end = next
            }
        }
    }

    /// Reads where the archive ends; whether that is another place than was known.
    private func hasMoved(_ archive: LogArchive) throws(BackupFailure) -> Bool {
        let found = try archive.settledEnd()
        return state.withLockedValue { state in
            defer { state.standing.end = found }
            return state.standing.end != found
        }
    }

    private func archive() throws(BackupFailure) -> LogArchive {
        let known = state.withLockedValue { state in
            state.turns += 1
            let isDue = state.turns % max(1, turns(in: Self.openingPeriod)) == 0
            return isDue ? nil : state.archive
        }
        if let known { return known }
        let archive = try open()
        // A list of all stretches, which may be many: asked for only by who knows of none.
        let end = if let known = standing.end { known } else { try archive.settledEnd() }
        state.withLockedValue { ($0.archive, $0.standing.end) = (archive, end) }
        return archive
    }

    /// Behind which entry the next stretch begins, and the end that it follows if it does.
    private func place() throws(BackupFailure) -> (before: Position, end: LogArchive.End?) {
        let base = try log.base()
        guard let end = standing.end, end.last.index >= base.index else { return (base, nil) }
        guard end.last.index > base.index else {
            return (base, base == end.last ? end : nil)
        }
        let found = try log.entries(
            from: end.last.index, through: end.last.index, bytesMax: Entry.byteCountMax)
        guard let own = found.first else { throw .archiveAhead(end.last) }
        // Two logs that went apart may have the same terms: the leader's time tells them apart.
        let isOne = own.position == end.last && own.time == end.time
        return (own.position, isOne ? end : nil)
    }

    private func missing() -> Standing.Missing {
        guard let committed = log.committed() else { return .unknown }
        do throws(BackupFailure) { return try missing(of: committed) } catch { return .unknown }
    }

    private func missing(of committed: LogIndex) throws(BackupFailure) -> Standing.Missing {
        let before = try firstMissing()
        guard before.index < committed else { return .nothing }
        let next = try log.entries(
            from: before.index.next, through: committed, bytesMax: Self.lookByteCount)
        for entry in next where entry.isDue { return .since(entry.time) }
        guard let last = next.last else { return .unknown }
        return last.index < committed ? .since(last.time) : .nothing
    }

    /// Behind which entry all is missing; of a log that is not so far as the archive, all that it has.
    private func firstMissing() throws(BackupFailure) -> Position {
        do throws(BackupFailure) { return try place().before } catch {
            guard case .archiveAhead = error else { throw error }
            return try log.base()
        }
    }

    private func isIdleDue(_ time: WallTime, since end: LogArchive.End?) -> Bool {
        guard let end else { return true }
        return time > end.time
            && time.rawValue - end.time.rawValue >= Self.idlePeriod.nanoseconds
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
