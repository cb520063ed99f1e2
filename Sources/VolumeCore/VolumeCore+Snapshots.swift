package import Disk
package import Mesh

/// Volumes as of an index that are held for as long as there is room for what changes (ADR 20).
extension VolumeCore {
    /// Blocks that are read and kept at once.
    private static var keptRunMax: Int { 256 }

    package var snapshotStanding: [SnapshotInfo] { snapshots.standing }
    package var snapshotRoom: SnapshotRoomUse {
        SnapshotRoomUse(
            usedByteCount: snapshots.room.usedByteCount, byteCount: snapshots.room.byteCount)
    }

    /// Holds on to volumes as they are now. Nothing is read or written for it.
    mutating func takeSnapshot(_ order: SnapshotOrder) -> Result<SnapshotInfo, SnapshotRefused> {
        if let refused = snapshots.refusal(of: order.name) { return .failure(refused) }
        // As for a cut: what is here has to be one moment's.
        guard resync == nil, !isReplaying, handed >= applied else { return .failure(.incomplete) }
        guard order.volumes.isSubset(of: volumes.map(\.id)), !volumes.isEmpty else {
            return .failure(.unknownVolume)
        }
        do throws(DiskError) { try snapshots.room.open(&disk) } catch {
            return .failure(.ended(.roomFailed(SnapshotEnd.DiskFault("\(error)"))))
        }
        var parts: [VolumeID: Snapshots.Part] = [:]
        for volume in volumes where order.volumes.isEmpty || order.volumes.contains(volume.id) {
            var held = volume.record.allocation
            for extent in volume.committed.extents {
                if case .data = extent.content { held.insert(extent.range) }
            }
            parts[volume.id] = Snapshots.Part(
                name: volume.record.name, byteCount: volume.record.byteCount, held: held)
        }
        return .success(snapshots.add(order, at: applied, parts))
    }

    mutating func deleteSnapshot(_ name: String) -> SnapshotRefused? {
        snapshots.delete(name) ? nil : .unknown
    }

    func snapshotShape(
        _ id: SnapshotID, _ volume: VolumeID
    ) -> Result<SnapshotShape, SnapshotRefused> {
        snapshots.layer(of: id, volume).map { found in
            SnapshotShape(byteCount: found.part.byteCount, held: found.part.held.ranges)
        }
    }

    /// The file system has to keep something for the log: all of them go, and their room with them.
    mutating func yieldSnapshots() throws(DiskError) {
        snapshots.endAll(.fileSystemFull)
        try tidyRoom(atOnce: true)
    }

    /// Now and then: a room that nobody needs any more gets smaller.
    mutating func tidyRoom(atOnce: Bool = false) throws(DiskError) {
        guard snapshots.isEmpty else { return }
        do throws(DiskError) { try snapshots.room.shrink(atOnce: atOnce, &disk) } catch {
            // It only takes room.
            guard error.cause != .powerCut else { throw error }
        }
    }
}

/// What changes.
extension VolumeCore {
    /// Before what is committed becomes what `write` says.
    mutating func keepForSnapshots(
        _ write: VolumeWrite, _ place: Int
    ) throws(DiskError) {
        guard !snapshots.isEmpty else { return }
        let (id, size) = (volumes[place].id, BlockSum.blockByteCount)
        var (rest, read) = (write.range, UInt64(0))
        while !rest.isEmpty, let due = snapshots.due(id, rest, countMax: Self.keptRunMax) {
            read += UInt64(due.count) * size
            guard read <= limits.snapshotByteCountAtOnceMax else {
                return snapshots.end(
                    id, .tooMuchAtOnce(byteCountMax: limits.snapshotByteCountAtOnceMax))
            }
            try keep(due, write, place)
            rest = min(due.upperBound * size, rest.upperBound)..<rest.upperBound
        }
    }

    private mutating func keep(
        _ blocks: Range<UInt64>, _ write: VolumeWrite, _ place: Int
    ) throws(DiskError) {
        if let old = try oldBytes(blocks, place) {
            let size = Int(BlockSum.blockByteCount)
            for run in changed(blocks, old, write) {
                let from = Int(run.lowerBound - blocks.lowerBound) * size
                let to = min(from + run.count * size, old.count)
                let part = run == blocks ? old : Array(old[from..<to])
                try store(part, run, volumes[place].id)
            }
        } else if blocks.count == 1 {
            snapshots.keep(.lost, of: blocks.lowerBound, volumes[place].id)
        } else {
            // Only what is damaged is lost.
            for block in blocks { try keep(block..<block + 1, write, place) }
        }
    }

    /// Stretches of blocks that become others. Whoever goes back writes over everything what mostly is there already, and must
    /// not fill the room with it.
    private func changed(
        _ blocks: Range<UInt64>, _ old: [UInt8], _ write: VolumeWrite
    ) -> [Range<UInt64>] {
        let (size, start) = (BlockSum.blockByteCount, blocks.lowerBound * BlockSum.blockByteCount)
        var runs: [Range<UInt64>] = []
        for block in blocks {
            let part = (block * size..<(block + 1) * size).clamped(to: write.range)
            let own = old[Int(part.lowerBound - start)..<Int(part.upperBound - start)]
            let isSame: Bool
            if write.operation == .write {
                let from = write.data.startIndex + Int(part.lowerBound - write.range.lowerBound)
                isSame = own == write.data[from..<from + part.count]
            } else {
                isSame = own.isZero
            }
            if isSame { continue }
            runs.append(joining: block..<block + 1)
        }
        return runs
    }

