package import Mesh

/// The core's limits and times: each has a name, none is "unlimited".
package struct RaftSettings: Hashable, Sendable {
    package var heartbeat: Interval = .milliseconds(30)
    /// No election timeout is shorter, however near the peers and fast the disks are.
    package var electionFloor: Interval = .milliseconds(300)
    /// Nor its shorter end longer than this, however slow they are.
    package var electionCeiling: Interval = .milliseconds(1_500)
    /// A leader steps down when nothing has become durable on its disk for so long, or for an
    /// election timeout if that is longer (ADR 3).
    package var diskStallLimit: Interval = .milliseconds(1_500)
    /// How many measured round trips and saves fit into the shorter end of an election timeout.
    package var roundTripsPerElection: UInt64 = 5
    /// Ranks of `Membership.preferred` that stand at times of their own; all later ones share the
    /// last.
    package var ranksMax = 4
    /// Whether the shell lends a base to learners (`wantsLentBase`): then they wait for it.
    package var lendsBases = false
    /// After so many elections in vain a node offers its log to whoever asks for its vote and lacks it.
    package var electionsUntilOffer: UInt64 = 2
    /// Whether a leader hands over to a better-ranked node by itself. Off where something else
    /// decides who leads: two deciders would pass leadership to and fro.
    package var followsPreference = true

    /// One append carries at most this, or one entry.
    package var batchBytesMax = 256 << 10
    /// Sent to one follower and not answered.
    package var inFlightBytesMax = 4 << 20
    package var inFlightLettersMax = 256
    /// Beyond this a leader refuses proposals: its followers can't keep up.
    package var uncommittedBytesMax = 16 << 20
    /// Committed and durable entries stay in memory up to this.
    package var windowBytesMax = 16 << 20
    /// One `apply` carries at most this, or one entry; the next waits for its `applied`.
    package var applyBytesMax = 1 << 20
    package var snapshotChunkBytesMax = 256 << 10
    package var readsMax = 4_096
    /// A learner that lacks more of what is committed becomes no voter: commits would wait for it.
    package var promotionLagBytesMax = 4 << 20
    /// After a hand-over to a preferred node, how many election timeouts until the next one.
    package var handOverPause: UInt64 = 10

    /// The log is kept for a member that is away until so much of it lies above what that one has;
    /// for one that answers, twice as much.
    package var logKeptBytesMax = 8 << 30
    /// How long a member has to be silent until it counts as away.
    package var awayAfter = Interval.seconds(30)

    /// Entries above a witness's base weigh at most this, there and on its disk.
    package var witnessBytesMax = 4 << 30
    /// Of that, for what a leader appends of its own accord: blank entries and memberships.
    package var witnessControlBytesMax = 4 << 20
    /// How many heartbeats beyond its usual time a data voter may owe an answer until the witness
    /// gets the entries as well.
    package var witnessPatience: UInt64 = 2
    /// Not for use: weakens the witness's rule by so many copies, so that a test can show that it
    /// notices.
    var witnessCopiesMissing = 0

    /// What clients may not use of a witness's room: all they have been promised must still fit.
    package var witnessReserveBytes: Int { uncommittedBytesMax + witnessControlBytesMax }

    package init() {}
}
