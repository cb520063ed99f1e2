package import Mesh

/// Why a run failed.
package struct Violation: Hashable, Sendable {
    package let at: Moment
    package let what: String
}

/// What a run came to.
package struct Report: Sendable {
    package static let simulatedMin = Interval.seconds(60)
    /// At full load; of a run whose clients take their time, as many times less.
    package static let operationsMin = 1_000
    package static let faultsMin = 10

    package let plan: Plan
    /// How many times longer than at full load the clients think.
    package internal(set) var leisure = 1
    package internal(set) var violation: Violation?
    package internal(set) var simulated = Interval.zero
    /// Occurrences handled.
    package internal(set) var events: UInt64 = 0
    /// Committed writes and commands.
    package internal(set) var operations = 0
    package internal(set) var flushes = 0
    /// Slots of which somebody was told that its backup counts.
    package internal(set) var backups = 0
    package internal(set) var reads = 0
    package internal(set) var takeovers = 0
    /// Replicas that the log no longer reached, and that became whole again.
    package internal(set) var resyncs = 0
    /// Changes of the members that were done or taken back.
    package internal(set) var memberChanges = 0
    package internal(set) var upgrades = Upgrades()
    /// Of logs.
    package internal(set) var mends = Mends()
    /// Blocks of images that replicas found damaged, and took from others or saw written anew.
    package internal(set) var imageMends = 0
    /// Pieces of cuts that were compared with what there had been.
    package internal(set) var cutPieces = 0
    /// Open volumes that grew.
    package internal(set) var growths = 0
    /// Whether a majority had to serve while the others stayed broken.
    package internal(set) var quorumsAlone = 0
    /// From each of the plan's falls of a primary to the first flush that another answered.
    package internal(set) var outages: [Interval] = []
    /// Spells that changed a delivered letter or a stored byte, or really stopped somebody.
    package internal(set) var faults: [Fault: Int] = [:]
    /// Spells of bad weather that began.
    package internal(set) var spells = 0
    /// Over all that happened, in order: equal runs have equal ones.
    package internal(set) var digest: UInt64 = 0
    package internal(set) var story: [StoryLine] = []

    package var faultCount: Int { faults.values.reduce(0, +) }

    /// What the run lacks to count as evidence: a simulation that did nothing finds nothing.
    package var shortfall: String? {
        guard violation == nil else { return nil }
        if simulated < Self.simulatedMin { return "only \(simulated) simulated" }
        if operations < Self.operationsMin / leisure {
            return "only \(operations) operations committed"
        }
        if faultCount < Self.faultsMin {
            return "only \(faultCount) effective faults"
        }
        return nil
    }
}

/// Damaged logs that were made whole, by how.
package struct Mends: Hashable, Sendable {
    /// By what stood on the disk a second time.
    package internal(set) var here = 0
    /// By the entries of peers.
    package internal(set) var byPeers = 0
    package internal(set) var byBase = 0
    /// By an end before what no member has.
    package internal(set) var cuts = 0

    package init() {}

    package var all: Int { here + byPeers + byBase + cuts }

    package mutating func add(_ other: Mends) {
        here += other.here
        byPeers += other.byPeers
        byBase += other.byBase
        cuts += other.cuts
    }
}
