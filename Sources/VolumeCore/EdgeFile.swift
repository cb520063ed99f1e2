internal import Disk
internal import Mesh
internal import Record

/// Blocks that entries cover only in part, whole, from before they are written into their image: a
/// power cut there would leave a block that no sum fits, and no replay could tell it from damage
/// (ADR 8). What lies here belongs to one checkpoint, and is written back when one starts from it.
///
/// Records of 4128 bytes, little-endian: crc32c (over all that follows) u32 · byte count u32 ·
/// sequence of the checkpoint u64 · volume u64 · block u64 · the bytes · zeros.
struct EdgeFile: Sendable {
    static let name = "volumes.edges"
    static let recordByteCount = headerByteCount + Int(BlockSum.blockByteCount)
    static let headerByteCount = 32
    /// A longer file is cut with the next checkpoint.
    static let keptByteCountMax: UInt64 = 16 << 20

    struct Record: Hashable, Sendable {
        let volume: VolumeID
        let block: UInt64
        let bytes: [UInt8]
    }

    struct BlockID: Hashable, Sendable {
        let volume: VolumeID
        let block: UInt64
    }

    private let file: FileHandle
    private var sequence: UInt64
    private var byteCount: UInt64 = 0
    /// Once for each checkpoint is enough.
    private var held: Set<BlockID> = []

    /// Opens the file of a disk whose checkpoint is `sequence`.
    init<D: Disk>(_ disk: inout D, sequence: UInt64) throws(DiskError) {
        file = try disk.open(Self.name, create: true)
        // What is safe in it is of no use under a name that is not.
        try disk.syncDirectory()
        self.sequence = sequence
    }

    /// Reads what belongs to the checkpoint, a record at a time. The last process may have failed to
    /// sync it: what a cache shows is written once more, and has to be synced before it counts.
    mutating func next<D: Disk>(_ disk: inout D) throws(DiskError) -> Record? {
        let end = byteCount + UInt64(Self.recordByteCount)
        guard try disk.byteCount(file) >= end else { return nil }
        let bytes = try disk.read(file, at: byteCount, count: Self.recordByteCount)
        guard let record = Self.parse(bytes, sequence) else { return nil }
        try disk.write(file, at: byteCount, [bytes])
        byteCount = end
        held.insert(BlockID(volume: record.volume, block: record.block))
        return record
    }

    func sync<D: Disk>(_ disk: inout D) throws(DiskError) {
        if !held.isEmpty { try disk.sync(file) }
    }

    var count: Int { held.count }

    func holds(_ volume: VolumeID, _ block: UInt64) -> Bool {
        held.contains(BlockID(volume: volume, block: block))
    }

    /// Safe when it returns.
    mutating func append<D: Disk>(
        _ records: [Record], _ disk: inout D
    ) throws(DiskError) {
        guard !records.isEmpty else { return }
        try disk.write(file, at: byteCount, records.map { Self.encode($0, sequence) })
        try disk.sync(file)
        byteCount += UInt64(records.count * Self.recordByteCount)
        for record in records { held.insert(BlockID(volume: record.volume, block: record.block)) }
    }

    /// A later checkpoint needs none of what is here.
    mutating func begin<D: Disk>(_ sequence: UInt64, _ disk: inout D) throws(DiskError) {
        if byteCount > Self.keptByteCountMax { try disk.resize(file, to: 0) }
        (self.sequence, byteCount, held) = (sequence, 0, [])
    }

    func close<D: Disk>(_ disk: inout D) { disk.close(file) }

    private static func encode(_ record: Record, _ sequence: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(recordByteCount)
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: UInt32(record.bytes.count))
        bytes.append(littleEndian: sequence)
        bytes.append(name: record.volume)
        bytes.append(littleEndian: record.block)
        bytes += record.bytes
        bytes += [UInt8](repeating: 0, count: recordByteCount - bytes.count)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        return bytes
    }

    /// nil for a record of another checkpoint, or none: nothing behind it counts.
    private static func parse(_ bytes: [UInt8], _ sequence: UInt64) -> Record? {
        guard bytes.load(at: 0, count: 4) == UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)),
            bytes.load(at: 8, count: 8) == sequence
        else { return nil }
        let count = bytes.load(at: 4, count: 4)
        guard (1...BlockSum.blockByteCount).contains(count) else { return nil }
        return Record(
            volume: VolumeID(bytes.load(at: 16, count: 8)), block: bytes.load(at: 24, count: 8),
            bytes: Array(bytes[headerByteCount..<headerByteCount + Int(count)]))
    }
}
