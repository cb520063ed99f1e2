package import Disk
package import Mesh
internal import Planted

/// What one fold moves of one volume: the front of what is committed, cut at the blocks' bounds.
private struct FoldPlan {
    struct Body {
        var range: Range<UInt64>
        var content: Content
    }
    enum Content {
        case data([[UInt8]])
        case zeroes
        case hole
    }

    /// Whole blocks that one entry wrote: what lay there before does not matter.
    private(set) var bodies: [Body] = []
    /// Blocks that no single entry covers.
    private(set) var edges: [UInt64] = []
    private(set) var cost = 0
    /// All that is committed in it is in the plan.
    private(set) var range: Range<UInt64> = 0..<0

    init(_ extents: [ExtentMap.Extent], bytesMax: Int, of byteCount: UInt64) {
        let size = BlockSum.blockByteCount
        for extent in extents {
            guard cost < bytesMax else { break }
            cost += extent.cost
            let range = extent.range
            let isToEnd = range.upperBound == byteCount
            let start = (range.lowerBound + size - 1) / size * size
            let end = isToEnd ? byteCount : range.upperBound / size * size
            if start != range.lowerBound { addEdge(range.lowerBound / size) }
            if start < end { add(extent.clipped(to: start..<end)) }
            if end != range.upperBound { addEdge(range.upperBound / size) }
            let covered = min((range.upperBound + size - 1) / size * size, byteCount)
            let from = self.range.isEmpty ? range.lowerBound / size * size : self.range.lowerBound
            self.range = from..<covered
        }
    }

    private mutating func addEdge(_ block: UInt64) {
        if edges.last != block { edges.append(block) }
    }

    private mutating func add(_ extent: ExtentMap.Extent) {
        switch extent.content {
        case .hole: bodies.append(Body(range: extent.range, content: .hole))
        case .zeroes: bodies.append(Body(range: extent.range, content: .zeroes))
        case .data(let bytes, _):
            guard let last = bodies.last, case .data(let pieces) = last.content,
                last.range.upperBound == extent.range.lowerBound
            else {
                return bodies.append(Body(range: extent.range, content: .data([Array(bytes)])))
            }
            bodies[bodies.count - 1] = Body(
                range: last.range.lowerBound..<extent.range.upperBound,
                content: .data(pieces + [Array(bytes)]))
        }
    }
}

extension VolumeCore {
    /// Moves committed bytes into the images, what was overwritten meanwhile only once, until about
    /// `bytesMax` are moved. Gives how many; 0 once nothing is left.
    @discardableResult
    package mutating func fold(bytesMax: Int) throws(DiskError) -> Int {
        var moved = 0
        for place in volumes.indices where moved < bytesMax {
            moved += try fold(place, bytesMax: bytesMax - moved)
        }
        return moved
    }

    private mutating func fold(_ place: Int, bytesMax: Int) throws(DiskError) -> Int {
        let plan = FoldPlan(
            volumes[place].committed.extents, bytesMax: bytesMax,
            of: volumes[place].record.byteCount)
        guard plan.cost > 0 else { return 0 }
        volumes[place].isDirty = true
        try fold(edges: plan.edges, place)
        for body in plan.bodies {
            switch body.content {
            case .hole: try deallocate(place, body.range)
            case .zeroes: try zero(place, body.range)
            case .data(let pieces): try write(place, at: body.range.lowerBound, pieces)
            }
        }
        cut(plan.range, place)
        return plan.cost
    }

    mutating func cut(_ range: Range<UInt64>, _ place: Int) {
        overlayByteCount -= volumes[place].committed.cost
        volumes[place].committed.cut(range)
        overlayByteCount += volumes[place].committed.cost
    }

    /// Makes all that is applied durable outside the log: the images, then the index they stand
    /// for. The log may be compacted up to the index it gives, not before it returns.
    @discardableResult
    package mutating func checkpoint() throws(DiskError) -> LogIndex {
        let bytesMax = isPlanted(.checkpointsWithoutFolding) ? 0 : limits.overlayByteCountMax
        while try fold(bytesMax: bytesMax) > 0 {}
        try writeOutSums()
        for place in volumes.indices where volumes[place].isDirty {
            if !isPlanted(.skipsImageSyncs) { try disk.sync(volumes[place].image) }
            if !isPlanted(.skipsSumSyncs) { try disk.sync(volumes[place].sums) }
            volumes[place].isDirty = false
        }
        // What is missing is not known yet: nothing was applied that could be saved.
        guard resync?.phase != .asking else { return checkpointed }
        if applied >= replayEnd { isSettled = true }
        for place in volumes.indices { volumes[place].record.changes.close() }
        let isWhole = isWhole
        try save(resync: isWhole ? nil : resync)
        if isWhole { endResync() }
        checkpointed = applied
        try removeDoomed()
        return applied
    }

    mutating func removeDoomed() throws(DiskError) {
        for file in doomed {
            disk.close(file.file)
            try disk.remove(file.name)
        }
        doomed = []
    }

    /// The sums files hold from here on what the images hold, as far as the kernel goes.
    mutating func writeOutSums() throws(DiskError) { try sums.writeOut(&disk) }

    /// Writes down what is in the images, which are synced.
    mutating func save(resync: VolumeState.Resync?) throws(DiskError) {
        // A state that names an image must never be found without it.
        if hasNewNames { try disk.syncDirectory() }
        hasNewNames = false
        var state = VolumeState()
        state.sequence = sequence + 1
        (state.applied, state.scrub) = (applied, scrub)
        state.resync = isPlanted(.forgetsResync) ? nil : resync
        state.resync?.handed = max(handed, logEndMin)
        state.volumes = volumes.map(\.record)
        try state.save(to: &disk)
        sequence += 1
        try edges.begin(sequence, &disk)
    }
}
