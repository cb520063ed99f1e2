internal import Mesh
internal import VolumeCore

/// What clients were promised of each block, in the discipline of the rig's `flushcheck`: a block
/// is written by one client, each write a version; afterwards it holds its last flushed version or
/// one that was issued later.
struct Ledger {
    static let blockByteCount = 512
    /// Of the least cell that a volume gives back.
    static let cellBlockCount = 128

    struct Block {
        /// The last version that was ever asked to be written.
        var issued: UInt64 = 0
        /// Versions that are zeros; 0 is the beginning.
        var zeros: [UInt64] = [0]
        /// The last version that an answered flush covered.
        var flushed: UInt64 = 0
        /// What was answered or read in this generation: it holds as long as the generation.
        var seen: UInt64 = 0
        var generation = ExportGeneration.none
        /// The last version whose write was answered in `generation`.
        var answered: UInt64 = 0
    }

    /// What a flush will have covered once it is answered.
    struct Covered {
        let generation: ExportGeneration
        let versions: [UInt64]
    }

    let volume: Int
    private(set) var blocks: [Block]

    init(volume: Int, blockCount: Int) {
        self.volume = volume
        blocks = Array(repeating: Block(), count: blockCount)
    }

    var byteCount: UInt64 { UInt64(blocks.count * Self.blockByteCount) }

    /// A client was told that the disk is so long.
    mutating func grow(to byteCount: UInt64) {
        let added = Int(byteCount) / Self.blockByteCount - blocks.count
        blocks += Array(repeating: Block(), count: max(added, 0))
    }

    /// The next version of a block, and its bytes unless it shall be zero.
    mutating func issue(_ block: Int, isZero: Bool) -> UInt64 {
        blocks[block].issued += 1
        if isZero { blocks[block].zeros.append(blocks[block].issued) }
        return blocks[block].issued
    }

    func content(of block: Int, version: UInt64) -> [UInt8] {
        var bytes = [UInt8](
            repeating: UInt8(truncatingIfNeeded: version &* 31 &+ UInt64(block) | 1),
            count: Self.blockByteCount)
        bytes.store(version, at: 0, count: 8)
        bytes.store(UInt64(volume) << 32 | UInt64(block), at: 8, count: 8)
        return bytes
    }

    mutating func answered(_ block: Int, version: UInt64, in generation: ExportGeneration) {
        enter(block, generation)
        guard blocks[block].generation == generation else { return }
        blocks[block].seen = max(blocks[block].seen, version)
        blocks[block].answered = max(blocks[block].answered, version)
    }

    private mutating func enter(_ block: Int, _ generation: ExportGeneration) {
        guard generation > blocks[block].generation else { return }
        (blocks[block].generation, blocks[block].seen, blocks[block].answered) = (generation, 0, 0)
    }

    /// A flush covers what any connection of its export was answered before it was asked.
    func covered(in generation: ExportGeneration) -> Covered {
        Covered(
            generation: generation,
            versions: blocks.map { $0.generation == generation ? $0.answered : 0 })
    }

    mutating func flushed(_ covered: Covered) {
        for (at, version) in covered.versions.enumerated() where version > blocks[at].flushed {
            flushed(at, version: version)
        }
    }

    mutating func flushed(_ block: Int, version: UInt64) {
        guard version > blocks[block].flushed else { return }
        blocks[block].flushed = version
        // A zero from before can't be what is read any more.
        if let last = blocks[block].zeros.lastIndex(where: { $0 <= version }), last > 0 {
            blocks[block].zeros.removeFirst(last)
        }
    }

    /// The least version that a read asked now may show.
    func least(_ block: Int, in generation: ExportGeneration) -> UInt64 {
        let known = blocks[block]
        return max(known.flushed, known.generation == generation ? known.seen : 0)
    }

    /// Judges what was read of a block; nil when it is lawful.
    mutating func judge(
        _ block: Int, _ bytes: ArraySlice<UInt8>, least: UInt64, in generation: ExportGeneration
    ) -> String? {
        let known = blocks[block]
        let version: UInt64
        if bytes.isZero {
            guard let zero = known.zeros.first(where: { $0 >= least }) else {
                return "block \(block) of disk \(volume) reads zero, though version \(least) was "
                    + "promised (flushed \(known.flushed), issued \(known.issued))"
            }
            version = zero
        } else {
            version = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
            guard version <= known.issued, areSame(bytes, content(of: block, version: version)[...])
            else { return "block \(block) of disk \(volume) reads what was never written" }
        }
        guard version >= least else {
            return "block \(block) of disk \(volume) reads version \(version), though version "
                + "\(least) was promised (flushed \(known.flushed), issued \(known.issued))"
        }
        enter(block, generation)
        if blocks[block].generation == generation {
            blocks[block].seen = max(blocks[block].seen, version)
        }
        return nil
    }
}
