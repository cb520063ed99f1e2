package import Mesh

/// Names one snapshot for ever: another one of the same name, or of another process, has another.
package struct SnapshotID: Name {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// What is to be held on to.
package struct SnapshotOrder: Hashable, Sendable {
    package let id: SnapshotID
    package let name: String
    package let time: WallTime
    /// All of them where none is named.
    package let volumes: Set<VolumeID>

    package init(id: SnapshotID, name: String, time: WallTime, volumes: Set<VolumeID> = []) {
        (self.id, self.name, self.time, self.volumes) = (id, name, time, volumes)
    }
}

/// A snapshot as operators hear of it.
package struct SnapshotInfo: Hashable, Sendable {
    package struct Volume: Hashable, Sendable {
        package let id: VolumeID
        package let name: String
        package let byteCount: UInt64
        /// nil while it is held.
        package let end: SnapshotEnd?
    }

    package let id: SnapshotID
    package let name: String
    /// All up to this entry is in it, and nothing else.
    package let index: LogIndex
    package let time: WallTime
    package let volumes: [Volume]
    /// What was written over and is kept for it. Older ones may need it as well.
    package let keptByteCount: UInt64
    /// nil while it is held.
    package var end: SnapshotEnd?
}

/// Why a snapshot, or one volume of it, is there no more.
package enum SnapshotEnd: Hashable, Sendable, CustomStringConvertible {
    /// Its room could take no more, and it was the oldest.
    case roomFull(usedByteCount: UInt64, roomByteCount: UInt64)
    case roomFailed(DiskFault)
    /// The file system of the room has to keep something for the log.
    case fileSystemFull
    case volumeDeleted
    /// One entry would have had so much copied at once that clients would have waited for it.
    case tooMuchAtOnce(byteCountMax: UInt64)
    /// The volumes here are copied anew from a peer.
    case resynced

    /// A disk's words, which are all that is told of it.
    package struct DiskFault: Hashable, Sendable {
        package let words: String
        package init(_ words: String) { self.words = words }
    }

    package var description: String {
        switch self {
        case .roomFull(let used, let room):
            "the room for snapshots was full: \(used) of \(room) bytes were kept"
        case .roomFailed(let fault): "the room for snapshots failed: \(fault.words)"
        case .fileSystemFull: "the file system of the data directory ran short of room"
        case .volumeDeleted: "the volume was deleted"
        case .tooMuchAtOnce(let count):
            "one request took more than \(count) held bytes away at once"
        case .resynced: "the volumes here are copied anew from a peer"
        }
    }
}

package enum SnapshotRefused: Error, Hashable, Sendable, CustomStringConvertible {
    /// This node has no room for any.
    case notConfigured
    /// What is here is not one moment's yet.
    case incomplete
    case exists(name: String)
    case tooMany(limit: Int)
    /// There is none of that name, or it is another one by now.
    case unknown
    case unknownVolume
    case ended(SnapshotEnd)
    case outOfRange
    /// What it was is not known: it was damaged when it was written over, or is now.
    case damaged(at: UInt64)

    package var description: String {
        switch self {
        case .notConfigured: "this node has no room for snapshots"
        case .incomplete: "this replica is not complete: it copies, or replays its log"
        case .exists(let name): "there is a snapshot \(name)"
        case .tooMany(let limit): "there are \(limit) snapshots, and no more are held"
        case .unknown: "there is no such snapshot"
        case .unknownVolume: "the volume is no part of the snapshot"
        case .ended(let end): "the snapshot is there no more: \(end)"
        case .outOfRange: "that is no part of the volume"
        case .damaged(let offset): "the block at \(offset) is damaged"
        }
    }
}

/// Where a volume's snapshot may hold anything; all else reads zero.
package struct SnapshotShape: Hashable, Sendable {
    package let byteCount: UInt64
    package let held: [Range<UInt64>]
}

/// How full the room for what was written over is.
package struct SnapshotRoomUse: Hashable, Sendable {
    package let usedByteCount: UInt64
    /// 0 where there is none.
    package let byteCount: UInt64
}
