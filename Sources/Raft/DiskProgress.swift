internal import Mesh
internal import Record

/// Which writes are under way, and what is durable therefore.
struct DiskProgress: Hashable, Sendable {
    struct Outstanding: Hashable, Sendable {
        let number: UInt64
        let at: Instant
        /// The lowest index whose bytes it replaces, and the last index it leaves in the log.
        let first: LogIndex?
        let last: LogIndex?
        let term: Term?
        let base: LogIndex?
    }

    /// This node's log up to here is on disk, and no write under way replaces any of it.
    private(set) var durable: LogIndex
    /// The term that a crash would leave behind.
    private(set) var term: Term
    /// Where the log on disk begins.
    private(set) var base: LogIndex
    private(set) var outstanding: [Outstanding] = []
    private(set) var lastNumber: UInt64 = 0
    private(set) var saveTime: Interval = .zero
    /// When a write last became durable.
    private var progressedAt: Instant = .zero
    var failed = false

    init(durable: LogIndex, term: Term, base: LogIndex) {
        (self.durable, self.term, self.base) = (durable, term, base)
    }

    mutating func issue(
        first: LogIndex?, last: LogIndex?, term: Term?, base: LogIndex?, at now: Instant
    ) -> UInt64 {
        lastNumber += 1
        outstanding.append(
            Outstanding(
                number: lastNumber, at: now, first: first, last: last, term: term, base: base))
        if let first { durable = min(durable, first.rawValue > 0 ? first.previous : .zero) }
        return lastNumber
    }

    /// A saved write tells only of the bytes it wrote: what a later write is about to replace
    /// doesn't count, even if that puts back the same (index, term): the ABA race of
    /// asynchronous appends.
    mutating func saved(through number: UInt64, at now: Instant) {
        let done = outstanding.prefix { $0.number <= number }
        guard let newest = done.last else { return }
        outstanding.removeFirst(done.count)
        for write in done {
            if let first = write.first {
                durable = min(durable, first.rawValue > 0 ? first.previous : .zero)
            }
            if let last = write.last { durable = max(durable, last) }
            term = write.term ?? term
            base = write.base ?? base
        }
        for write in outstanding {
            if let first = write.first {
                durable = min(durable, first.rawValue > 0 ? first.previous : .zero)
            }
        }
        progressedAt = now
        saveTime = (saveTime * 7 + now.since(newest.at)) / 8
        failed = false
    }

    func stallsAt(after limit: Interval) -> Instant {
        // A disk that works through a queue is busy, not stalled, however long the queue is.
        outstanding.first.map { max($0.at, progressedAt) + limit } ?? .distantFuture
    }

    /// How long writes have been under way without any of them becoming durable.
    func stalledFor(at now: Instant) -> Interval {
        outstanding.first.map { now.since(max($0.at, progressedAt)) } ?? .zero
    }

    func isStalled(at now: Instant, limit: Interval) -> Bool {
        failed || now >= stallsAt(after: limit)
    }
}
