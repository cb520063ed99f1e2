package import Disk
package import Mesh

extension VolumeCore {
    /// Creates a volume that reads zero. Doing it twice is doing it once, since a recovery applies
    /// the same command again.
    package mutating func create(
        _ id: VolumeID, name: String, byteCount: UInt64, isSync: Bool = true
    ) throws(DiskError) -> VolumeRefused? {
        if let known = volumes.first(where: { $0.id == id || $0.record.name == name }) {
            let same = known.record.name == name && known.record.byteCount == byteCount
            return same && known.id == id ? nil : .nameTaken
        }
        guard (1...VolumeLimits.nameByteCountMax).contains(name.utf8.count) else { return .badName }
        guard byteCount <= VolumeLimits.volumeByteCountMax else { return .oversized }
        guard volumes.count < VolumeLimits.volumeCountMax else { return .tooManyVolumes }
        let (image, sums) = try createFiles(id, byteCount)
        // Nothing changed it before the entry that creates it.
        let record = VolumeState.Record(
            id: id, name: name, byteCount: byteCount, isSync: isSync, since: applied)
        let volume = Volume(record: record, image: image, sums: sums, isDirty: true)
        volumes.insert(volume, at: insertion(of: id))
        return nil
    }

    mutating func createFiles(
        _ id: VolumeID, _ byteCount: UInt64
    ) throws(DiskError) -> (image: FileHandle, sums: FileHandle) {
        let names = [VolumeState.image(of: id), VolumeState.sums(of: id)]
        doomed.removeAll { names.contains($0.name) }
        self.sums.forget(id)
        let (image, sums) = (
            try disk.open(names[0], create: true), try disk.open(names[1], create: true)
        )
        for file in [image, sums] { try disk.resize(file, to: 0) }
        try disk.resize(image, to: byteCount)
        try disk.resize(sums, to: BlockSum.fileByteCount(of: byteCount))
        hasNewNames = true
        return (image, sums)
    }

    mutating func doom(_ volume: Volume) {
        doomed.append((VolumeState.image(of: volume.id), volume.image))
        doomed.append((VolumeState.sums(of: volume.id), volume.sums))
        sums.forget(volume.id)
    }

    /// Forgets a volume. Its image stays until a checkpoint without it is durable, since a crash
    /// before that replays writes to it.
    package mutating func delete(_ id: VolumeID) -> VolumeRefused? {
        guard let place = position(of: id) else { return nil }
        guard volumes[place].open == nil else { return .open }
        let volume = volumes.remove(at: place)
        overlayByteCount -= volume.committed.cost
        asked.removeAll { $0.piece.volume == id }
        distrusted = distrusted.filter { $0.volume != id }
        cut?.forget(id)
        snapshots.end(id, .volumeDeleted)
        doom(volume)
        return nil
    }
}
