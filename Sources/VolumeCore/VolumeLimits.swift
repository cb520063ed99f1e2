package import Mesh

/// Bounds of memory and size; `VolumeCore` answers "wait" or folds rather than pass them.
package struct VolumeLimits: Hashable, Sendable {
    /// As many as the decisions allow.
    package static let volumeCountMax = 1_024
    package static let volumeByteCountMax: UInt64 = 1 << 43
    package static let nameByteCountMax = 255
    /// One request of a client, before it is split into records.
    package static let requestByteCountMax = 32 << 20
    /// Requests that wait for a commit or for the lease, over all volumes.
    package static let requestsWaitingMax = 8_192
    /// What one `.fold` moves: a request that comes meanwhile waits no longer than this takes.
    package static let foldSliceByteCount = 1 << 20
    /// What one read of a volume may return.
    package static let readByteCountMax = 32 << 20

    /// What an operator distrusts, and is not here from elsewhere yet.
    package static let distrustedBlocksMax = 4_096
    /// What one read of a snapshot may return: clients wait meanwhile.
    package static let snapshotReadByteCountMax = 1 << 20

    /// One piece of a volume that a source is asked for.
    package static let pieceByteCountMax = 512 << 10

    /// Damaged blocks of one volume that are known by name; more are found again when they are read.
    package static let damagedBlocksMax = 4_096
    /// So long one source is asked for what is damaged before the next one is.
    package static let damageTurn = Interval.milliseconds(500)
    /// So long a read of a damaged block waits for a peer's bytes.
    package static let damagedReadWaitMax = Interval.seconds(10)
    /// Blocks whose edges are kept for the present checkpoint before another one is wanted.
    package static let edgesMax = 16_384

    /// How a replica takes what it lacks.
    package struct Resync: Hashable, Sendable {
        /// One piece is at most so long; a power of two, up to `VolumeLimits.pieceByteCountMax`.
        package var pieceByteCountMax = VolumeLimits.pieceByteCountMax
        /// Asked for and not here yet; less where a piece takes longer than `answerTimeAim`: what
        /// waits in front of the link would delay the log's letters.
        package var windowByteCountMax = 4 << 20
        package var answerTimeAim = Interval.seconds(1)
        /// What is asked for in a second.
        package var bytesPerSecondMax: UInt64 = 100 << 20
        /// Where nothing comes for so long, all is asked for again. Doubled each time that this was of
        /// no use, up to the most: on a slow link one piece takes longer.
        package var askTimeout = Interval.seconds(3)
        package var askTimeoutMax = Interval.seconds(30)
        /// A source that was not named for so long was away. More than `askTimeout` for each of the other
        /// members: where all take turns, what is lost is asked for again all the same.
        package var absence = Interval.seconds(30)
        /// A source keeps a manifest for an asker that fell silent, and tells no other one meanwhile.
        package var manifestKept = Interval.seconds(10)
        /// What was copied is made durable after so much of it: a crash costs no more.
        package var progressByteCount: UInt64 = 256 << 20
        package init() {}
    }

    /// Writes answered and not committed, over all volumes.
    package var pendingByteCountMax: Int
    /// Committed and not folded, over all volumes: above it an apply folds before it returns.
    package var overlayByteCountMax: Int

    package var resync = Resync()
    /// All that the images hold is read over once in so long.
    package var scrubPeriod = Interval.seconds(14 * 86_400)
    /// Of what a cut holds on to, what is written over before it is read. Past this the cut is of no use.
    package var cutByteCountMax = 64 << 20
    /// The file in which what was written over is kept for snapshots; there are none without one.
    package var snapshotRoomByteCount: UInt64 = 0
    /// What one entry may have kept: clients wait while it is copied.
    package var snapshotByteCountAtOnceMax: UInt64 = 256 << 20
    /// Pages of sums in memory, of 4 KiB for 4 MiB of an image each; a power of two.
    package var sumPagesMax = 4_096

    package init(pendingByteCountMax: Int = 64 << 20, overlayByteCountMax: Int = 64 << 20) {
        self.pendingByteCountMax = pendingByteCountMax
        self.overlayByteCountMax = overlayByteCountMax
    }
}
