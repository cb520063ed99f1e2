import Admin
import Alarms
import Backup
import Decisions
import Dispatch
import Driver
import FoundationEssentials
import Launch
import Logging
import Mesh
import NIOConcurrencyHelpers
import Repository
import Sealing
import Settings
import StoreChoice

/// This node's backups: one at a time, on threads of their own.
final class BackupDesk: Sendable {
    private static let threads = BackupLimits.writingThreads(
        processors: ProcessInfo.processInfo.activeProcessorCount)

    fileprivate enum Job: Sendable {
        case none
        /// nil until the repository is open.
        case running(BackupRun?, since: Instant, LogIndex?)
        case ended(Result<ManifestObject, BackupFailure>, BackupRun.Progress, took: Interval)
    }

    private let settings: AgentSettings.Backup
    /// Which node writes: one backup at a time, and in one process.
    private let writer: String
    private let cut: NodeCut
    private let logger: Logger
    private let job = NIOLockedValueBox(Job.none)
    /// Why stores lack what others have, as of the last backup; nil before the first.
    private let lacking = NIOLockedValueBox<[String]?>(nil)
    private static let failuresShown = 3
    /// The newest ring that was read: the next one has to follow it.
    private let ring = NIOLockedValueBox<KnownRing?>(nil)
    /// Why the newest ring's key is older than it may get.
    private let unrotated = NIOLockedValueBox<(epoch: KeyEpoch, Sight.Rotation)?>(nil)
    /// When all locks are to be looked at again, and why that could not be done.
    private let locks = NIOLockedValueBox<(dueAt: Instant, failure: Sight.Locks?)>((.zero, nil))
    let ends = BackupEnds()
    private let untold = NIOLockedValueBox<[String]>([])
    private let queue = DispatchQueue(label: "holdfast.backup", qos: .utility)

    var cluster: ClusterID { cut.cluster }

    init(_ settings: AgentSettings.Backup, by writer: String, _ cut: NodeCut, _ logger: Logger) {
        (self.settings, self.writer, self.cut, self.logger) = (settings, writer, cut, logger)
    }

    /// Begins one; false where one is under way. `claim` is what the schedule asks for it by, `rate` what goes for the one of the
    /// node's file.
    func begin(isFull: Bool, for claim: LogIndex? = nil, rate: UInt64? = nil) -> Bool {
        // A slower one would never end, and nobody can end it.
        let rate = rate.map { max($0, NodeSettings.backupRateMin) } ?? settings.rate
        let begins = job.withLockedValue { job in
            if case .running = job { return false }
            job = .running(nil, since: BootClock.now, claim)
            return true
        }
        if begins { queue.async { self.make(isFull: isFull, for: claim, Pace(rate)) } }
        return begins
    }

    private func make(isFull: Bool, for claim: LogIndex?, _ pace: Pace) {
        logger.info("a backup begins", metadata: ["full": "\(isFull)"])
        let began = BootClock.now
        Allocator.giveBack()
        let result: Result<ManifestObject, BackupFailure>
        var opened: Vault?
        do throws(BackupFailure) {
            let vault = try freshVault()
            opened = vault
            let run = BackupRun(vault.paced(by: pace), cut, by: writer, threads: Self.threads)
            job.withLockedValue { $0 = .running(run, since: began, claim) }
            result = .success(try run.make(isFull: isFull, at: BootClock.wall))
            note(run.account)
        } catch { result = .failure(error) }
        let took = BootClock.now.since(began)
        let progress = job.withLockedValue { job in
            defer { job = .ended(result, job.progress, took: took) }
            return job.progress
        }
        note(result, progress, took)
        ends.add(claim, result)
        if let opened, case .success = result {
            catchUp(opened, pace)
            extendLocks()
        }
    }

    /// Locks of objects that backups still rest on must not run out. Each object is asked for, so all are looked at only eight
    /// times in the days of a lock, and after each start.
    private func extendLocks() {
        guard let days = settings.store.lockDays else { return }
        let now = BootClock.now
        guard now >= locks.withLockedValue({ $0.dueAt }) else { return }
        do throws(BackupFailure) {
            let reports = try StoreChoice.extendLocks(of: settings.store)
            for report in reports {
                logger.notice(
                    "locks of objects were looked at",
                    metadata: [
                        "store": "\(report.store)", "looked": "\(report.looked)",
                        "extended": "\(report.extended)",
                    ])
            }
            locks.withLockedValue { $0 = (now + .seconds(days * 86_400 / 8), nil) }
        } catch {
            logger.error("locks of objects are not extended", metadata: ["why": "\(error)"])
            let failure = Sight.Locks(failingSince: BootClock.unixSeconds, failure: "\(error)")
            locks.withLockedValue {
                $0.failure = Sight.Locks(
                    failingSince: $0.failure?.failingSince ?? failure.failingSince,
                    failure: failure.failure)
            }
        }
    }

