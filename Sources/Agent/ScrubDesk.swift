import Admin
import Alarms
import Backup
import Dispatch
import Driver
import FoundationEssentials
import Launch
import Logging
import Mesh
import NIOConcurrencyHelpers
import Repository
import Settings
import Store

/// Reads over what lies in the repository, part by part, and puts right what another store is whole of. How far it has come outlives
/// restarts.
final class ScrubDesk: Sendable {
    private static let fileName = "scrub.json"
    private static let fileByteCountMax = 4 << 20
    /// What was found bad is looked at again, so that nobody who mended it waits for the next pass; and what failed is tried again,
    /// as is what could not be put right. Twice as seldom each time that it was in vain, for each look reads, and each try may leave
    /// one more copy aside.
    private static let pauseMin = Interval.seconds(60)
    private static let recheckMax = Interval.seconds(300)
    private static let retryMax = Interval.seconds(3_600)
    private static let toldMax = 20
    /// Behind so many, or so long, the repository is opened anew: keys may have been rotated.
    private static let partsPerTurn = 16
    private static let turnMax = Interval.seconds(60)

    private struct State: Sendable {
        var pass: ScrubPass
        var isBusy = false
        var recheck = Pause(longest: ScrubDesk.recheckMax)
        var mend = Pause(longest: ScrubDesk.retryMax)
        var retry = Pause(longest: ScrubDesk.retryMax)
        var failure: (since: UInt64, words: String)?
    }

    /// By a clock that nobody sets.
    private struct Pause: Sendable {
        let longest: Interval
        private(set) var until = Instant.zero
        private var span = ScrubDesk.pauseMin

        init(longest: Interval) { self.longest = longest }

        mutating func lengthen() {
            until = BootClock.now + span
            span = min(span * 2, longest)
        }
        mutating func end() { self = Pause(longest: longest) }
    }

    private let settings: NodeSettings.Scrub
    private let backups: BackupDesk
    private let file: StateFile
    private let logger: Logger
    private let queue = DispatchQueue(label: "holdfast.scrub", qos: .background)
    private let state: NIOLockedValueBox<State>

    /// What can't be read of an earlier pass is begun anew.
    init(
        _ settings: NodeSettings.Scrub, _ backups: BackupDesk, in data: String, _ logger: Logger
    ) {
        (self.settings, self.backups, self.logger) = (settings, backups, logger)
        file = StateFile(Self.fileName, in: data)
        let bytes = try? file.read(bytesMax: Self.fileByteCountMax)
        let known = bytes.flatMap { try? JSONDecoder().decode(ScrubPass.self, from: Data($0)) }
        state = NIOLockedValueBox(
            State(pass: known ?? ScrubPass(at: BootClock.unixSeconds)))
    }

    private var period: UInt64 { settings.every.nanoseconds / 1_000_000_000 }

    private var isDue: Bool {
        state.withLockedValue {
            $0.pass.isDue(at: BootClock.unixSeconds, every: period)
        }
    }

    /// About once a second.
    func tick() {
        let now = BootClock.now
        let begins = state.withLockedValue { state in
            let isDue = state.pass.isDue(at: BootClock.unixSeconds, every: period)
            let rechecks = !state.pass.bad.isEmpty && now >= state.recheck.until
            guard !state.isBusy, now >= state.retry.until, isDue || rechecks else { return false }
            state.isBusy = true
            return true
        }
        if begins { queue.async { self.turn() } }
    }

    private func turn() {
        defer { state.withLockedValue { $0.isBusy = false } }
        do throws(BackupFailure) {
            let (vault, rings) = try backups.scrubbing()
            let scrub = Scrub(
                vault.store, vault, rings: rings, threads: 1, bytesPerSecond: settings.rate)
            let repair =
                vault.store.copies.count > 1
                ? Repair(vault, rings: rings, threads: 1, bytesPerSecond: settings.rate) : nil
            try recheck(scrub, repair)
            let end = BootClock.now + Self.turnMax
            let parts = Scrub.parts(of: vault)
            for _ in 0..<Self.partsPerTurn where isDue && BootClock.now < end {
                // Whoever rotated has put a ring there that is not known here, and more that it seals.
                guard try advance(scrub, repair, parts) else { break }
            }
            state.withLockedValue { state in
                state.failure = nil
                state.retry.end()
            }
        } catch { note(error) }
    }

