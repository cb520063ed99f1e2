package import Disk
package import Mesh

/// One place of the journal that was acknowledged and no longer reads as it was written.
package struct JournalDamage: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Fault: Hashable, Sendable {
        case segmentHeader(String)
        case commitFrame
        case records(String)
        case missingSegment
        case missingEnd
        case staleSegment(String)
        case base(String)
        case missingBase
        case inconsistent(String)
    }
    package let file: String
    package let offset: UInt64
    /// Entries that can't be read; nil where none is concerned, or none can be told.
    package let indexes: ClosedRange<LogIndex>?
    package let fault: Fault

    package var description: String {
        let what =
            switch fault {
            case .segmentHeader(let why): "segment header: \(why)"
            case .commitFrame: "the commit frame that closed a batch is gone or damaged"
            case .records(let why): "records: \(why)"
            case .missingSegment: "the segment is missing"
            case .missingEnd: "batches are missing before the segment's end"
            case .staleSegment(let why): "the segment does not belong here: \(why)"
            case .base(let why): "base: \(why)"
            case .missingBase: "the base that the log builds on is missing"
            case .inconsistent(let why): why
            }
        let range = indexes.map { ", indexes \($0.lowerBound)...\($0.upperBound)" } ?? ""
        return "\(file) at \(offset)\(range): \(what)"
    }
}

/// Why the journal can't go on. Every one is final for the journal that threw it.
package enum JournalError: Error, Hashable, Sendable, CustomStringConvertible {
    case disk(DiskError)
    /// Acknowledged bytes are not what they were. `lastKnown` is the latest position of which any
    /// trace was found: a damaged voter votes by it and does not lead.
    case damaged([JournalDamage], lastKnown: Position)
    /// Acknowledged bytes are not what they were, and all is known of what they were: a peer's copy,
    /// or none at all, makes them whole (`LogMend`).
    case mendable(LogDamage)
    /// The directory belongs to another mesh or group.
    case foreign(file: String, cluster: ClusterID, group: GroupID)
    case unknownVersion(file: String, version: UInt32)

    /// Where damage was found.
    package var places: [JournalDamage] {
        switch self {
        case .damaged(let places, _): places
        case .mendable(let damage): damage.places
        case .disk, .foreign, .unknownVersion: []
        }
    }

    package var description: String {
        switch self {
        case .disk(let error):
            return "\(error); the journal stops: check the disk, then restart to recover"
        case .damaged(let places, let last):
            let list = places.map(\.description).joined(separator: "; ")
            return "acknowledged data is damaged: \(list). Last known position \(last). "
                + "Too much is lost to mend it: leave this node off, and neither change nor empty its "
                + "directory (docs/operations.md, A damaged disk)"
        case .mendable(let damage):
            return "acknowledged data is damaged, and can be mended: \(damage)"
        case .foreign(let file, let cluster, let group):
            return "\(file) belongs to cluster \(cluster), group \(group): "
                + "check that the data directory is this node's"
        case .unknownVersion(let file, let version):
            return "\(file) has format version \(version), which is not known here: "
                + "run the release that wrote it"
        }
    }
}
