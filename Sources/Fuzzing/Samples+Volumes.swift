internal import Mesh
internal import Record
internal import VolumeCore

extension Samples {
    private static let piece = Piece(VolumeID(1), 65_536..<65_544)
    private static let id = ManifestID(applied: LogIndex(9), checksum: 0x1234_5678)

    static let resyncs: [ResyncMessage] = [
        .askManifest(since: LogIndex(4), id: .none, offset: 0),
        .askManifest(since: LogIndex(4), id: id, offset: 100),
        .manifest(ManifestPart(id: id, byteCount: 200, offset: 100, bytes: [1, 2, 3])),
        .askPiece(piece, since: LogIndex(8)), .piece(piece, asOf: LogIndex(9), bytes: nil),
        .piece(piece, asOf: LogIndex(9), bytes: [1, 2, 3, 4, 5, 6, 7, 8]),
        .askSums(piece, since: LogIndex(7)), .sums(piece, since: LogIndex(7), nil),
        .sums(piece, since: LogIndex(7), [0x1234_5678]),
    ]

    /// A source with three volumes, of which two were written to.
    private static func source() throws -> VolumeCore<HollowDisk> {
        var core = try VolumeCore(disk: HollowDisk())
        for (id, name, byteCount) in [(1, "a", 1 << 20), (2, "bc", 70_000), (3, "d", 8 << 20)] {
            _ = try core.create(VolumeID(UInt64(id)), name: name, byteCount: UInt64(byteCount))
        }
        core.skip(LogIndex(1))
        for number in 1...6 {
            let write = VolumeWrite(
                volume: VolumeID(1), offset: UInt64(number) * 130_000,
                generation: ExportGeneration(epoch: Epoch(1), opening: 1), number: UInt64(number),
                data: [1, 2, 3])
            let at = Position(index: core.applied.next, term: Term(1))
            _ = try core.apply(
                write.draft.sealed(at: at, group: group, time: .zero), epoch: Epoch(1))
            if number % 2 == 0 { try core.checkpoint() }
        }
        return core
    }

    /// Of all, and of what changed lately; and the state of a replica that copies.
    static func manifests() throws -> [[UInt8]] {
        let source = try source()
        return try [LogIndex.zero, LogIndex(5)].map { since in
            guard let manifest = source.manifest(since: since) else {
                throw Broken(promise: "a source has a manifest")
            }
            return manifest
        }
    }

    /// What checkpoints and an opening leave on a disk: of a source, of a replica that asks and of one
    /// that copies.
    static func volumeFiles() throws -> [[UInt8]] {
        var source = try source()
        _ = try source.newGeneration(Epoch(1))
        var replica = try VolumeCore(disk: HollowDisk())
        _ = try replica.fallBehind(through: LogIndex(3))
        let asking = replica.disk
        _ = try replica.adopt(try manifests()[0])
        return [source.disk, asking, replica.disk].map(volumeFiles)
    }

    private static func volumeFiles(_ disk: HollowDisk) -> [UInt8] {
        var input = [Mode.sealed]
        for slot in 0...1 {
            let bytes = disk.contents(of: "volumes.state.\(slot)") ?? []
            input.append(littleEndian: UInt16(bytes.count))
            input += bytes
        }
        return input + (disk.contents(of: "volumes.opening") ?? [])
    }
}
