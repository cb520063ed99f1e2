package import Disk
package import Mesh

/// Volumes that come from a repository: their bytes enter the images in bulk, not through the log, and the log goes on behind
/// them. `create` makes each of them on a disk that never had any.
extension VolumeCore {
    /// What a volume holds in `range` from now on; nil bytes are zeros. What was installed there before is gone.
    package mutating func install(
        _ bytes: [UInt8]?, _ range: Range<UInt64>, of id: VolumeID
    ) throws(DiskError) {
        guard let place = position(of: id), !range.isEmpty else { return }
        let end = volumes[place].record.byteCount
        invariant(range.upperBound <= end, "bytes \(range) of volume \(id), which has \(end)")
        _ = try take(range, bytes.map { $0[...] }, place)
        if overlayBytes > limits.overlayByteCountMax {
            try fold(bytesMax: limits.overlayByteCountMax)
        }
    }

    /// Begins to bring to the disk what was installed: at the end there is less left to wait for.
    package mutating func syncInstalled(_ id: VolumeID) throws(DiskError) {
        if let place = position(of: id) { try disk.sync(volumes[place].image) }
    }

    /// All of it is durable when this returns: the volumes as of `index`. Nobody knows what changed before.
    package mutating func finishInstalling(at index: LogIndex) throws(DiskError) {
        invariant(applied == .zero, "volumes were fed up to \(applied) before they were installed")
        applied = index
        noteHanded(index)
        for place in volumes.indices {
            volumes[place].record.changes = ChangeRing(knownAbove: index)
        }
        try checkpoint()
    }
}
