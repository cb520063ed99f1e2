package import Disk
package import Mesh
internal import Planted

/// What lies in a part of a volume, as NBD's `base:allocation` has it.
package struct VolumeExtent: Hashable, Sendable {
    package var byteCount: UInt64
    /// No space is reserved for it.
    package var isHole: Bool
    package var isZero: Bool

    package init(byteCount: UInt64, isHole: Bool, isZero: Bool) {
        (self.byteCount, self.isHole, self.isZero) = (byteCount, isHole, isZero)
    }
}

extension VolumeCore {
    private func door(_ id: VolumeID, _ generation: ExportGeneration) -> Result<Int, VolumeRefused>
    {
        guard let place = position(of: id) else { return .failure(.unknownVolume) }
        guard volumes[place].open == generation else { return .failure(.closed) }
        return .success(place)
    }

    private func isInside(_ place: Int, offset: UInt64, count: UInt64) -> Bool {
        let (end, overflow) = offset.addingReportingOverflow(count)
        return !overflow && end <= volumes[place].record.byteCount
    }

    /// Takes a client's bytes; a request longer than a record becomes several, in order.
    package mutating func queue(
        write data: [UInt8], to id: VolumeID, at offset: UInt64, generation: ExportGeneration
    ) -> Queued {
        let place: Int
        switch door(id, generation) {
        case .failure(let refused): return .refused(refused)
        case .success(let found): place = found
        }
        guard data.count <= VolumeLimits.requestByteCountMax else { return .refused(.oversized) }
        guard isInside(place, offset: offset, count: UInt64(data.count)) else {
            return .refused(.outOfRange)
        }
        var writes: [VolumeWrite] = []
        var done = 0
        while done < data.count {
            let count = min(data.count - done, VolumeWrite.dataByteCountMax)
            writes.append(
                VolumeWrite(
                    volume: id, offset: offset + UInt64(done), generation: generation,
                    number: volumes[place].nextNumber + UInt64(writes.count),
                    data: data[done..<done + count]))
            done += count
        }
        return take(writes, at: place)
    }

    /// Makes `byteCount` bytes read zero: for `.trim` and `.zeroes` their space is given back,
    /// unless it shall stay allocated.
    package mutating func queue(
        _ operation: VolumeWrite.Operation, on id: VolumeID, at offset: UInt64, byteCount: UInt32,
        keepsAllocated: Bool = false, generation: ExportGeneration
    ) -> Queued {
        let place: Int
        switch door(id, generation) {
        case .failure(let refused): return .refused(refused)
        case .success(let found): place = found
        }
        guard isInside(place, offset: offset, count: UInt64(byteCount)) else {
            return .refused(.outOfRange)
        }
        guard byteCount > 0 else { return .queued([]) }
        let write = VolumeWrite(
            zeroing: operation, volume: id, offset: offset, byteCount: byteCount,
            keepsAllocated: keepsAllocated, generation: generation,
            number: volumes[place].nextNumber)
        return take([write], at: place)
    }

    private mutating func take(_ writes: [VolumeWrite], at place: Int) -> Queued {
        let cost = writes.reduce(0) { $0 + self.cost(of: $1) }
        // One request alone always passes, or a small bound would stop the volume for ever.
        guard pendingByteCount == 0 || pendingByteCount + cost <= limits.pendingByteCountMax else {
            return .wait
        }
        pendingByteCount += cost
        for write in writes {
            volumes[place].pending.insert(extent(of: write))
            volumes[place].queue.append(write)
        }
        volumes[place].nextNumber += UInt64(writes.count)
        return .queued(writes)
    }

    /// The number of the last write answered: a flush is done once it is committed.
    package func lastQueued(_ id: VolumeID) -> UInt64 {
        position(of: id).map { volumes[$0].nextNumber - 1 } ?? 0
    }

    /// Answered and not committed, in order: what a new leader has to be asked again.
    package func pendingWrites(_ id: VolumeID) -> [VolumeWrite] {
        position(of: id).map { Array(volumes[$0].queue.all) } ?? []
    }

    /// The pending write of that number.
    func pendingWrite(_ id: VolumeID, _ number: UInt64) -> VolumeWrite? {
        guard let place = position(of: id), let first = volumes[place].queue.first,
            number >= first.number, number - first.number < UInt64(volumes[place].queue.count)
        else { return nil }
        return volumes[place].queue[Int(number - first.number)]
    }

