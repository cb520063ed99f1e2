package import Mesh

/// What retention has to know of a backup.
package struct Dated: Hashable, Sendable {
    package let number: UInt64
    /// Of which log it is.
    package let cluster: ClusterID
    package let group: GroupID
    package let index: LogIndex
    /// The leader's at that place: one of a clock that may have been wrong.
    package let time: WallTime
    package let isWhole: Bool
    package let isHeld: Bool

    package init(
        number: UInt64, cluster: ClusterID, group: GroupID, index: LogIndex, time: WallTime,
        isWhole: Bool, isHeld: Bool
    ) {
        (self.number, self.cluster, self.group, self.index) = (number, cluster, group, index)
        (self.time, self.isWhole, self.isHeld) = (time, isWhole, isHeld)
    }
}

/// How the times of backups are read that stand in the order of their numbers: that order is sure, and times are not.
///
/// Backups form *runs*, in which one clock went on as clocks do. A run ends where the clock went back, stood still, jumped,
/// or is ahead of the clock of who asks. Slots belong to a run: a backup of another year, by its time, takes nobody's place.
struct Runs {
    /// Who backs up more seldom has a jump at each: then nothing gets older, and all is kept.
    static let stepMax = 32 * Calendar.nanosecondsPerDay
    /// Clocks of two machines differ by less.
    static let aheadMax = Calendar.nanosecondsPerHour

    /// Of each backup the run it is in.
    let runs: [Int]
    /// How long before the newest one each was made, at most as long as it really was.
    let ages: [Interval]

    init(_ backups: [Dated], now: WallTime) {
        let isAhead = backups.map { $0.time.rawValue > now.rawValue &+ Self.aheadMax }
        var runs: [Int] = []
        for at in backups.indices {
            guard let run = runs.last else {
                runs.append(0)
                continue
            }
            let goesOn =
                isAhead[at - 1] == isAhead[at] && Self.goesOn(backups[at - 1], backups[at])
            runs.append(goesOn ? run : run + 1)
        }
        self.runs = runs
        ages = Self.ages(backups, isAhead)
    }

    private static func goesOn(_ former: Dated, _ next: Dated) -> Bool {
        guard former.cluster == next.cluster, former.group == next.group else { return false }
        let (before, after) = (former.time.rawValue, next.time.rawValue)
        // A log's time never goes back: behind a clock that was set back it stands still, though entries come.
        guard after != before else { return former.index == next.index }
        return after > before && after - before <= stepMax
    }

    /// A backup is older than a later one by as much as their times say, if those can be right: of all later ones the one counts
    /// by which it is least old. What a clock was ahead or behind for a while, and came back from, is no time that went by.
    private static func ages(_ backups: [Dated], _ isAhead: [Bool]) -> [Interval] {
        let times = backups.map(\.time.rawValue)
        var ages = [UInt64](repeating: 0, count: times.count)
        for at in times.indices.dropLast().reversed() {
            var least = UInt64.max
            if !isAhead[at] {
                for later in at + 1..<times.count where !isAhead[later] && times[later] >= times[at]
                {
                    let step = times[later] - times[at]
                    if step <= stepMax { least = min(least, ages[later] + step) }
                }
            }
            // Behind a jump nothing is known but that the next one is later.
            ages[at] = least == .max ? ages[at + 1] : least
        }
        return ages.map(Interval.init(nanoseconds:))
    }
}
