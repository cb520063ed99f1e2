package import Disk
package import Mesh
internal import Record

/// The last opening that this disk was used for, so that a process that restarts within its epoch
/// can't give a generation out twice: what the old process left in flight would pass for its own.
///
/// Little-endian, 24 bytes: crc32c (over all that follows) u32 · zero u32 · magic u64 ·
/// generation u64.
struct OpeningFile: Hashable, Sendable {
    static let magic: UInt64 = 0x314e_504f_444c_4f48  // "HOLDOPN1"
    static let name = "volumes.opening"
    static let temporary = "volumes.opening.new"
    static let byteCount = 24
    /// Nobody opens so often in one epoch: more is damage, and could not be counted on from.
    static let openingMax = UInt32.max / 2

    var last: ExportGeneration

    var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.append(littleEndian: Self.magic)
        bytes.append(name: last)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        return bytes
    }

    init(last: ExportGeneration) { self.last = last }

    /// nil for bytes that `encoded` did not write.
    init?(parsing bytes: [UInt8]) {
        guard bytes.count == Self.byteCount,
            bytes.load(at: 0, count: 4) == UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)),
            bytes.load(at: 8, count: 8) == Self.magic
        else { return nil }
        last = ExportGeneration(bytes.load(at: 16, count: 8))
        guard last.opening <= Self.openingMax else { return nil }
    }

    /// `.none` on a disk that never opened anything.
    static func load<D: Disk>(from disk: inout D) throws(VolumeRecoveryRefused) -> ExportGeneration
    {
        let bytes: [UInt8]
        do throws(DiskError) {
            guard try disk.list().contains(name) else { return .none }
            let file = try disk.open(name, create: false)
            defer { disk.close(file) }
            let count = try disk.byteCount(file)
            bytes = count == UInt64(byteCount) ? try disk.read(file, at: 0, count: byteCount) : []
        } catch { throw .state(error) }
        // Renamed whole: a torn one is no leftover of a crash, and guessing could repeat a number.
        guard let opening = OpeningFile(parsing: bytes) else { throw .damaged(name) }
        return opening.last
    }

    func save<D: Disk>(to disk: inout D) throws(DiskError) {
        let file = try disk.open(Self.temporary, create: true)
        defer { disk.close(file) }
        try disk.resize(file, to: 0)
        try disk.write(file, at: 0, [encoded])
        try disk.sync(file)
        try disk.rename(Self.temporary, to: Self.name)
        try disk.syncDirectory()
    }
}

extension VolumeCore {
    /// A generation of `epoch` that no process gave out before on this disk, on which that is
    /// written down when this returns.
    package mutating func newGeneration(_ epoch: Epoch) throws(DiskError) -> ExportGeneration {
        let last = lastOpening.epoch == epoch ? lastOpening.opening : 0
        let generation = ExportGeneration(epoch: epoch, opening: last + 1)
        try OpeningFile(last: max(generation, lastOpening)).save(to: &disk)
        lastOpening = max(generation, lastOpening)
        return generation
    }
}
