/// Which entries `GET /v1/log` shows.
package struct LogQuery: Codable, Hashable, Sendable {
    package static let entriesMax = 1_000
    package static let entriesDefault = 100

    /// First index; nil begins so that the newest entries are shown.
    package var from: UInt64?
    /// Last index; nil goes to the end.
    package var to: UInt64?
    /// 1 to `entriesMax`.
    package var max: Int

    package init(from: UInt64? = nil, to: UInt64? = nil, max: Int = Self.entriesDefault) {
        self.from = from
        self.to = to
        self.max = max
    }

    /// The same, refusing bounds that name nothing in the log. Without bounds an empty log is no fault.
    package func admitted(
        first: UInt64, last: UInt64
    ) throws(AdminRefused) -> ClosedRange<UInt64>? {
        if let range = indexes(first: first, last: last) { return range }
        guard from == nil, to == nil else {
            throw .node(.entriesAbsent(first: first, last: last))
        }
        return nil
    }

    /// The indexes to read of a log that holds `first...last`; nil when none are asked for.
    package func indexes(first: UInt64, last: UInt64) -> ClosedRange<UInt64>? {
        let end = Swift.min(to ?? last, last)
        let count = UInt64(Swift.max(max, 1))
        let newest = end >= count ? end - count + 1 : 0
        let start = Swift.max(from ?? newest, first)
        guard start <= end else { return nil }
        return start...(end - start < count ? end : start + count - 1)
    }
}

/// An entry without its payload.
package struct EntryReport: Codable, Hashable, Sendable {
    package enum Kind: String, Codable, Hashable, Sendable {
        case blank, membership, command, write, stream
    }
    package var index: UInt64
    package var term: UInt64
    package var kind: Kind
    package var epoch: UInt64
    /// The leader's wall clock, unix nanoseconds.
    package var time: UInt64
    /// Header and payload.
    package var byteCount: UInt64
    package var session: UInt64
    package var sequence: UInt64
    /// In words, for people: `promote node 2, epoch 4`.
    package var summary: String

    package init(
        index: UInt64, term: UInt64, kind: Kind, epoch: UInt64, time: UInt64, byteCount: UInt64,
        session: UInt64, sequence: UInt64, summary: String
    ) {
        self.index = index
        self.term = term
        self.kind = kind
        self.epoch = epoch
        self.time = time
        self.byteCount = byteCount
        self.session = session
        self.sequence = sequence
        self.summary = summary
    }
}

/// `GET /v1/log`.
package struct LogReport: Codable, Hashable, Sendable {
    package var base: PositionReport
    /// The first index that the log holds: the one after the base.
    package var first: UInt64
    package var last: UInt64
    package var entries: [EntryReport]

    package init(base: PositionReport, first: UInt64, last: UInt64, entries: [EntryReport]) {
        self.base = base
        self.first = first
        self.last = last
        self.entries = entries
    }
}
