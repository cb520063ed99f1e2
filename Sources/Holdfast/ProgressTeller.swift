internal import ArgumentParser
internal import Backup
internal import Dispatch
internal import Glibc
internal import Mesh
internal import NIOConcurrencyHelpers
internal import Pacing
internal import Repository

enum ProgressStyle: String, CaseIterable, ExpressibleByArgument, Sendable {
    case line, json, none

    /// How it is told here: no line is drawn where nobody looks at it.
    var here: ProgressStyle {
        self == .line && !(Terminal.errorIsTerminal && Terminal.canRedraw) ? .none : self
    }
}

struct ProgressOptions: ParsableArguments {
    @Option(
        help:
            "How far it is, on standard error: a line for people (on a terminal only), json for programs (an object a second), or none."
    )
    var progress = ProgressStyle.line
}

/// Tells whoever waits for a long command how far it is. All that draws progress goes through here.
final class ProgressTeller: Sendable {
    fileprivate struct State: Sendable {
        var meter: ProgressMeter
        var subject: String?
        var stored: UInt64?
        /// Of all phases that were counted in bytes.
        var byteCount: UInt64 = 0
        /// Which phase it is: what was counted for an earlier one says nothing of this one.
        var phaseNumber = 0
        var hasEnded = false
    }

    /// A line that is drawn more often flickers, and nobody reads it.
    private static let lineMilliseconds = 250
    private static let jsonMilliseconds = 1_000

    private let style: ProgressStyle
    private let watch = Stopwatch()
    private let state: NIOLockedValueBox<State>
    private let over = DispatchSemaphore(value: 0)
    private let teller = DispatchGroup()
    /// Whether somebody is asked something, and nothing is drawn meanwhile. Whoever writes holds it, so that two don't at once.
    private let rests = NIOLockedValueBox(false)

    init(
        _ phase: String, of subject: String? = nil, total: UInt64? = nil, _ options: ProgressOptions
    ) {
        style = options.progress.here
        let meter = ProgressMeter(phase, total: total, at: watch.now)
        state = NIOLockedValueBox(State(meter: meter, subject: subject))
        guard style != .none else { return }
        let period = style == .json ? Self.jsonMilliseconds : Self.lineMilliseconds
        // A thread of its own: the others may all wait for a disk.
        DispatchQueue(label: "holdfast.progress").async(group: teller) { [self] in
            while over.wait(timeout: .now() + .milliseconds(period)) == .timedOut { tell() }
        }
    }

    /// Of data, in all phases.
    var byteCount: UInt64 { state.withLockedValue { $0.byteCount } }

    /// What the first phase is about is often known only once it is looked up.
    func name(_ subject: String) { state.withLockedValue { $0.subject = subject } }

    func add(_ count: Int) { take(.advanced(UInt64(count))) }

    func take(_ work: Work) {
        // A clock that is asked for each cell costs more than to count it.
        let (count, isNew): (UInt64, Bool)
        switch work {
        case .began: return enter(work)
        case .advanced(let counted): (count, isNew) = (counted, true)
        case .kept(let counted): (count, isNew) = (counted, false)
        }
        state.withLockedValue { state in
            state.meter.reach(state.meter.done + count)
            if isNew, state.meter.unit == .bytes { state.byteCount += count }
        }
    }

    private func enter(_ work: Work) {
        let now = watch.now
        state.withLockedValue { state in
            state.meter.take(work, at: now)
            state.phaseNumber += 1
        }
    }

    /// What another process says of its work.
    func reach(_ phase: String, _ done: UInt64, of total: UInt64?, stored: UInt64) {
        if state.withLockedValue({ $0.meter.phase != phase }) { enter(.began(phase)) }
        state.withLockedValue { state in
            state.meter.expect(total)
            state.meter.reach(done)
            state.stored = stored
        }
    }

    /// How much the phase comes to, counted besides: what takes long to count must not be waited for.
    func expect(_ count: @escaping @Sendable () throws -> UInt64) {
        guard style != .none else { return }
        let number = state.withLockedValue { $0.phaseNumber }
        DispatchQueue.global(qos: .utility).async { [self] in
            guard let total = try? count() else { return }
            state.withLockedValue { state in
                if state.phaseNumber == number { state.meter.expect(total) }
            }
        }
    }

    /// One volume after the other, each a phase of its own.
    func begin(_ volume: String, _ map: VolumeMap, _ reader: BackupReader) {
        name(volume)
        take(.began("restoring"))
        expect { try reader.storedByteCount(map) }
    }

    /// Nothing is told while somebody is asked something.
    func pausing<Value>(_ deed: () throws -> Value) rethrows -> Value {
        rests.withLockedValue { rests in
            clear()
            rests = true
        }
        defer { rests.withLockedValue { $0 = false } }
        return try deed()
    }

    /// The last word, at the latest before anything else is said.
    func end() {
        guard style != .none, state.withLockedValue({ $0.end() }) else { return }
        over.signal()
        teller.wait()
        clear()
        if style == .json { write(report(.ended)) }
    }

    private func tell() {
        rests.withLockedValue { rests in
            if !rests { write(style == .line ? line() : report(.running)) }
        }
    }

    private func line() -> String {
        let now = watch.now
        let line = state.withLockedValue { state in
            ProgressWords.line(
                state.meter.reading(at: now), of: state.subject, stored: state.stored)
        }
        // A line that is broken can't be drawn over.
        return "\r\(line.prefix(max(Terminal.errorWidth - 1, 1)))\u{1b}[K"
    }

    private func report(_ standing: ProgressReport.State) -> String {
        let now = watch.now
        return state.withLockedValue { state in
            ProgressReport(
                state: standing, reading: state.meter.reading(at: now), stored: state.stored,
                elapsed: now.since(.zero)
            ).text
        }
    }

    private func clear() { if style == .line { write("\r\u{1b}[K") } }

    private func write(_ text: String) { Terminal.write(text, to: STDERR_FILENO) }
}

extension ProgressTeller.State {
    /// False where it had ended before.
    fileprivate mutating func end() -> Bool {
        defer { hasEnded = true }
        return !hasEnded
    }
}

/// A target of which somebody wants to know how much was written there.
struct Watched<Target: CellTarget>: CellTarget {
    let target: Target
    let tell: WorkTeller

    init(_ target: Target, _ tell: @escaping WorkTeller) {
        (self.target, self.tell) = (target, tell)
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
        try target.write(bytes, at: offset)
        tell(.advanced(UInt64(bytes.count)))
    }
}

extension Watched: HeldTarget where Target: HeldTarget {
    func held() throws(BackupFailure) -> [Range<UInt64>] { try target.held() }
    func read(_ range: Range<UInt64>) throws(BackupFailure) -> [UInt8] { try target.read(range) }
    func zero(_ range: Range<UInt64>) throws(BackupFailure) { try target.zero(range) }
}
