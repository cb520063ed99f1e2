package import Disk
package import Mesh
package import Record
package import VolumeCore

/// What the volumes tell their node, always from their own queue and in order.
package enum VolumeEvent: Sendable {
    /// To be proposed in exactly this order, and answered with `.proposed` of the same round.
    case propose([Draft], round: ProposalRound)
    case applied(LogIndex)
    /// The log may forget what is at or below.
    case checkpointed(LogIndex)
    case drained
    /// A committed record changed nothing: for counters and logs.
    case refused(LogIndex, Applied.Reason)
    /// To be sent to another node's volumes.
    case send(ResyncMessage, to: NodeID)
    /// What the volumes lack now, knowing where the log begins; nil once they are a whole replica.
    case resync(ResyncStanding?, behind: LogIndex)
    /// So many blocks here are damaged.
    case damage(blocks: Int)
    /// So many blocks here are distrusted.
    case distrust(blocks: Int)
    /// A scrub may go on at once.
    case scrubs
    case cutBegun(CutTicket, Result<BegunCut, CutRefused>)
    case snapshotTaken(CutTicket, Result<SnapshotInfo, SnapshotRefused>)
    /// The volumes have stopped for good; the process has to recover from its disk.
    case failed(DiskError)
}

/// What the volumes tell the server of their clients.
package enum ClientEvent: Sendable {
    case reply(RequestID, VolumeReply)
    case opened(VolumeID, name: String, ExportGeneration, byteCount: UInt64)
    case ended(VolumeID, ExportGeneration)
    case grown(VolumeID, byteCount: UInt64)
}

/// The volumes in figures.
package struct VolumeStatus: Hashable, Sendable {
    package let volumes: [VolumeInfo]
    package let pendingBytes: Int
    package let overlayBytes: Int
    package let applied: LogIndex
    package let checkpointed: LogIndex
    package let scrub: ScrubStanding
    /// Where another replica has other bytes, and how much was held against others'.
    package let differences: [Difference]
    package let comparedByteCount: UInt64
    /// Blocks that an operator distrusts, and that are to come from another replica.
    package let distrustedBlocks: Int
    /// Those that are held, the oldest first, and those that ended; what is kept of each as of when one last came or went.
    package let snapshots: [SnapshotInfo]
    package let snapshotRoom: SnapshotRoomUse

    init<D: Disk>(_ exports: Exports<D>) {
        let core = exports.core
        differences = exports.differences
        comparedByteCount = exports.comparedByteCount
        distrustedBlocks = core.distrustedBlockCount
        volumes = core.list
        pendingBytes = core.pendingBytes
        overlayBytes = core.overlayBytes
        applied = core.applied
        checkpointed = core.checkpointed
        scrub = core.scrubStanding
        snapshots = core.snapshotStanding
        snapshotRoom = core.snapshotRoom
    }
}