    /// Why locks run out, since the first backup behind which they could not be extended.
    var locksFailure: Sight.Locks? { locks.withLockedValue { $0.failure } }

    /// Brings to the other stores what they missed. All lists are read for it: behind the first backup, since others may have put
    /// something before, and where a store failed.
    private func catchUp(_ vault: Vault, _ pace: Pace) {
        var words = StoreChoice.shortfalls(of: vault.store)
        let isDue = lacking.withLockedValue { $0.map { !$0.isEmpty } ?? true } || !words.isEmpty
        guard vault.store.copies.count > 1, isDue else { return }
        do throws(BackupFailure) {
            let report = try Repair(vault.paced(by: pace), threads: Self.threads).catchUp()
            if !report.repaired.isEmpty {
                logger.notice(
                    "stores caught up", metadata: ["objects": "\(report.repaired.count)"])
            }
            words = report.scrub.absent.sorted { $0.key < $1.key }.map { "\($0.value)" }
            words += report.failed.prefix(Self.failuresShown).map { "\($0.why)" }
            let bad = report.lost + report.undecided + report.conflicts
            words += bad.prefix(Self.failuresShown).map { "\($0) is whole nowhere that answers" }
        } catch { words.append("\(error)") }
        for words in words {
            logger.error("a store lacks what others have", metadata: ["why": "\(words)"])
        }
        lacking.withLockedValue { $0 = words }
    }

    /// A full backup that finds it right again ends it.
    private func note(_ account: AccountStanding) {
        switch account {
        case .untried: return
        case .unknown(let failure):
            return logger.warning(
                "what changed can't be compared with the backup before",
                metadata: ["why": "\(failure)"])
        case .right: untold.withLockedValue { $0 = [] }
        case .wrong(let changes): untold.withLockedValue { $0 = changes.map { "\($0)" } }
        }
        for change in untold.withLockedValue({ $0 }) {
            logger.critical(
                "a backup of what changed missed a change", metadata: ["what": "\(change)"])
        }
    }

    var shortfallReported: String? { cut.shortfall.withLockedValue { $0 } }

    var untoldReported: [String]? {
        untold.withLockedValue { $0.isEmpty ? nil : $0 }
    }

    var lacksReported: [String]? {
        lacking.withLockedValue { $0.flatMap { $0.isEmpty ? nil : $0 } }
    }

    var isRunning: Bool { if case .running = job.withLockedValue({ $0 }) { true } else { false } }

    /// The claim for which one is made now.
    var claim: LogIndex? {
        if case .running(_, _, let claim) = job.withLockedValue({ $0 }) { claim } else { nil }
    }

    private func note(
        _ result: Result<ManifestObject, BackupFailure>, _ progress: BackupRun.Progress,
        _ took: Interval
    ) {
        let facts: Logger.Metadata = [
            "read_bytes": "\(progress.readByteCount)",
            "stored_bytes": "\(progress.storedByteCount)",
            "took": "\(took)",
        ]
        switch result {
        case .success(let made):
            logger.notice(
                "a backup is made",
                metadata: facts.merging([
                    "number": "\(made.manifest.sequence)",
                    "position": "\(made.manifest.position)",
                ]) { $1 })
        case .failure(let failure):
            logger.error(
                "a backup failed", metadata: facts.merging(["why": "\(failure)"]) { $1 })
        }
    }

    /// Opened anew for each: the disk may have been mounted since, the keys rotated, the credentials renewed.
    func vault() throws(BackupFailure) -> Vault {
        let opened = try open()
        return try vault(opened.rings, opened.ring)
    }

    /// With what tells key rings from what others put in their place.
    func scrubbing() throws(BackupFailure) -> (Vault, RingHistory) {
        // As who repairs does: the store that leads may be the damaged one.
        let opened = try open(for: .reading)
        let history = opened.rings.history(from: opened.ring, by: opened.key.holder)
        return (try vault(opened.rings, opened.ring), history)
    }

