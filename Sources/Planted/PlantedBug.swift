/// Bugs that can be planted into the cores, each by one switch at one place, so that the simulator
/// can show that it finds them (`make mutants`).
///
/// A switch is `isPlanted(.nameOfTheBug)`. Unless the package is compiled with `-D PLANTED` that is
/// the constant `false`, and the optimiser leaves nothing of it.
@usableFromInline
package enum PlantedBug: Hashable, Sendable {
    // MARK: Raft, terms and votes

    /// A follower takes entries of a leader whose term is over.
    case takesStaleAppends
    /// A follower takes a past leader's heartbeat for its present one's.
    case takesStaleHeartbeats
    /// A voter votes for whoever asks, as often as asked.
    case grantsSecondVotes
    /// A voter does not compare the candidate's log with its own.
    case votesForShorterLogs
    /// A vote leaves before it is durable.
    case votesBeforeSaving
    /// The vote is left out of what is made durable.
    case forgetsVotes
    /// A later term is taken up without being made durable.
    case adoptsTermsUnsaved
    /// A heartbeat is answered before its term is durable.
    case answersBeforeTermIsSaved
    /// A candidate asks for votes before its own is durable.
    case standsBeforeSaving
    /// A candidate leads upon its first vote.
    case leadsWithMinority
    /// A leader goes on though no quorum answers.
    case leadsWithoutQuorum

    // MARK: Raft, the log

    /// A leader commits what it alone holds.
    case commitsWithMinority
    /// A leader commits an earlier term's entry by counting (Raft §5.4.2, fig. 8).
    case commitsEarlierTerms
    /// A leader counts its own entries before they are durable.
    case countsOwnUnsaved
    /// A follower acknowledges entries before they are durable.
    case acknowledgesUnsaved
    /// A late letter replaces what it agrees with, and cuts what follows.
    case truncatesWhatAgrees
    /// An offered log is taken though the own one is more up to date.
    case takesAnyOffer
    /// A follower does not look whether its log holds the entry before the first.
    case skipsLogMatching
    /// What agreed with the last leader's log counts as agreeing with the next one's.
    case keepsOldMatches
    /// A leader begins its term without an entry of its own.
    case skipsBlank
    /// Entries are applied before the own log holds them durably.
    case appliesUnsaved
    /// The log is cut above what every member holds.
    case compactsAboveFloor

    // MARK: Raft, the witness (ADR 2)

    /// Its base moves when one copy too few is known.
    case forgetsOneCopyTooEarly
    /// Of two base moves the older one, arriving later, counts.
    case movesBaseBack
    /// A witness that leads appends an entry.
    case caretakerAppends
    /// What the witness holds counts as what it never held.
    case takesHeldForAbsent
    /// It gets no entries, however few data voters keep up.
    case starvesWitness

    // MARK: JournalCore

    /// A batch is acknowledged without a sync.
    case skipsBatchSync
    /// A new segment is named without a sync of its bytes.
    case skipsSegmentSync
    /// A new segment counts before its name is durable.
    case skipsSegmentDirectorySync
    /// The index names a batch before the batch is safe.
    case indexesBeforeSync
    /// A base is referred to without a sync of its bytes.
    case skipsBaseSync
    /// A base is referred to before its name is durable.
    case skipsBaseDirectorySync
    /// Frames of another segment are taken for this one's.
    case trustsForeignFrames
    /// What was read after a failed sync is taken for safe.
    case trustsCacheAfterFailedSync
    /// A replaced suffix is followed in the same segment.
    case truncatesInPlace
    /// A batch repeats the former term and vote.
    case keepsOldHardState
    /// One segment too many is let go of.
    case retiresLiveSegments
    /// What the index names and the segment does not hold passes for a torn end.
    case cutsDamage
    /// A frame counts whatever its checksum.
    case skipsFrameChecksum
    /// A mend relies on rows of the index that a power cut may take.
    case mendsByUnsafeRows

    // MARK: VolumeCore

    /// A checkpoint is made without syncing the images.
    case skipsImageSyncs
    /// A checkpoint's state is named without a sync of its bytes.
    case skipsStateSync
    /// A checkpoint counts before its name is durable.
    case skipsStateDirectorySync
    /// A checkpoint leaves the overlay in memory.
    case checkpointsWithoutFolding
    /// A sync volume's flush waits for the own disk alone.
    case flushesOwnDisk
    /// A forced write (FUA) is answered like any other.
    case treatsFUAAsPlain
    /// A flush waits for what is committed already.
    case flushesWithoutBarrier
    /// Reads do not see writes that are not committed.
    case readsPastPending
    /// A commit uncovers what a later write of the same place hides.
    case dropsNewerPending
    /// Trimmed blocks keep their bytes.
    case keepsTrimmedBytes
    /// What an image holds is served whatever its sums say.
    case skipsSumsOnReads
    /// Blocks that are known to be damaged are served.
    case servesQuarantined
    /// A source gives what its sums do not fit.
    case givesDamaged
    /// A peer's bytes take the place of what was written since they were read.
    case mendsOverLater
    /// A checkpoint is made without syncing the sums.
    case skipsSumSyncs
    /// Blocks that entries cover in part are written over without a safe copy.
    case skipsEdges
    /// Requests are served after the lease's end.
    case servesWithoutLease
    /// The exports stay open when the node acts no more.
    case staysOpenWhenClosed
    /// What a backup still has to read is written over.
    case writesOverTheCut
    /// An answer leaves though the tenure in which it was computed has ended.
    case tellsBehindTheTenure

    // MARK: Decisions

    /// A successor waits for half the lease.
    case waitsForHalfALease
    /// A successor measures from its own start, whatever it received since.
    case ignoresRenewals
    /// A session's number is carried out as often as it is offered.
    case acceptsRepeats
    /// A deleted volume's id is given out again.
    case reusesVolumeIds

    // MARK: Node

    /// The holder counts its lease from the commit of the renewal.
    case measuresLeaseFromCommit
    /// A primary acts before a renewal of its own has committed.
    case opensUnrenewed
    /// A node that leads no more leaves its exports open.
    case keepsExportsWhenDeposed
    /// The seat is given up while the exports are open.
    case handsOverUnclosed
    /// The log forgets what the volumes are still to make durable.
    case compactsBeforeCheckpoint

    // MARK: Resync (ADR 5)

    /// Cells that the source gave back keep their bytes.
    case keepsForeignGaps
    /// Of a cell that a growth made longer nothing is zeroed.
    case growsOverRemains
    /// The state on the disk says nothing of a resync.
    case forgetsResync
    /// The log forgets what only members hold that still copy.
    case countsPartialAsWhole

    // MARK: Members (ADR 6)

    /// An id is given to a second node.
    case reusesMemberIds
    /// A wish that was taken back is fulfilled all the same.
    case overlooksCancelling
    /// A learner whose volumes are still copied gets its vote.
    case promotesPartial
    /// The joint entry does not wait for what stands before it.
    case changesUnsettled
    /// A newcomer takes the log from its beginning, with a state of its own before it.
    case joinerFounds

    // MARK: Feature levels

    /// The mesh's level rises once a majority speaks it.
    case raisesForMajority
    /// It rises though the witness was not heard.
    case raisesWithoutWitness
    /// A snapshot does not hold the level.
    case forgetsLevel

    // MARK: Gossip

    /// A refutation leaves before its incarnation is durable.
    case refutesUnsaved
    /// Nobody contradicts its own death.
    case neverRefutes
    /// Of two claims the worse one wins, whatever their incarnations.
    case ignoresIncarnations
    /// A refutation does not outbid what it refutes.
    case refutesTooLow
    /// Nobody is probed.
    case neverProbes
}

#if PLANTED
    // Written once, before the first thread begins.
    nonisolated(unsafe) private var planted: PlantedBug?

    package func isPlanted(_ bug: PlantedBug) -> Bool { unsafe planted == bug }

    /// Plants `bug` into every core of this process; to be called before any of them runs.
    package func plant(_ bug: PlantedBug) { unsafe planted = bug }

    extension PlantedBug: CaseIterable {
        /// As the command line has it: `forgets-votes`.
        package var name: String {
            var name = ""
            for letter in "\(self)".replacing("FUA", with: "Fua") {
                name += letter.isUppercase ? "-" + letter.lowercased() : String(letter)
            }
            return name
        }
    }
#else
    @inlinable
    package func isPlanted(_ bug: PlantedBug) -> Bool { false }
#endif
