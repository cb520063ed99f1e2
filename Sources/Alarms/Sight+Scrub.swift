internal import Admin

/// Of what lies in the repository, as this node reads it over.
extension Sight {
    package struct Scrub: Hashable, Sendable {
        /// Copies that are damaged and were not put right, in words.
        package let bad: [String]
        /// Unix seconds, and why; nil where it goes on.
        package let failingSince: UInt64?
        package let failure: String?
        /// Unix seconds: when the pass began that should long have come to its end.
        package let lateSince: UInt64?

        package init(
            bad: [String], failingSince: UInt64?, failure: String?, lateSince: UInt64? = nil
        ) {
            (self.bad, self.failingSince, self.failure) = (bad, failingSince, failure)
            self.lateSince = lateSince
        }
    }

    /// A store may be away for a while: nothing rots so fast.
    private static let scrubFailsMax: UInt64 = 86_400

    var scrubAlarms: [Alarm] {
        guard let scrub else { return [] }
        var alarms: [Alarm] = []
        if let first = scrub.bad.first {
            let count = counted(
                scrub.bad.count, "object of the repository is", "objects of the repository are")
            alarms.append(
                alarm(
                    .repositoryDamaged, .critical,
                    "\(count) not as stored, and not put right: \(first)",
                    do:
                        "`holdfast backup verify` says which backups lack it, \"What rots\" in docs/backups.md how it is "
                        + "put right; ends within minutes behind that"))
        }
        if let since = scrub.failingSince, now - min(since, now) >= Self.scrubFailsMax {
            alarms.append(
                alarm(
                    .scrubFailing, .warning, since: since,
                    "the repository has not been read over since \(utc(since)): \(scrub.failure ?? "without a word")",
                    do: "see to the store and the way to it; what rots meanwhile is not noticed"))
        }
        if scrub.failure == nil, let since = scrub.lateSince {
            alarms.append(
                alarm(
                    .scrubFailing, .warning, since: since,
                    "the repository is read over since \(utc(since)), for longer than twice `scrubEvery`, and not "
                        + "at its end",
                    do: "raise `scrubRate` or `scrubEvery` in this node's file"))
        }
        return alarms
    }
}