    private func vault(_ rings: Rings, _ ring: KnownRing) throws(BackupFailure) -> Vault {
        var limits = BackupLimits()
        // Requests of guests wait while a part is read.
        limits.readByteCountMax = 1 << 20
        return try Vault(rings.store, ring: ring.ring, limits: limits)
    }

    private func open(
        for demand: StoreChoice.Demand = .writing
    ) throws(BackupFailure) -> (key: GivenKey, rings: Rings, ring: KnownRing) {
        let key = try KeyChoice.open(settings.key)
        // To find out all that lies in the store would have to be listed, each time.
        guard key.owner != nil else {
            throw .key(
                "\(settings.key) does not say whose repository it is a key to: an agent needs a key that "
                    + "does")
        }
        let store = try StoreChoice.open(settings.store, for: demand)
        let rings = try key.rings(in: store)
        let known = ring.withLockedValue { $0 }
        let newest =
            if let known {
                try rings.newest(openedBy: key.holder, since: known)
            } else { try rings.newest(openedBy: key.holder) }
        // Who only reads settles nothing, and must not keep who writes from it.
        guard demand == .writing else { return (key, rings, newest) }
        if newest.number != known?.number { try rings.settle(newest.number) }
        keep(newest)
        return (key, rings, newest)
    }

    /// Backups and the log ask side by side: the slower one must not bring an older ring back.
    private func keep(_ newest: KnownRing) {
        ring.withLockedValue { known in
            if let known, known.number > newest.number { return }
            known = newest
        }
        let epoch = newest.ring.current.epoch
        unrotated.withLockedValue { if let old = $0, epoch > old.epoch { $0 = nil } }
    }

    /// Until this node reads of a later key, whoever made it.
    var rotation: Sight.Rotation? { unrotated.withLockedValue { $0?.1 } }

    /// What can't be renewed is told each time, and keeps no backup from being made: it is sealed as before.
    private func freshVault() throws(BackupFailure) -> Vault {
        let (key, rings, known) = try open()
        var newest = known
        var chance = SystemRandomNumberGenerator()
        do throws(BackupFailure) {
            let renewed = try rings.renewed(
                known, by: key.holder, olderThan: settings.rotatePeriod, at: BootClock.wall,
                using: &chance)
            if let renewed {
                newest = renewed
                keep(renewed)
                logger.notice(
                    "the key of backups is rotated",
                    metadata: [
                        "epoch": "\(renewed.ring.current.epoch)", "ring": "\(renewed.number)",
                    ])
            }
        } catch {
            logger.error("the key of backups is not rotated", metadata: ["why": "\(error)"])
            let old = known.ring.current
            let rotation = Sight.Rotation(since: old.since.unixSeconds, failure: "\(error)")
            unrotated.withLockedValue { $0 = (old.epoch, rotation) }
        }
        return try vault(rings, newest)
    }

    var report: BackupJobReport {
        switch job.withLockedValue({ $0 }) {
        case .none: BackupJobReport(state: .none)
        case .running(let run, let since, _):
            BackupJobReport(
                .running, run?.progress ?? BackupRun.Progress(), BootClock.now.since(since))
        case .ended(.success(let made), let progress, let took):
            BackupJobReport(.done, progress, took, backup: BackupReport(made.manifest))
        case .ended(.failure(let failure), let progress, let took):
            BackupJobReport(.failed, progress, took, failure: "\(failure)")
        }
    }
}

extension BackupDesk.Job {
    fileprivate var progress: BackupRun.Progress {
        switch self {
        case .running(let run?, _, _): run.progress
        case .ended(_, let progress, _): progress
        case .none, .running(nil, _, _): BackupRun.Progress()
        }
    }
}

extension BackupJobReport {
    fileprivate init(
        _ state: State, _ progress: BackupRun.Progress, _ took: Interval,
        backup: BackupReport? = nil, failure: String? = nil
    ) {
        self.init(
            state: state, phase: state == .running ? progress.phase.rawValue : nil,
            readBytes: progress.readByteCount, wantedBytes: progress.wantedByteCount,
            storedBytes: UInt64(progress.storedByteCount),
            milliseconds: took.nanoseconds / 1_000_000, backup: backup, failure: failure)
    }
}
