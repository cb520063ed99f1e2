package import Disk
package import Mesh
internal import Planted

extension VolumeCore {
    /// Moves committed bytes into the images, what was overwritten meanwhile only once, until about
    /// `bytesMax` are moved. Gives how many; 0 once nothing is left.
    @discardableResult
    package mutating func fold(bytesMax: Int) throws(DiskError) -> Int {
        var moved = 0
        for place in volumes.indices {
            while moved < bytesMax, let first = volumes[place].committed.extents.first {
                moved += try fold(from: first, at: place, bytesMax: bytesMax - moved)
            }
        }
        return moved
    }

    private mutating func fold(from first: ExtentMap.Extent, at place: Int, bytesMax: Int)
        throws(DiskError) -> Int
    {
        let image = volumes[place].image
        volumes[place].isDirty = true
        var done = first.range
        var cost = first.cost
        switch first.content {
        case .hole:
            if !isPlanted(.keepsTrimmedBytes) { try disk.deallocate(image, done) }
            volumes[place].record.allocation.remove(done)
        case .zeroes:
            // One step of the file system, however long: the volumes' queue must not write gigabytes.
            volumes[place].record.allocation.insert(done)
            try disk.zero(image, done)
        case .data:
            var pieces: [[UInt8]] = []
            (cost, done) = (0, done.lowerBound..<done.lowerBound)
            for extent in volumes[place].committed.extents {
                guard case .data(let bytes, _) = extent.content, cost < bytesMax,
                    extent.range.lowerBound == done.upperBound
                else { break }
                pieces.append(Array(bytes))
                cost += extent.cost
                done = done.lowerBound..<extent.range.upperBound
            }
            volumes[place].record.allocation.insert(done)
            try disk.write(image, at: done.lowerBound, pieces)
        }
        overlayByteCount -= volumes[place].committed.cost
        volumes[place].committed.cut(done)
        overlayByteCount += volumes[place].committed.cost
        return cost
    }

    /// Makes all that is applied durable outside the log: the images, then the index they stand
    /// for. The log may be compacted up to the index it gives, not before it returns.
    @discardableResult
    package mutating func checkpoint() throws(DiskError) -> LogIndex {
        let bytesMax = isPlanted(.checkpointsWithoutFolding) ? 0 : limits.overlayByteCountMax
        while try fold(bytesMax: bytesMax) > 0 {}
        for place in volumes.indices where volumes[place].isDirty {
            if !isPlanted(.skipsImageSyncs) { try disk.sync(volumes[place].image) }
            volumes[place].isDirty = false
        }
        // What is missing is not known yet: nothing was applied that could be saved.
        guard resync?.phase != .asking else { return checkpointed }
        for place in volumes.indices { volumes[place].record.changes.close() }
        let isWhole = isWhole
        try save(resync: isWhole ? nil : resync)
        if isWhole { endResync() }
        checkpointed = applied
        for image in doomed {
            disk.close(image.file)
            try disk.remove(image.name)
        }
        doomed = []
        return applied
    }

    /// Writes down what is in the images, which are synced.
    mutating func save(resync: VolumeState.Resync?) throws(DiskError) {
        // A state that names an image must never be found without it.
        if hasNewNames { try disk.syncDirectory() }
        hasNewNames = false
        var state = VolumeState()
        state.sequence = sequence + 1
        state.applied = applied
        state.resync = isPlanted(.forgetsResync) ? nil : resync
        state.resync?.handed = max(handed, logEndMin)
        state.volumes = volumes.map(\.record)
        try state.save(to: &disk)
        sequence += 1
    }
}
