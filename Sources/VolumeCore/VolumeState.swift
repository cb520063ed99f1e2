package import Disk
internal import Mesh
internal import Planted
internal import Record

/// What a checkpoint writes: the applied index, and what of each volume is not in its image.
///
/// Little-endian: crc32c (over all that follows) u32 · byte count u32 · magic u64 · sequence u64 ·
/// applied index u64 · volume count u32; then per volume id u64 · byte count u64 · generation u64 ·
/// number u64 · flags u8 (1: sync) · name byte count u16 · name · allocation map.
struct VolumeState: Hashable, Sendable {
    struct Record: Hashable, Sendable {
        var id: VolumeID
        var name: String
        var byteCount: UInt64
        var isSync: Bool
        var generation: ExportGeneration
        var number: UInt64
        var allocation: Allocation
    }

    static let magic: UInt64 = 0x314c_4f56_444c_4f48  // "HOLDVOL1"
    static let slots = ["volumes.state.0", "volumes.state.1"]
    static let temporary = "volumes.state.new"
    /// Bounds what is read of a state file: all volumes with the largest map each.
    static let byteCountMax = UInt64(VolumeLimits.volumeCountMax) * (129 << 10)

    var sequence: UInt64 = 0
    var applied: LogIndex = .zero
    /// Sorted by id.
    var volumes: [Record] = []

    var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.append(littleEndian: Self.magic)
        bytes.append(littleEndian: sequence)
        bytes.append(name: applied)
        bytes.append(littleEndian: UInt32(volumes.count))
        for volume in volumes {
            bytes.append(name: volume.id)
            bytes.append(littleEndian: volume.byteCount)
            bytes.append(name: volume.generation)
            bytes.append(littleEndian: volume.number)
            bytes.append(littleEndian: UInt8(volume.isSync ? 1 : 0))
            bytes.append(littleEndian: UInt16(volume.name.utf8.count))
            bytes.append(contentsOf: volume.name.utf8)
            bytes.append(contentsOf: volume.allocation.bits)
        }
        bytes.store(UInt64(bytes.count), at: 4, count: 4)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        return bytes
    }

    init() {}

    /// nil for bytes that `encoded` did not write: the other slot has to serve.
    init?(parsing bytes: [UInt8]) {
        guard bytes.count >= 36, bytes.load(at: 4, count: 4) == UInt64(bytes.count),
            bytes.load(at: 0, count: 4)
                == UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)),
            bytes.load(at: 8, count: 8) == Self.magic
        else { return nil }
        var reader = ByteReader(bytes, in: 16..<bytes.count)
        do throws(ByteReader.Truncated) {
            sequence = try reader.u64()
            applied = try reader.name()
            for _ in 0..<(try reader.u32()) {
                let id: VolumeID = try reader.name()
                let byteCount = try reader.u64()
                let generation: ExportGeneration = try reader.name()
                let number = try reader.u64()
                let flags = try reader.u8()
                let name = String(decoding: try reader.take(Int(try reader.u16())), as: UTF8.self)
                guard flags <= 1, byteCount <= VolumeLimits.volumeByteCountMax else { return nil }
                let map = try reader.take(Allocation.mapByteCount(of: byteCount))
                volumes.append(
                    Record(
                        id: id, name: name, byteCount: byteCount, isSync: flags == 1,
                        generation: generation, number: number,
                        allocation: Allocation(byteCount: byteCount, bits: map)))
            }
        } catch { return nil }
    }

    /// The newest whole state; nil on a disk that never had one.
    static func load<D: Disk>(from disk: inout D) throws(VolumeRecoveryRefused) -> VolumeState? {
        do throws(DiskError) {
            let names = try disk.list()
            var newest: VolumeState?
            for name in slots where names.contains(name) {
                let file = try disk.open(name, create: false)
                defer { disk.close(file) }
                let count = try disk.byteCount(file)
                guard count <= byteCountMax else { continue }
                let bytes = try disk.read(file, at: 0, count: Int(count))
                guard let state = VolumeState(parsing: bytes) else { continue }
                if newest == nil || state.sequence > newest?.sequence ?? 0 { newest = state }
            }
            let hasState = names.contains { slots.contains($0) }
            let hasImages = names.contains { $0.hasSuffix(imageSuffix) }
            guard newest != nil || !(hasState || hasImages) else {
                throw DiskError(.read, slots[0], .missing)
            }
            return newest
        } catch { throw .state(error) }
    }

    /// The renamed file replaces the older slot whole; the newer one stays until the next time.
    func save<D: Disk>(to disk: inout D) throws(DiskError) {
        let file = try disk.open(Self.temporary, create: true)
        defer { disk.close(file) }
        try disk.resize(file, to: 0)
        try disk.write(file, at: 0, [encoded])
        if !isPlanted(.skipsStateSync) { try disk.sync(file) }
        try disk.rename(Self.temporary, to: Self.slots[Int(sequence % 2)])
        if !isPlanted(.skipsStateDirectorySync) { try disk.syncDirectory() }
    }

    static let imageSuffix = ".image"
    static func image(of volume: VolumeID) -> String { "volume-\(volume)\(imageSuffix)" }
}

/// The volumes of this disk can't be told: a replica has to be made anew from a peer.
package enum VolumeRecoveryRefused: Error, Hashable, Sendable {
    case state(DiskError)
    /// This file is there and holds what was never written.
    case damaged(String)
}
