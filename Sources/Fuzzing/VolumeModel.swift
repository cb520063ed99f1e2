internal import Mesh
internal import NBDProtocol
internal import Record
internal import VolumeCore

/// A volume beside the array of bytes that it has to be.
struct VolumeModel {
    /// Not a multiple of a cell.
    static let byteCount: UInt64 = 66 << 10
    private static let volume = VolumeID(1)
    private static let generation = ExportGeneration(epoch: Epoch(1), opening: 1)

    private static let zeros = [UInt8](repeating: 0, count: Int(byteCount))

    private var core: VolumeCore<HollowDisk>
    /// Empty until something is written: most inputs write nothing.
    private var bytes: [UInt8] = []

    /// Made once; each input gets a copy.
    static let fresh: VolumeModel? = {
        guard var core = try? VolumeCore(disk: HollowDisk(), limits: .fuzzed),
            (try? core.create(volume, name: "a", byteCount: byteCount)) == .some(nil),
            core.open(volume, generation: generation) == nil
        else { return nil }
        return VolumeModel(core: core)
    }()

    private init(core: VolumeCore<HollowDisk>) { self.core = core }

    mutating func write(_ request: NBDRequest, _ data: [UInt8]) throws {
        let queued = core.queue(
            write: data, to: Self.volume, at: request.offset, generation: Self.generation)
        guard case .queued = queued else { throw Broken(promise: "a lawful write is taken") }
        replace(request, with: data)
    }

    mutating func serve(_ request: NBDRequest) throws {
        switch request.command {
        case .read: try read(request.offset, Int(request.byteCount))
        case .trim: try clear(request, .trim)
        case .writeZeroes: try clear(request, .zeroes)
        case .blockStatus: try extents(request)
        case .flush, .write, .disconnect, nil: break
        }
    }

    private mutating func clear(_ request: NBDRequest, _ operation: VolumeWrite.Operation) throws {
        let queued = core.queue(
            operation, on: Self.volume, at: request.offset, byteCount: request.byteCount,
            keepsAllocated: request.flags.contains(.noHole), generation: Self.generation)
        guard case .queued = queued else { throw Broken(promise: "lawful zeroes are taken") }
        if !bytes.isEmpty {
            replace(request, with: [UInt8](repeating: 0, count: Int(request.byteCount)))
        }
    }

    private mutating func replace(_ request: NBDRequest, with data: [UInt8]) {
        if bytes.isEmpty { bytes = [UInt8](repeating: 0, count: Int(Self.byteCount)) }
        let start = Int(request.offset)
        bytes.replaceSubrange(start..<start + data.count, with: data)
    }

    private mutating func read(_ offset: UInt64, _ count: Int) throws {
        let read = try core.read(Self.volume, at: offset, count: count, generation: Self.generation)
        guard case .success(let found) = read else {
            throw Broken(promise: "a lawful read is served")
        }
        let (start, expected) = bytes.isEmpty ? (0, Self.zeros) : (Int(offset), bytes)
        // By checksum: comparing byte by byte would be most of what a run does.
        try promise(
            found.count == count
                && Checksum.crc32c(found) == Checksum.crc32c(expected, in: start..<start + count),
            "a read gives what was written last")
    }

    private mutating func extents(_ request: NBDRequest) throws {
        let countMax = request.flags.contains(.one) ? 1 : 64
        let told = core.extents(
            Self.volume, at: request.offset, byteCount: UInt64(request.byteCount),
            generation: Self.generation, countMax: countMax)
        guard case .success(let extents) = told else {
            throw Broken(promise: "a lawful question is answered")
        }
        try promise((1...countMax).contains(extents.count), "extents are told, and not too many")
        var offset = request.offset
        for extent in extents {
            let end = offset + extent.byteCount
            try promise(end <= request.offset + UInt64(request.byteCount), "extents stay inside")
            if extent.isZero, !bytes.isEmpty {
                try promise(
                    Checksum.crc32c(bytes, in: Int(offset)..<Int(end))
                        == Checksum.crc32c(Self.zeros, in: 0..<Int(end - offset)),
                    "what is told zero is zero")
            }
            offset = end
        }
    }

    /// All of it; then again from the images, once all that was queued is committed.
    mutating func check() throws {
        guard !bytes.isEmpty else { return }
        try read(0, Int(Self.byteCount))
        for write in core.pendingWrites(Self.volume) {
            let entry = write.draft.sealed(
                at: Position(index: core.applied.next, term: Term(1)), group: Samples.group,
                time: .zero)
            guard case .applied = try core.apply(entry, epoch: Epoch(1)) else {
                throw Broken(promise: "what was queued is applied")
            }
        }
        try core.checkpoint()
        try read(0, Int(Self.byteCount))
    }
}

extension VolumeLimits {
    /// Few pages of sums: 4,096 took more of an input's time than its bytes did, for they are made and
    /// copied with each; and of so few one soon takes another's place.
    static let fuzzed: VolumeLimits = {
        var limits = VolumeLimits()
        limits.sumPagesMax = 2
        return limits
    }()
}
