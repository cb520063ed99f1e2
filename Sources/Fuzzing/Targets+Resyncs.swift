internal import Disk
internal import Mesh
internal import VolumeCore

extension FuzzTarget {
    static let resyncs = [
        FuzzTarget(
            "resync", byteCountMax: 512, seeds: { Samples.resyncs.map(\.encoded) }, body: resync),
        FuzzTarget(
            "manifest", byteCountMax: 512, seeds: { try Samples.manifests().map(sealed) },
            body: manifest),
        FuzzTarget(
            "volume-state", byteCountMax: 1_024, seeds: { try Samples.volumeFiles() },
            body: volumeState),
    ]

    private static func resync(_ bytes: [UInt8]) throws -> Verdict {
        guard let message = try? ResyncMessage(parsing: bytes) else { return .refused }
        try promise(message.encoded == bytes, "a message has one encoding")
        switch message {
        case .askPiece(let piece, since: _), .piece(let piece, _, _), .askSums(let piece, since: _),
            .sums(let piece, since: _, _):
            try promise(
                (1...VolumeLimits.pieceByteCountMax).contains(piece.range.count),
                "a piece is bounded")
        case .askManifest, .manifest: break
        }
        return .accepted
    }

    /// A replica that lacks something: what every manifest is given to.
    private static let asking: VolumeCore<HollowDisk>? = {
        guard var core = try? VolumeCore(disk: HollowDisk(), limits: .fuzzed),
            (try? core.create(VolumeID(1), name: "a", byteCount: 256 << 10)) == .some(nil)
        else { return nil }
        core.skip(LogIndex(1))
        guard (try? core.checkpoint()) != nil,
            (try? core.fallBehind(through: LogIndex(3))) == true
        else { return nil }
        return core
    }()

    /// What a replica took over is what it finds when it starts anew.
    private static func manifest(_ bytes: [UInt8]) throws -> Verdict {
        var input = Input(bytes)
        let mode = Mode(input.byte())
        var bytes = input.rest()
        if mode.seals { Seal.state(&bytes) }
        guard var core = asking else { throw Broken(promise: "a replica falls behind") }
        guard try core.adopt(bytes) else { return .refused }
        try promise(core.isResyncing && !core.isAsking, "who has a manifest copies")
        let again = try VolumeCore(disk: core.disk, limits: .fuzzed)
        try promise(again.list == core.list, "the volumes are found again")
        try promise(
            (again.applied, again.missingByteCount) == (core.applied, core.missingByteCount),
            "what is missing is found again")
        let whole = core.list.reduce(UInt64(0)) { $0 + $1.byteCount }
        try promise(core.missingByteCount <= whole, "no more is missing than there is")
        try promise(core.applied <= .countMax, "a log goes on")
        return .accepted
    }

    /// What a checkpoint, and the last opening, left on a disk.
    private static func volumeState(_ bytes: [UInt8]) throws -> Verdict {
        var input = Input(bytes)
        let mode = Mode(input.byte())
        var disk = HollowDisk()
        for volume in 1...4 {
            for file in ["image", "sums"] { disk.plant([], as: "volume-\(volume).\(file)") }
        }
        var sequence: UInt64 = 0
        for slot in 0...1 {
            let count = input.word()
            guard count > 0 else { continue }
            var state = input.take(count)
            if mode.seals { Seal.state(&state) }
            if state.count >= 24 { sequence = max(sequence, state.load(at: 16, count: 8)) }
            disk.plant(state, as: "volumes.state.\(slot)")
        }
        var opening = input.rest()
        if mode.seals { Seal.opening(&opening) }
        if !opening.isEmpty { disk.plant(opening, as: "volumes.opening") }
        guard var core = try? VolumeCore(disk: disk, limits: .fuzzed) else { return .refused }
        let again = try VolumeCore(disk: core.disk, limits: .fuzzed)
        try promise(again.list == core.list, "the volumes are found again")
        try promise(
            (again.applied, again.isResyncing) == (core.applied, core.isResyncing),
            "where they stand is found again")
        // Neither a log nor checkpoints come so far, and none go on from there.
        if core.applied < .countMax, sequence < LogIndex.countMax.rawValue { try goOn(&core) }
        return .accepted
    }

    /// The next entry, a checkpoint and an opening of a volume.
    private static func goOn(_ core: inout VolumeCore<HollowDisk>) throws {
        core.skip(core.applied.next)
        try core.checkpoint()
        // Epochs never fall, so none is later than this.
        let epoch = Epoch(UInt64(UInt32.max))
        let (first, second) = (try core.newGeneration(epoch), try core.newGeneration(epoch))
        try promise(second > first, "no generation is given out twice")
        let again = try VolumeCore(disk: core.disk, limits: .fuzzed)
        try promise(
            again.list.map(\.name) == core.list.map(\.name) && again.applied == core.checkpointed,
            "a checkpoint is found again")
    }
}
