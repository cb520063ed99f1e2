internal import Glibc
package import Repository

/// What a place has room for. Who restores asks first: a disk that runs full half-way takes down what else is on it.
package struct Room: Hashable, Sendable {
    package let path: String
    package let byteCount: UInt64

    package init(_ byteCount: UInt64, in path: String) {
        (self.path, self.byteCount) = (path, byteCount)
    }

    /// What this process may still write to the file system that `path`, which is there, is on.
    package init(in path: String) throws(BackupFailure) {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else {
            throw .volume(
                "cannot ask \(path) for its room: \(unsafe String(cString: strerror(errno)))")
        }
        self.init(UInt64(status.f_bavail) * UInt64(status.f_frsize), in: path)
    }
}

extension Room {
    /// With what is taken already of what is to be written.
    package func plus(_ byteCount: UInt64) -> Room {
        let (sum, isMore) = self.byteCount.addingReportingOverflow(byteCount)
        return Room(isMore ? .max : sum, in: path)
    }
}

extension BackupReader {
    /// Bytes of the cells that a restore writes, or of those of them that lie in `bytes`: neither holes nor zeros take room.
    package func storedByteCount(
        _ map: VolumeMap, _ bytes: Range<UInt64>? = nil
    ) throws(BackupFailure) -> UInt64 {
        let wanted = (bytes ?? 0..<map.shape.byteCount).clamped(to: 0..<map.shape.byteCount)
        guard !wanted.isEmpty else { return 0 }
        var (count, size) = (UInt64(0), map.shape.cellByteCount)
        let cells = wanted.lowerBound / size..<(wanted.upperBound - 1) / size + 1
        var nodes = FetchedNodes(fetcher: fetcher)
        do {
            try map.forEach(in: cells, nodes: &nodes) { run in
                guard case .stored = run.slot else { return }
                let own = run.cells.lowerBound * size..<run.cells.upperBound * size
                count += UInt64(own.clamped(to: wanted).count)
            }
        } catch let failure as BackupFailure {
            throw failure
        } catch { throw .volume("its map can't be read: \(error)") }
        return count
    }

    package func storedByteCount(_ maps: [VolumeMap]) throws(BackupFailure) -> UInt64 {
        var count: UInt64 = 0
        for map in maps { count += try storedByteCount(map) }
        return count
    }

    /// How much has to be there, where that is more than there is; nil where it fits. The maps are walked only where the
    /// volumes would not fit as they look to their guests.
    package func roomLacking(
        for maps: [VolumeMap], besides bytes: UInt64 = 0, in room: Room
    ) throws(BackupFailure) -> UInt64? {
        let whole = maps.reduce(bytes) { $0 + $1.shape.byteCount }
        guard whole > room.byteCount else { return nil }
        let needed = bytes + (try storedByteCount(maps))
        return needed > room.byteCount ? needed : nil
    }
}
