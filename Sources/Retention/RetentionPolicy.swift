internal import Mesh

/// For how long one backup of each hour, day, week, month and year is kept, and how many of the newest are in any case.
package struct RetentionPolicy: Hashable, Sendable {
    package static let newestRange = 1...10_000
    /// A hundred years.
    package static let daysMax = 36_525
    package static let daysPerYear = 366

    /// The last ones, whatever their times.
    package private(set) var newest = 3
    /// Of no days: the rule keeps nothing.
    private var days: [RetentionSlot.Kind: Int] = [
        .hourly: 7, .daily: 30, .weekly: 90, .monthly: 365, .yearly: 7 * daysPerYear,
    ]

    package init() {}

    /// For how long any moment can be had: the shipped log goes once a backup that is older than this stands before it.
    package var logDays = 30

    /// Sets what is given; nil where a number is none that a rule can have.
    package init?(
        newest: Int? = nil, days: [RetentionSlot.Kind: Int] = [:], logDays: Int? = nil
    ) {
        if let newest { self.newest = newest }
        if let logDays { self.logDays = logDays }
        self.days.merge(days) { $1 }
        guard Self.newestRange.contains(self.newest), (0...Self.daysMax).contains(self.logDays),
            self.days.values.allSatisfy({ (0...Self.daysMax).contains($0) })
        else { return nil }
    }

    package func days(_ kind: RetentionSlot.Kind) -> Int { days[kind] ?? 0 }

    func reaches(_ age: Interval, _ kind: RetentionSlot.Kind) -> Bool {
        age.nanoseconds < UInt64(days(kind)) * Calendar.nanosecondsPerDay
    }
}
