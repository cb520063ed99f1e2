import Mesh
import Record

/// Drawn anew for each segment, so that bytes of one can't pass for another's.
struct SegmentID: Hashable, Sendable {
    var high: UInt64
    var low: UInt64
    static let none = SegmentID(high: 0, low: 0)

    static func draw(_ random: inout SeededRandom) -> SegmentID {
        SegmentID(high: random.next(), low: random.next() | 1)
    }
}

/// Which base file the log builds on; number 0 is the empty base, which has no file.
struct BaseReference: Hashable, Sendable {
    var number: UInt64 = 0
    var position: Position = .zero
    var checksum: UInt32 = 0
    var contentsByteCount: UInt32 = 0
}

/// What a restart needs besides the entries; every commit frame and segment header repeats it, so
/// that the last one is enough.
struct Standing: Hashable, Sendable {
    static let byteCount = 64
    var hardState = HardState()
    var base = BaseReference()

    func encode(into bytes: inout [UInt8], at offset: Int) {
        let (head, tail) = halves
        for at in head.indices { bytes.store(head[at], at: offset + at * 8, count: 8) }
        for at in tail.indices { bytes.store(tail[at], at: offset + 32 + at * 8, count: 8) }
    }

    /// The words that stand in its bytes, little-endian.
    var halves: (head: IndexPiece.Words, tail: IndexPiece.Words) {
        (
            [
                hardState.term.rawValue, hardState.vote?.rawValue ?? 0,
                hardState.vote == nil ? 0 : 1, hardState.commit.rawValue,
            ],
            [
                base.number, base.position.index.rawValue, base.position.term.rawValue,
                UInt64(base.contentsByteCount) << 32 | UInt64(base.checksum),
            ]
        )
    }

    /// What no log can come to would overflow what goes on from it.
    var isLawful: Bool {
        hardState.term <= .countMax && hardState.commit <= .countMax
            && base.position.index <= .countMax && base.position.term <= .countMax
            && base.number <= LogIndex.countMax.rawValue
    }

    init(hardState: HardState = HardState(), base: BaseReference = BaseReference()) {
        self.hardState = hardState
        self.base = base
    }

    init(decoding bytes: [UInt8], at offset: Int) {
        let votes = bytes.load(at: offset + 16, count: 8) != 0
        hardState = HardState(
            term: Term(bytes.load(at: offset, count: 8)),
            vote: votes ? NodeID(bytes.load(at: offset + 8, count: 8)) : nil,
            commit: LogIndex(bytes.load(at: offset + 24, count: 8)))
        base = BaseReference(
            number: bytes.load(at: offset + 32, count: 8),
            position: Position(
                index: LogIndex(bytes.load(at: offset + 40, count: 8)),
                term: Term(bytes.load(at: offset + 48, count: 8))),
            checksum: UInt32(bytes.load(at: offset + 56, count: 4)),
            contentsByteCount: UInt32(bytes.load(at: offset + 60, count: 4)))
    }
}

/// The first block of a segment. It is complete before the segment gets its name, so a bad one is
/// damage, never a torn write.
struct SegmentHeader: Hashable, Sendable {
    static let byteCount = Layout.blockByteCount
    static let magic: UInt64 = 0x3147_4553_444c_4f48  // "HOLDSEG1"
    static let version: UInt32 = 1

    enum Refused: Error, Hashable {
        case magic
        case damaged
        case version(UInt32)
        /// Its checksum is right, and no journal can have come to say this.
        case unlawful

        var words: String {
            switch self {
            case .magic: "no segment begins here"
            case .damaged: "checksum"
            case .version(let version): "version \(version)"
            case .unlawful: "it counts further than any journal"
            }
        }
    }

    var cluster: ClusterID
    var group: GroupID
    var id: SegmentID
    var sequence: UInt64
    /// The entry before the segment's first: all entries above it in earlier segments are void.
    var previous: Position
    /// Nothing of the earlier segments holds any more (Raft §7: the base disagrees with the log).
    var isReset: Bool
    /// Bytes of an earlier segment may stand behind this one's.
    var isRecycled: Bool
    var predecessor: SegmentID
    /// Where the predecessor's last batch ends; what stands behind it was never acknowledged.
    var predecessorEnd: UInt64
    var predecessorChain: UInt32
    var byteCount: UInt64
    var standing: Standing
    /// Seeds the first batch's checksum.
    private(set) var checksum: UInt32 = 0

    mutating func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(Self.magic, at: 0, count: 8)
        bytes.store(UInt64(Self.version), at: 12, count: 4)
        bytes.store(cluster.high, at: 16, count: 8)
        bytes.store(cluster.low, at: 24, count: 8)
        bytes.store(group.rawValue, at: 32, count: 8)
        bytes.store(id.high, at: 40, count: 8)
        bytes.store(id.low, at: 48, count: 8)
        bytes.store(sequence, at: 56, count: 8)
        bytes.store(previous.index.rawValue, at: 64, count: 8)
        bytes.store(previous.term.rawValue, at: 72, count: 8)
        bytes.store(predecessor.high, at: 80, count: 8)
        bytes.store(predecessor.low, at: 88, count: 8)
        bytes.store(predecessorEnd, at: 96, count: 8)
        bytes.store(UInt64(predecessorChain), at: 104, count: 4)
        bytes.store((isReset ? 1 : 0) | (isRecycled ? 2 : 0), at: 108, count: 4)
        bytes.store(byteCount, at: 112, count: 8)
        standing.encode(into: &bytes, at: 120)
        checksum = Checksum.crc32c(bytes, in: 12..<Self.byteCount)
        bytes.store(UInt64(checksum), at: 8, count: 4)
        return bytes
    }
}

extension SegmentHeader {
    /// Reads the first block of `bytes`, which holds at least one.
    init(parsing bytes: [UInt8]) throws(Refused) {
        guard bytes.load(at: 0, count: 8) == Self.magic else { throw .magic }
        let stored = UInt32(bytes.load(at: 8, count: 4))
        guard Checksum.crc32c(bytes, in: 12..<Self.byteCount) == stored else { throw .damaged }
        let version = UInt32(bytes.load(at: 12, count: 4))
        guard version == Self.version else { throw .version(version) }
        self.init(
            cluster: ClusterID(
                high: bytes.load(at: 16, count: 8), low: bytes.load(at: 24, count: 8)),
            group: GroupID(bytes.load(at: 32, count: 8)),
            id: SegmentID(high: bytes.load(at: 40, count: 8), low: bytes.load(at: 48, count: 8)),
            sequence: bytes.load(at: 56, count: 8),
            previous: Position(
                index: LogIndex(bytes.load(at: 64, count: 8)),
                term: Term(bytes.load(at: 72, count: 8))),
            isReset: bytes.load(at: 108, count: 4) & 1 != 0,
            isRecycled: bytes.load(at: 108, count: 4) & 2 != 0,
            predecessor: SegmentID(
                high: bytes.load(at: 80, count: 8), low: bytes.load(at: 88, count: 8)),
            predecessorEnd: bytes.load(at: 96, count: 8),
            predecessorChain: UInt32(bytes.load(at: 104, count: 4)),
            byteCount: bytes.load(at: 112, count: 8),
            standing: Standing(decoding: bytes, at: 120))
        checksum = stored
        guard (1...LogIndex.countMax.rawValue).contains(sequence), previous.index <= .countMax,
            previous.term <= .countMax, standing.isLawful
        else { throw .unlawful }
    }
}
