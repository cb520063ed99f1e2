package import Mesh
package import Record

/// A committed entry and what the decisions made of it.
package struct Ruled: Hashable, Sendable {
    package let entry: Entry
    package let ruling: Ruling

    package init(_ entry: Entry, _ ruling: Ruling) {
        self.entry = entry
        self.ruling = ruling
    }
}

package enum Ruling: Hashable, Sendable {
    /// Of no concern to volumes, or refused by the decisions (a stale epoch, say).
    case nothing
    /// A record proposed in the epoch that was current at its index.
    case accepted
    /// `isSync`: a FLUSH waits for the commit, not only for the primary's own disk.
    case created(VolumeID, name: String, byteCount: UInt64, isSync: Bool)
    case deleted(VolumeID)
    /// It is this long from here on.
    case grown(VolumeID, byteCount: UInt64)
}

/// One connection of a client, as long as the process lives.
package struct ConnectionID: Name {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A request in flight: its reply carries the same name.
package struct RequestID: Hashable, Sendable {
    package let connection: ConnectionID
    /// Chosen by the client's side; never two in flight with one.
    package let number: UInt64

    package init(_ connection: ConnectionID, _ number: UInt64) {
        self.connection = connection
        self.number = number
    }
}

/// What a client asks of an export.
package enum VolumeRequest: Hashable, Sendable {
    case read(offset: UInt64, byteCount: Int)
    /// `isDurable` (NBD's FUA): answered like the write and a flush behind it.
    case write(offset: UInt64, [UInt8], isDurable: Bool)
    case zeroes(offset: UInt64, byteCount: UInt32, keepsAllocated: Bool, isDurable: Bool)
    case trim(offset: UInt64, byteCount: UInt32, isDurable: Bool)
    /// Covers every change that any connection of this export was answered before.
    case flush
    /// At most `countMax` extents from the front.
    case extents(offset: UInt64, byteCount: UInt64, countMax: Int)
}

package enum VolumeReply: Hashable, Sendable {
    case done
    case data([UInt8])
    case extents([VolumeExtent])
    case refused(VolumeRefused)

    /// Tells what lies in the volume: wrong once another primary may have changed it.
    package var needsLease: Bool {
        switch self {
        case .data, .extents: true
        case .done, .refused: false
        }
    }
}

/// Counts how often the proposals in flight were lost: what is told of an earlier round's drafts
/// says nothing of their repetitions.
package struct ProposalRound: Name {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static let zero = ProposalRound(0)
    package var next: ProposalRound { ProposalRound(rawValue + 1) }
}

package enum ExportEvent: Sendable {
    /// This node acts as primary of the epoch, and its lease runs until then. An entry that it
    /// proposed after it last ceased to act was applied before, hence all that it had in flight
    /// then was too, or is lost: else an old write could surface under the new generation.
    case opened(Epoch, until: Instant)
    /// The lease was renewed.
    case leased(until: Instant)
    /// A planned hand-over: takes no new requests, finishes those taken, then says `.drained`.
    case drain
    /// Acts no more: every generation ends, and everything that waits is refused.
    case closed
    /// Committed entries in order; those applied before are passed over.
    case apply([Ruled])
    /// Where the oldest `count` drafts of this round that have no place yet stand in the log.
    case proposed(first: LogIndex, count: Int, round: ProposalRound)
    /// The drafts in flight got lost while this node goes on acting: they are proposed once more,
    /// in a new round.
    case lost
    /// This node's own log is durable up to here.
    case durable(through: LogIndex)
    case request(RequestID, VolumeID, ExportGeneration, VolumeRequest)
    /// A connection went away: what it waits for is forgotten, what it was answered stays.
    case cancelled(ConnectionID)
    /// Moves a slice of the overlay into the images, so that the next checkpoint has less to do.
    case fold
    case checkpoint
    /// The log here begins behind this index, and volumes that lack anything below have to take it
    /// from elsewhere. Said at a start as well, of the log's base.
    case behind(LogIndex)
    /// Now and then while something is missing or damaged: it may be asked for, of this node; nil when
    /// there is nobody to ask.
    case pull(from: NodeID?)
    case heard(ResyncMessage, from: NodeID)
    /// Now and then while no client waits: the images may be read over, at this time of day, and held against another whole
    /// replica's.
    case scrub(WallTime, beside: NodeID?)
    /// An operator says that other replicas have the right bytes there: they are taken from them.
    case distrust(Piece)
    /// A backup holds on to all volumes as they are now. Answered with `.cutBegun`; whoever begins one ends it.
    case beginCut(CutTicket, since: LogIndex?)
    case endCut
    /// Answered with `.snapshotTaken`: it holds what all entries that were handed in before left.
    case takeSnapshot(CutTicket, SnapshotOrder)
    /// The log needs the room that snapshots take.
    case yieldSnapshots
}

package enum ExportEffect: Hashable, Sendable {
    /// To be proposed in exactly this order.
    case propose([Draft], round: ProposalRound)
    case reply(RequestID, VolumeReply)
    /// The entries handed in are applied up to here.
    case applied(LogIndex)
    /// The log may forget what is at or below.
    case checkpointed(LogIndex)
    case opened(VolumeID, name: String, ExportGeneration, byteCount: UInt64)
    case ended(VolumeID, ExportGeneration)
    /// An open volume is so long now. A client learns of it when it connects anew.
    case grown(VolumeID, byteCount: UInt64)
    /// Nothing is pending or waiting any more.
    case drained
    /// A committed record changed nothing: for counters and logs.
    case refused(LogIndex, Applied.Reason)
    case send(ResyncMessage, to: NodeID)
    /// How far these volumes are from being a replica, as of the last `.behind` that was handled; nil
    /// once they are one.
    case resync(ResyncStanding?, behind: LogIndex)
    /// So many blocks here are damaged, whether or not that is a replica that copies.
    case damage(blocks: Int)
    /// So many blocks that an operator distrusts are still to come from peers.
    case distrust(blocks: Int)
    /// Another `.scrub` may follow at once.
    case scrubs
    case cutBegun(CutTicket, Result<BegunCut, CutRefused>)
    case snapshotTaken(CutTicket, Result<SnapshotInfo, SnapshotRefused>)
    /// A `.checkpoint` would save what was copied or found damaged, or end the resync.
    case wantsCheckpoint
}
