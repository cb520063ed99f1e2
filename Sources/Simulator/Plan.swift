package import Mesh

/// Which members a run has.
package enum Shape: String, CaseIterable, Sendable {
    case three
    case twoAndWitness = "two+witness"
    case five

    package var dataMembers: Int {
        switch self {
        case .three: 3
        case .twoAndWitness: 2
        case .five: 5
        }
    }
    package var hasWitness: Bool { self == .twoAndWitness }
}

/// What can go wrong, each kind drawn into a run's weather or left out of it.
package enum Fault: String, CaseIterable, Sendable {
    /// A machine loses power: unsynced sectors keep any subset of their bytes.
    case powerCut = "power_cut"
    /// A data member is away for long.
    case absence
    /// A process dies; the page cache lives.
    case kill
    /// A process stands still, then handles all at once.
    case pause
    /// Letters of some directed links vanish: one-way, partial, or a whole machine.
    case cut
    case loss
    case duplication
    case reordering
    case slowLink = "slow_link"
    /// What is in flight between two members is lost.
    case reset
    case diskStall = "disk_stall"
    /// One sync fails; the process stops, and starts again from what the disk holds.
    case syncFailure = "sync_failure"
    /// The disk has no room left beyond its reserve.
    case diskFull = "disk_full"
    /// A bit of a log's file turns around.
    case bitRot = "bit_rot"
    /// A write to a log's file was acknowledged and synced, and is not there.
    case lostWrite = "lost_write"
    /// One landed at another place of the same file or of another.
    case misdirectedWrite = "misdirected_write"
    /// A bit of an image turns around, or of its sums.
    case imageRot = "image_rot"
    /// A write of an image's block is acknowledged, and lost.
    case lostImageWrite = "lost_image_write"
    /// A write of an image's block goes to another one.
    case misdirectedImageWrite = "misdirected_image_write"
    /// A client loses its connection.
    case clientReset = "client_reset"
    /// A clock runs on at another pace, within the drift bound.
    case clockDrift = "clock_drift"
    /// Members are lost for good and replaced, others come and go, and some changes are taken back.
    case members
    /// The mesh begins with the former release, which is replaced one machine after the other, and now and
    /// then started again.
    case upgrade
}

extension Fault {
    /// What a log's disk takes back though it said that it was safe.
    static let takingBack: Set<Fault> = [.lostWrite, .misdirectedWrite]
}

/// All that a run is drawn from: equal plans give equal runs.
package struct Plan: Sendable {
    package let seed: UInt64
    package let shape: Shape
    /// For so long things go wrong.
    package var stormy = Interval.seconds(60)
    /// Then a majority heals alone, and has to serve within this.
    package var quorumAlone = Interval.seconds(8)
    /// After the storm a primary has to act and a flush to be answered within this.
    package var recovery = Interval.seconds(8)
    /// Then the acting primary falls for good, and the others have so long to go on without it.
    package var bereavement = Interval.seconds(6)
    /// How long a primary's lease lasts; nil draws one.
    package var lease: Interval?
    package var mutant: Mutant?
    /// When the acting primary's machine loses power, whatever the weather.
    package var primaryFalls: [Interval] = []
    /// Faults that the weather is drawn from.
    package var faults = Set(Fault.allCases)
    /// The only spells of bad weather that strike, by number; nil lets all.
    package var spells: Set<Int>?
    /// Members claim backups and report them.
    package var claimsBackups = false
    /// Writes the story of every letter and request too.
    package var isDetailed = false

    /// In every second run the log is kept for a member that is away for a few seconds only.
    var keepsLittleLog: Bool { faults.contains(.absence) && seed % 2 == 0 }

    package init(seed: UInt64, shape: Shape) {
        (self.seed, self.shape) = (seed, shape)
    }
}

/// A bug planted into how a machine carries out what its cores want.
package enum Mutant: String, CaseIterable, Sendable {
    /// The log says "saved" before its sync.
    case acknowledgesBeforeSync = "acknowledges-before-sync"
    /// Letters that promise what is on disk leave before it is there.
    case lettersOvertakeSync = "letters-overtake-sync"
    /// The log's disk claims every sync and makes nothing safe.
    case skipsLogSync = "skips-log-sync"
    /// The volumes' disk does.
    case skipsImageSync = "skips-image-sync"
    /// A refused vote is granted all the same.
    case votesTwice = "votes-twice"
    /// Heartbeats announce as committed what is only sent.
    case announcesTooMuch = "announces-too-much"
    /// The exports take the lease for longer than it is.
    case servesPastLease = "serves-past-lease"
    /// One clock runs twice too fast: far outside the drift bound.
    case driftsBeyondBound = "drifts-beyond-bound"
    /// A flush is answered when it is asked.
    case flushesWithoutCommit = "flushes-without-commit"
    /// A replica passes over a write now and then.
    case losesReplicaWrite = "loses-replica-write"
    /// An operation that is asked again gets a new number.
    case repeatsOperations = "repeats-operations"
    /// The volumes say that a checkpoint is made, and make none.
    case compactsEarly = "compacts-early"
}