    private func recheck(_ scrub: Scrub, _ repair: Repair?) throws(BackupFailure) {
        let names = state.withLockedValue { state in
            BootClock.now < state.recheck.until ? [] : Array(Set(state.pass.bad.map(\.name)))
        }
        guard !names.isEmpty else { return }
        // Paused from the end on: else a long look would be due again when it ends.
        defer { state.withLockedValue { $0.recheck.lengthen() } }
        let report = try scrub.look(at: names.compactMap(ObjectName.init))
        try confirm(report)
        let mends = state.withLockedValue { BootClock.now >= $0.mend.until }
        let bad = mended(report, mends ? repair : nil)
        state.withLockedValue { state in
            if mends { state.mend.lengthen() }
            state.pass.recheck(names, bad: bad)
            if bad.isEmpty { state.mend.end() }
        }
        save()
    }

    /// False where the pass comes to what keys are looked up for: the next part is read with keys that are opened anew.
    private func advance(
        _ scrub: Scrub, _ repair: Repair?, _ parts: [[ObjectName]]
    ) throws(BackupFailure) -> Bool {
        let next = state.withLockedValue { state in
            state.pass.begin(at: BootClock.unixSeconds)
            return state.pass.next
        }
        let report = try scrub.run(parts[next], and: next == 0 ? [Layout.repository] : [])
        if !report.absent.isEmpty {
            // What the others have of it is damaged all the same.
            var found = report
            // What is missing may have been let go of: that is told where all of them can be asked.
            found.findings.removeAll { $0.problem == .missing }
            let bad = found.bad
            state.withLockedValue { $0.pass.recheck([], bad: bad) }
            try confirm(report)
        }
        let bad = mended(report, repair)
        for one in bad.prefix(Self.toldMax) {
            logger.error(
                "an object of the repository is damaged",
                metadata: [
                    "object": "\(one.name)", "store": "\(one.store)", "what": "\(one.words)",
                ])
        }
        let last = state.withLockedValue { state in
            state.pass.advance(report, bad: bad, at: BootClock.unixSeconds)
            if !bad.isEmpty {
                state.recheck.end()
                state.recheck.lengthen()
            }
            return state.pass.isOver ? state.pass.last : nil
        }
        save()
        guard let last else { return next > 0 }
        logger.notice(
            "the repository was read over",
            metadata: ["copies": "\(last.copyCount)", "bytes": "\(last.byteCount)"])
        return false
    }

    /// A part that a store did not give is read again: what it has of it may be damaged.
    private func confirm(_ report: Scrub.Report) throws(BackupFailure) {
        if let failure = report.absent.min(by: { $0.key < $1.key })?.value { throw .store(failure) }
    }

    private func mended(_ report: Scrub.Report, _ repair: Repair?) -> [ScrubPass.Bad] {
        guard let repair, !report.findings.isEmpty else { return report.bad }
        let mended = repair.mend(report)
        for finding in mended.repaired.prefix(Self.toldMax) {
            logger.notice(
                "an object of the repository is put right",
                metadata: [
                    "object": "\(finding.name)", "store": "\(finding.store)",
                    "was": "\(finding.problem)",
                ])
        }
        return mended.bad
    }

    private func note(_ failure: BackupFailure) {
        let now = BootClock.unixSeconds
        state.withLockedValue { state in
            state.failure = (min(state.failure?.since ?? now, now), "\(failure)")
            state.retry.lengthen()
        }
        logger.warning("the repository can't be read over", metadata: ["why": "\(failure)"])
    }

    /// A pass that is lost is begun anew: nothing rests on the file.
    private func save() {
        let pass = state.withLockedValue { $0.pass }
        do { try file.replace(Array(JSONEncoder().encode(pass))) } catch {
            logger.warning("how far a scrub has come is not kept", metadata: ["why": "\(error)"])
        }
    }

    var sight: Sight.Scrub {
        state.withLockedValue { state in
            Sight.Scrub(
                bad: state.pass.bad.map { "\($0.name) in \($0.store): \($0.words)" },
                failingSince: state.failure?.since, failure: state.failure?.words,
                lateSince: state.pass.isLate(at: BootClock.unixSeconds, every: period)
                    ? state.pass.began : nil)
        }
    }

    var report: RepositoryScrubReport {
        state.withLockedValue { state in
            let pass = state.pass
            var report = RepositoryScrubReport(
                began: pass.began, percent: UInt64(pass.next * 100 / Scrub.partCount),
                bytes: pass.byteCount, damaged: UInt64(pass.bad.count),
                failure: state.failure?.words)
            report.last = pass.last.map {
                RepositoryScrubReport.Ended(
                    at: $0.ended, copies: UInt64($0.copyCount), bytes: $0.byteCount)
            }
            return report
        }
    }
}