    /// Reads what every answered write left.
    package mutating func read(
        _ id: VolumeID, at offset: UInt64, count: Int, generation: ExportGeneration
    ) throws(DiskError) -> Result<[UInt8], VolumeRefused> {
        switch door(id, generation) {
        case .failure(let refused): return .failure(refused)
        case .success(let place):
            guard count <= VolumeLimits.readByteCountMax else { return .failure(.oversized) }
            guard isInside(place, offset: offset, count: UInt64(count)) else {
                return .failure(.outOfRange)
            }
            let range = offset..<offset + UInt64(count)
            guard let bytes = try contents(place, range, pending: true) else {
                return .failure(.damaged)
            }
            return .success(bytes)
        }
    }

    /// Reads what is committed, of a volume that need not be open: for replicas and backups.
    package mutating func readCommitted(_ id: VolumeID, at offset: UInt64, count: Int)
        throws(DiskError) -> Result<[UInt8], VolumeRefused>
    {
        guard let place = position(of: id) else { return .failure(.unknownVolume) }
        guard resync == nil else { return .failure(.closed) }
        guard count <= VolumeLimits.readByteCountMax else { return .failure(.oversized) }
        guard isInside(place, offset: offset, count: UInt64(count)) else {
            return .failure(.outOfRange)
        }
        let range = offset..<offset + UInt64(count)
        guard let bytes = try contents(place, range, pending: false) else {
            return .failure(.damaged)
        }
        return .success(bytes)
    }

    /// nil where a block that would be read is damaged.
    mutating func contents(_ place: Int, _ range: Range<UInt64>, pending: Bool)
        throws(DiskError) -> [UInt8]?
    {
        let volume = volumes[place]
        var bytes: [UInt8] = []
        // What one layer covers whole is handed on as it is.
        func add(_ piece: [UInt8]) {
            if bytes.isEmpty {
                bytes = piece
                if piece.count < range.count { bytes.reserveCapacity(range.count) }
            } else {
                bytes.append(contentsOf: piece)
            }
        }
        for layer in layers(of: volume, range, pending: pending) {
            switch layer.extent?.content {
            case .data(let data, _): add(Array(data))
            case .zeroes, .hole: add([UInt8](repeating: 0, count: layer.range.count))
            case nil:
                var offset = layer.range.lowerBound
                while offset < layer.range.upperBound {
                    let run = volume.record.allocation.run(at: offset, in: layer.range)
                    if !run.isSet {
                        add([UInt8](repeating: 0, count: Int(run.end - offset)))
                    } else if let read = try imageBytes(place, offset..<run.end) {
                        add(read)
                    } else {
                        return nil
                    }
                    offset = run.end
                }
            }
        }
        return bytes
    }

    private func layers(of volume: Volume, _ range: Range<UInt64>, pending: Bool)
        -> [(range: Range<UInt64>, extent: ExtentMap.Extent?)]
    {
        guard pending, !isPlanted(.readsPastPending) else {
            return volume.committed.parts(of: range)
        }
        return volume.pending.parts(of: range).flatMap { part in
            part.extent == nil ? volume.committed.parts(of: part.range) : [part]
        }
    }

    /// What lies in a part of an open volume, equal neighbours joined, at most `countMax` extents
    /// from the front.
    package func extents(
        _ id: VolumeID, at offset: UInt64, byteCount: UInt64, generation: ExportGeneration,
        countMax: Int
    ) -> Result<[VolumeExtent], VolumeRefused> {
        let place: Int
        switch door(id, generation) {
        case .failure(let refused): return .failure(refused)
        case .success(let found): place = found
        }
        guard isInside(place, offset: offset, count: byteCount) else {
            return .failure(.outOfRange)
        }
        let (volume, range) = (volumes[place], offset..<offset + byteCount)
        var found: [VolumeExtent] = []
        func add(_ count: UInt64, isHole: Bool, isZero: Bool) {
            if let last = found.last, last.isHole == isHole, last.isZero == isZero {
                found[found.count - 1].byteCount += count
            } else {
                found.append(VolumeExtent(byteCount: count, isHole: isHole, isZero: isZero))
            }
        }
        for layer in layers(of: volume, range, pending: true) where found.count <= countMax {
            switch layer.extent?.content {
            case .data: add(UInt64(layer.range.count), isHole: false, isZero: false)
            case .zeroes: add(UInt64(layer.range.count), isHole: false, isZero: true)
            case .hole: add(UInt64(layer.range.count), isHole: true, isZero: true)
            case nil:
                var offset = layer.range.lowerBound
                while offset < layer.range.upperBound, found.count <= countMax {
                    let run = volume.record.allocation.run(at: offset, in: layer.range)
                    add(
                        run.end - offset, isHole: !run.isSet, isZero: !run.isSet)
                    offset = run.end
                }
            }
        }
        return .success(Array(found.prefix(countMax)))
    }
}
