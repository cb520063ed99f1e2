import Admin
import Alarms
import Backup
import Decisions
import Dispatch
import Driver
import Journal
import JournalCore
import Launch
import Logging
import Mesh
import NIOConcurrencyHelpers
import Node
import Raft
import Record
import Settings
import Voting

/// Ships this node's log while it acts as primary.
final class LogShipper: Sendable {
    /// What is kept of the log for whoever ships next: several seconds of what a fast disk takes.
    static let tailByteCount = 512 << 20

    private let shipping: LogShipping
    private let settings: NodeSettings.Shipping
    private let desk: BackupDesk
    private let logger: Logger
    private let queue = DispatchQueue(label: "holdfast.shipping", qos: .utility)
    /// When the newest turn that has ended began.
    private let turnedAt = NIOLockedValueBox(WallTime.zero)
    private let isStopped = NIOLockedValueBox(false)
    private let told = NIOLockedValueBox(Told())
    private struct Told: Sendable {
        var failure: String?
        var failingSince: WallTime?
        var breaks: UInt64 = 0
    }

    init(
        _ log: NodeLog, _ settings: NodeSettings.Shipping, _ desk: BackupDesk, _ logger: Logger
    ) {
        (self.settings, self.desk, self.logger) = (settings, desk, logger)
        shipping = LogShipping(log, every: settings.every) { () throws(BackupFailure) in
            LogArchive(try desk.vault(), cluster: desk.cluster, group: Running.group)
        }
    }

    func start() {
        let period = DispatchTimeInterval.nanoseconds(Int(settings.every.nanoseconds))
        queue.asyncAfter(deadline: .now() + period) { [self] in
            guard !isStopped.withLockedValue({ $0 }) else { return }
            let now = BootClock.wall
            shipping.turn()
            // Not before: what the turn before it found says nothing of what came since.
            turnedAt.withLockedValue { $0 = now }
            note(shipping.standing)
            start()
        }
    }

    /// A turn that is under way ends by itself: what it stores is whole or absent.
    func stop() { isStopped.withLockedValue { $0 = true } }

    /// Each change once: a store that is away for hours fails at each turn.
    private func note(_ standing: LogShipping.Standing) {
        let before = told.withLockedValue { told in
            let before = told
            told = Told(failure: standing.failure, breaks: standing.breaks)
            if told.failure != nil { told.failingSince = before.failingSince ?? BootClock.wall }
            return before
        }
        if let failure = standing.failure, failure != before.failure {
            logger.error(
                "the log is not shipped to the repository", metadata: ["why": "\(failure)"])
        } else if standing.failure == nil, before.failure != nil {
            logger.notice("the log is shipped to the repository again")
        }
        if standing.breaks > before.breaks {
            logger.error(
                "the log in the repository is broken off and begins anew: a backup is made to heal that",
                metadata: ["through": "\(standing.end.map { "\($0.last)" } ?? "?")"])
            // One that is under way began before, or will be followed by the next one of the schedule.
            _ = desk.begin(isFull: false)
        }
    }

    var report: LogShippingReport {
        let standing = shipping.standing
        let state: LogShippingReport.State =
            switch standing.phase {
            case .standsBy: .standsBy
            case .ships: .ships
            case .fails: .failing
            }
        return LogShippingReport(
            state: state, through: standing.end?.last.index.rawValue,
            unixMilliseconds: standing.end.map { $0.time.rawValue / 1_000_000 },
            behindMilliseconds: behind(standing), breaks: standing.breaks,
            failure: standing.failure)
    }

    /// nil while another node ships.
    var sight: Sight.Shipping? {
        let standing = shipping.standing
        guard standing.phase != .standsBy else { return nil }
        let told = told.withLockedValue { $0 }
        return Sight.Shipping(
            behind: behind(standing).map { $0 / 1_000 }, failure: told.failure,
            failingSince: told.failingSince?.unixSeconds,
            lateAfter: settings.lateAfter.nanoseconds / 1_000_000_000)
    }

    /// At most so much is missing: what came since the newest turn was looked at by nobody.
    private func behind(_ standing: LogShipping.Standing) -> UInt64? {
        let now = BootClock.wall
        let since: WallTime
        switch standing.missing {
        case .unknown: return nil
        case .since(let time): since = min(time, now)
        case .nothing: since = min(turnedAt.withLockedValue { $0 }, now)
        }
        return (now.rawValue - since.rawValue) / 1_000_000
    }
}

extension LogShipping.Standing {
    fileprivate var failure: String? {
        if case .fails(let why) = phase { why } else { nil }
    }
}

/// The log as this node holds it.
struct NodeLog: ShippedLog {
    /// The log's disk stalls for no longer; a node whose disk does has other troubles.
    static let readMax = DispatchTimeInterval.seconds(10)

    static let readByteCount = 256 << 10

    let driver: Driver<Node>
    let keeper: LogKeeper

    func committed() -> LogIndex? {
        let now = BootClock.now
        return driver.inspect { node in
            guard case .acting(let acting) = node.office, acting.isOpen,
                let until = acting.lease.until, now < until
            else { return nil }
            return node.voter.raft.standing.commit
        }
    }

    func base() throws(BackupFailure) -> Position {
        guard let held = keeper.held else { throw .volume("the log has stopped") }
        return held.base
    }

    func entries(
        from first: LogIndex, through last: LogIndex, bytesMax: Int
    ) throws(BackupFailure) -> [Entry] {
        var (all, byteCount, next): ([Entry], Int, LogIndex) = ([], 0, first)
        // A batch of the log waits for no more than one of these.
        while next <= last, byteCount < bytesMax {
            let some = try read(
                from: next, through: last, bytesMax: min(Self.readByteCount, bytesMax))
            guard let end = some.last else { break }
            all += some
            byteCount += some.reduce(0) { $0 + $1.bytes.count }
            next = end.index.next
        }
        return all
    }

    private func read(
        from first: LogIndex, through last: LogIndex, bytesMax: Int
    ) throws(BackupFailure) -> [Entry] {
        let done = DispatchSemaphore(value: 0)
        let result = NIOLockedValueBox<Result<[Entry], JournalError>?>(nil)
        keeper.read(from: first, through: last, bytesMax: bytesMax) { read in
            result.withLockedValue { $0 = read }
            done.signal()
        }
        guard done.wait(timeout: .now() + Self.readMax) == .success else {
            throw .volume("the log was not read within 10 s: its disk may be stalled")
        }
        switch result.withLockedValue({ $0 }) {
        case .success(let entries): return entries
        case .failure(let error): throw .volume("the log can't be read: \(error)")
        case nil: throw .volume("the log can't be read")
        }
    }
}