    private func bytes(of blocks: Range<UInt64>, end: UInt64) -> Range<UInt64> {
        let size = BlockSum.blockByteCount
        return blocks.lowerBound * size..<min(blocks.upperBound * size, end)
    }

    /// nil where a block is damaged, or its sector can't be read: who writes over it must not fail for that.
    private mutating func oldBytes(
        _ blocks: Range<UInt64>, _ place: Int
    ) throws(DiskError) -> [UInt8]? {
        let range = bytes(of: blocks, end: volumes[place].record.byteCount)
        do throws(DiskError) { return try contents(place, range, pending: false) } catch {
            guard case .system = error.cause, error.deed == .read else { throw error }
            return nil
        }
    }

    private mutating func store(
        _ bytes: [UInt8], _ blocks: Range<UInt64>, _ id: VolumeID
    ) throws(DiskError) {
        // What went for want of room may have been all that held the volume.
        guard snapshots.makeRoom(for: blocks.count), snapshots.holds(id) else { return }
        let slots: [UInt32]
        do throws(DiskError) { slots = try snapshots.room.write(bytes, &disk) } catch {
            guard error.cause != .powerCut else { throw error }
            let end: SnapshotEnd =
                error.cause == .full
                ? .fileSystemFull : .roomFailed(SnapshotEnd.DiskFault("\(error)"))
            snapshots.endAll(end)
            return try abandonRoom()
        }
        let size = Int(BlockSum.blockByteCount)
        for (at, (block, slot)) in zip(blocks, slots).enumerated() {
            let own = at * size..<min((at + 1) * size, bytes.count)
            let sum = BlockSum(of: bytes, in: own, volume: id, block: block)
            snapshots.keep(KeptBlocks.Place(slot: slot, sum: sum), of: block, id)
        }
    }

    /// Slots that were taken and not written are nobody's: the room is begun anew.
    private mutating func abandonRoom() throws(DiskError) {
        snapshots.room.close(&disk)
        do throws(DiskError) { try disk.remove(SnapshotRoom.name) } catch {
            guard error.cause != .powerCut else { throw error }
        }
    }
}

/// What was.
extension VolumeCore {
    package mutating func readSnapshot(
        _ id: SnapshotID, _ volume: VolumeID, _ range: Range<UInt64>
    ) throws(DiskError) -> Result<[UInt8], SnapshotRefused> {
        let (layer, end): (Int, UInt64)
        switch snapshots.layer(of: id, volume) {
        case .failure(let refused): return .failure(refused)
        case .success(let found): (layer, end) = (found.at, found.part.byteCount)
        }
        guard range.upperBound <= end, range.count <= VolumeLimits.snapshotReadByteCountMax else {
            return .failure(.outOfRange)
        }
        guard let place = position(of: volume) else { return .failure(.unknownVolume) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        let blocks = range.isEmpty ? 0..<0 : blockNumbers(range)
        var at = blocks.lowerBound
        while at < blocks.upperBound {
            let source = snapshots.source(of: at, volume, from: layer)
            var next = at + 1
            // What is kept lies in no order: no two blocks of it have one source.
            while next < blocks.upperBound,
                snapshots.source(of: next, volume, from: layer) == source
            { next += 1 }
            let own = self.bytes(of: at..<next, end: end)
            guard let read = try read(source, own, volume, place) else {
                return .failure(.damaged(at: own.lowerBound))
            }
            let part = own.clamped(to: range)
            let from = Int(part.lowerBound - own.lowerBound)
            bytes += read[from..<from + part.count]
            at = next
        }
        return .success(bytes)
    }

    /// nil where that is not known.
    private mutating func read(
        _ source: Snapshots.Source, _ range: Range<UInt64>, _ volume: VolumeID, _ place: Int
    ) throws(DiskError) -> [UInt8]? {
        switch source {
        case .zeros: return [UInt8](repeating: 0, count: range.count)
        case .current: return try contents(place, range, pending: false)
        case .kept(_, let kept) where kept.isLost: return nil
        case .kept(let layer, let kept):
            let block = range.lowerBound / BlockSum.blockByteCount
            var bytes: [UInt8]?
            do throws(DiskError) {
                bytes = try snapshots.room.read(kept.slot, count: range.count, &disk)
            } catch {
                guard error.cause != .powerCut else { throw error }
            }
            if let bytes,
                kept.sum.passes(bytes, in: bytes.indices, volume: volume, block: block)
            {
                return bytes
            }
            snapshots.lose(block, volume, layer: layer)
            return nil
        }
    }
}

/// Whether or not this node acts: a snapshot may be held by any whole replica.
extension Exports {
    package mutating func readSnapshot(
        _ id: SnapshotID, _ volume: VolumeID, _ range: Range<UInt64>
    ) throws(DiskError) -> Result<[UInt8], SnapshotRefused> {
        try core.readSnapshot(id, volume, range)
    }

    package func snapshotShape(
        _ id: SnapshotID, _ volume: VolumeID
    ) -> Result<SnapshotShape, SnapshotRefused> { core.snapshotShape(id, volume) }

    /// With what is kept of each by now.
    package var snapshotList: [SnapshotInfo] { core.snapshots.list }

    package mutating func deleteSnapshot(_ name: String) -> SnapshotRefused? {
        core.deleteSnapshot(name)
    }
}
