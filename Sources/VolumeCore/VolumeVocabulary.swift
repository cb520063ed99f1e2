internal import Disk
package import Mesh

/// A volume as operators see it.
package struct VolumeInfo: Hashable, Sendable {
    package let id: VolumeID
    package let name: String
    package let byteCount: UInt64
    package let isSync: Bool
    /// nil while it is not open for I/O here.
    package let generation: ExportGeneration?
    /// What answered writes that are not committed keep in memory.
    package var pendingBytes = 0
    /// Blocks that are damaged here, and where the first of them lie.
    package var damagedBlocks = 0
    package var damagedRanges: [Range<UInt64>] = []

    /// So many are told of.
    package static let damagedRangesMax = 8
}

/// Why a volume does not do what it was asked.
package enum VolumeRefused: Error, Hashable, Sendable {
    case unknownVolume
    case closed
    case outOfRange
    case oversized
    case nameTaken
    case badName
    case tooManyVolumes
    case staleGeneration
    /// Answered writes wait for their commit: a deletion would lose them silently.
    case open
    /// `VolumeLimits.requestsWaitingMax` requests wait already.
    case overloaded
    /// Bytes of it are not what was written, and no peer's came in time.
    case damaged
    /// There is no room for what it would take.
    case full
}

/// What a volume's door answers to a client's change.
package enum Queued: Hashable, Sendable {
    /// Answer the client; propose these records in order, and again if they get lost.
    case queued([VolumeWrite])
    /// Too much is pending: read no more of the client, and ask again after a commit.
    case wait
    case refused(VolumeRefused)
}

/// What became of a committed entry.
package enum Applied: Hashable, Sendable {
    case applied(VolumeID, ExportGeneration, number: UInt64)
    /// Nothing of a volume, or below the checkpoint, or the repetition of a proposal.
    case nothing
    case refused(Reason)

    package enum Reason: Hashable, Sendable {
        /// Written under an epoch that had ended (protocol-rules 17).
        case staleEpoch(Epoch)
        case staleGeneration(ExportGeneration)
        case numberGap(expected: UInt64, got: UInt64)
        case unknownVolume(VolumeID)
        case outOfRange
        case malformed(VolumeWriteRefused)
        case uncreatable(VolumeRefused)
        case ungrowable(VolumeRefused)
    }
}

/// One protected disk as a core keeps it. Not nested in the core: it would be generic too, and every
/// use of it a question to the runtime.
struct Volume: Sendable {
    var record: VolumeState.Record
    var image: FileHandle
    /// A sum for each block of the image.
    var sums: FileHandle
    /// The image or its sums.
    var isDirty = false
    /// The generation that takes I/O here; nil on every replica but the primary.
    var open: ExportGeneration?
    /// Ended here. Local, unlike the record's: what a replica accepts depends on the log alone.
    var barred = ExportGeneration.none
    var nextNumber: UInt64 = 1
    var pending = ExtentMap()
    /// Answered and not committed, in order.
    var queue = Fifo<VolumeWrite>()
    var committed = ExtentMap()

    var id: VolumeID { record.id }
}
