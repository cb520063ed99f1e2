internal import ArgumentParser
internal import Backup
internal import Mesh
internal import Repository

/// Bytes of a volume: `OFFSET+LENGTH`, each as sizes are written.
struct ByteRange: ExpressibleByArgument, Equatable {
    let bytes: Range<UInt64>

    init?(argument: String) {
        let parts = argument.split(separator: "+", omittingEmptySubsequences: false)
        guard parts.count == 2, let offset = try? ByteSize.count(parsing: String(parts[0])),
            let count = try? ByteSize.count(parsing: String(parts[1])), count > 0
        else { return nil }
        bytes = offset..<offset + count
    }
}

/// Brings some bytes of a volume back, and reads no more than it needs for them.
struct RangeRestore {
    struct Restored: Encodable {
        let number: UInt64
        /// The last entry of the log that is in it.
        let index: UInt64
        let volume: String
        let path: String
        let offset: UInt64
        let byteCount: UInt64
    }

    let vault: Vault
    let manifest: Manifest
    let range: ByteRange
    let sink: ImageSink
    let progress: ProgressTeller

    func run(_ volume: Manifest.Volume, to path: String, _ options: OutputOptions) throws {
        let (bytes, shape) = (range.bytes, volume.map.shape)
        guard bytes.upperBound <= shape.byteCount else {
            throw Failure(
                .refused,
                "\(volume.name) ends at byte \(shape.byteCount), and bytes \(bytes.lowerBound) to "
                    + "\(bytes.upperBound) are asked for\n  Ask for a range within 0+\(shape.byteCount)."
            )
        }
        try backed { () throws(BackupFailure) in
            let reader = try BackupReader(vault, threads: RepositoryOptions.threads)
            try checkRoom(VolumeView(volume.map, reader))
            progress.expect { try reader.storedByteCount(volume.map, bytes) }
            let image = try ImageTarget(
                path, byteCount: UInt64(bytes.count), existing: sink.existing)
            try reader.restore(volume.map, bytes: bytes, to: Watched(image, progress.take))
            try image.finish()
        }
        progress.end()
        let restored = Restored(
            number: manifest.sequence, index: manifest.position.index.rawValue,
            volume: volume.name, path: path, offset: bytes.lowerBound,
            byteCount: UInt64(bytes.count))
        let what = "bytes \(bytes.lowerBound) to \(bytes.upperBound) of \(volume.name)"
        try options.show(
            restored, [Line("\(what) of backup \(manifest.sequence) are in \(path)", .good)])
    }

    private static let extentsAtOnce = 1_024

    private func checkRoom(_ view: VolumeView) throws(BackupFailure) {
        let room = try Room(in: sink.folder)
        // The map is asked only where it matters what of the range is data.
        guard UInt64(range.bytes.count) > room.byteCount else { return }
        var (needed, at) = (UInt64(0), range.bytes.lowerBound)
        while at < range.bytes.upperBound {
            let extents = view.extents(at..<range.bytes.upperBound, countMax: Self.extentsAtOnce)
            guard let end = extents.last?.range.upperBound, end > at else { break }
            needed += extents.filter { $0.kind == .data }
                .reduce(UInt64(0)) { $0 + UInt64($1.range.count) }
            at = end
        }
        guard needed <= room.byteCount else {
            throw .refused(
                "\(room.path) has room for \(Words.bytes(room.byteCount)), and "
                    + "\(Words.bytes(needed)) are needed: nothing was written\n  Make room, or name another place."
            )
        }
    }
}
