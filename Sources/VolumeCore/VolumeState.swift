package import Disk
internal import Mesh
internal import Record

/// What a checkpoint writes: the applied index, and what of each volume is not in its image.
///
/// Little-endian: crc32c (over all that follows) u32 · byte count u32 · magic u64 · sequence u64 ·
/// applied index u64 · resync phase u8 (0 none, 1 asking, 2 copying) · target index u64 · byte count
/// of the whole resync u64 · handed index u64 · scrub: volume u64, offset u64, began u64, ended u64 ·
/// volume count u32; then per volume id u64 · byte count
/// u64 · generation u64 · number u64 · flags u8 (1: sync) · name byte count u16 · name · allocation map
/// · missing map · unsummed map · damaged block count u32 and numbers u64 · changes. What came before
/// sums (`HOLDVOL2`) has neither unsummed map nor damaged blocks, and no cell of it is summed; the first
/// release's files (`HOLDVOL1`) have no resync, no missing map and no changes either.
///
/// Behind the volumes the changes of each once more, by fine cells: releases that know of these alone read no further than the
/// ones above, so that one can be put back.
///
/// What a source tells a replica of itself (its manifest) is the same, with the cells that the
/// replica lacks as missing, and in the form that has no sums: those are each disk's own.
struct VolumeState: Hashable, Sendable {
    struct Record: Hashable, Sendable {
        var id: VolumeID
        var name: String
        var byteCount: UInt64
        var isSync: Bool
        var generation: ExportGeneration
        var number: UInt64
        var allocation: CellMap
        /// Cells that have to come from another replica.
        var missing: CellMap
        /// Cells of an earlier release's image that have no sums yet; nil for none.
        var unsummed: CellMap?
        /// Blocks whose bytes are not what was written: never served, and mended from a peer.
        var damaged = BlockSet()
        var changes: ChangeRing

        init(
            id: VolumeID, name: String, byteCount: UInt64, isSync: Bool, since index: LogIndex
        ) {
            (self.id, self.name, self.byteCount, self.isSync) = (id, name, byteCount, isSync)
            (generation, number) = (.none, 0)
            allocation = CellMap(byteCount: byteCount)
            missing = CellMap(byteCount: byteCount)
            changes = ChangeRing(knownAbove: index)
        }
    }

    /// These volumes lack what the log no longer holds (protocol-rules 7).
    struct Resync: Hashable, Sendable {
        enum Phase: UInt8, Sendable {
            /// What is missing is not known yet.
            case asking = 1
            case copying = 2
        }
        var phase: Phase
        /// The images are what they seem only once everything up to here is applied.
        var target: LogIndex
        /// What was missing in all when the copying began.
        var wholeByteCount: UInt64
        /// What the log had handed in, or passed over: it reaches at least so far.
        var handed: LogIndex = .zero
    }

    /// What a file's bytes mean.
    enum Format: UInt64, Comparable, Sendable {
        case first = 0x314c_4f56_444c_4f48  // "HOLDVOL1"
        case unsummed = 0x324c_4f56_444c_4f48  // "HOLDVOL2"
        case summed = 0x334c_4f56_444c_4f48  // "HOLDVOL3"

        static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }
    static let slots = ["volumes.state.0", "volumes.state.1"]
    static let temporary = "volumes.state.new"
    /// Bounds what is read of a state file: all volumes with the largest map each.
    static let byteCountMax =
        UInt64(VolumeLimits.volumeCountMax)
        * UInt64((ChangeRing.rangesMax + 3) * 129 + ChangeRing.rangesMax * 257) << 10

    var sequence: UInt64 = 0
    var applied: LogIndex = .zero
    var resync: Resync?
    var scrub = Scrub()
    /// Sorted by id.
    var volumes: [Record] = []

    /// What it was read from; decides whether the sums files have to be there.
    var format = Format.summed

    var encoded: [UInt8] { encoded(as: .summed) }

    func encoded(as format: Format) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.append(littleEndian: format.rawValue)
        bytes.append(littleEndian: sequence)
        bytes.append(name: applied)
        bytes.append(littleEndian: resync?.phase.rawValue ?? 0)
        bytes.append(name: resync?.target ?? .zero)
        bytes.append(littleEndian: resync?.wholeByteCount ?? 0)
        bytes.append(name: resync?.handed ?? .zero)
        if format == .summed {
            bytes.append(name: scrub.volume)
            bytes.append(littleEndian: scrub.offset)
            bytes.append(name: scrub.began)
            bytes.append(name: scrub.ended)
        }
        bytes.append(littleEndian: UInt32(volumes.count))
        for volume in volumes {
            bytes.append(name: volume.id)
            bytes.append(littleEndian: volume.byteCount)
            bytes.append(name: volume.generation)
            bytes.append(littleEndian: volume.number)
            bytes.append(littleEndian: UInt8(volume.isSync ? 1 : 0))
            bytes.append(littleEndian: UInt16(volume.name.utf8.count))
            bytes.append(contentsOf: volume.name.utf8)
            volume.allocation.encode(into: &bytes)
            volume.missing.encode(into: &bytes)
            if format == .summed {
                (volume.unsummed ?? CellMap(byteCount: volume.byteCount)).encode(into: &bytes)
                bytes.append(littleEndian: UInt32(volume.damaged.count))
                for block in volume.damaged.blocks { bytes.append(littleEndian: block) }
            }
            volume.changes.encode(.usual, into: &bytes)
        }
        if format == .summed {
            for volume in volumes { volume.changes.encode(.fine, into: &bytes) }
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
            let format = Format(rawValue: bytes.load(at: 8, count: 8))
        else { return nil }
        self.format = format
        var reader = ByteReader(bytes, in: 16..<bytes.count)
        do throws(ByteReader.Truncated) {
            sequence = try reader.u64()
            applied = try reader.name()
            guard applied <= .countMax, sequence <= LogIndex.countMax.rawValue else { return nil }
            if format > .first {
                let phase = try reader.u8()
                let target: LogIndex = try reader.name()
                let whole = try reader.u64()
                let handed: LogIndex = try reader.name()
                guard phase == 0 || Resync.Phase(rawValue: phase) != nil, target <= .countMax,
                    handed <= .countMax
                else { return nil }
                resync = Resync.Phase(rawValue: phase).map {
                    Resync(phase: $0, target: target, wholeByteCount: whole, handed: handed)
                }
            }
            if format == .summed {
                scrub.volume = try reader.name()
                scrub.offset = try reader.u64()
                scrub.began = try reader.name()
                scrub.ended = try reader.name()
            }
            let count = try reader.u32()
            guard count <= VolumeLimits.volumeCountMax else { return nil }
            for _ in 0..<count {
                guard let record = try Self.record(&reader, format, applied),
                    volumes.last.map({ $0.id < record.id }) ?? true
                else { return nil }
                volumes.append(record)
            }
            if format == .summed, reader.remaining > 0 {
                guard try readFineChanges(&reader) else { return nil }
            }
        } catch { return nil }
    }

    private mutating func readFineChanges(
        _ reader: inout ByteReader
    ) throws(ByteReader.Truncated) -> Bool {
        for place in volumes.indices {
            let byteCount = volumes[place].byteCount
            guard let changes = ChangeRing(byteCount: byteCount, .fine, &reader) else {
                return false
            }
            volumes[place].changes = changes
        }
        return true
    }

    private static func record(
        _ reader: inout ByteReader, _ format: Format, _ applied: LogIndex
    ) throws(ByteReader.Truncated) -> Record? {
        let id: VolumeID = try reader.name()
        let byteCount = try reader.u64()
        let generation: ExportGeneration = try reader.name()
        let number = try reader.u64()
        let flags = try reader.u8()
        let name = String(validating: try reader.take(Int(try reader.u16())), as: UTF8.self)
        guard let name, (1...VolumeLimits.nameByteCountMax).contains(name.utf8.count),
            flags <= 1, byteCount <= VolumeLimits.volumeByteCountMax,
            number <= LogIndex.countMax.rawValue
        else { return nil }
        // What the first release changed is not known.
        var record = Record(
            id: id, name: name, byteCount: byteCount, isSync: flags == 1, since: applied)
        (record.generation, record.number) = (generation, number)
        if format == .first {
            let map = try reader.take(CellMap.mapByteCount(of: byteCount))
            guard let allocation = CellMap(byteCount: byteCount, bits: map) else { return nil }
            record.allocation = allocation
            record.unsummed = allocation.isEmpty ? nil : allocation
            return record
        }
        guard let allocation = CellMap(byteCount: byteCount, &reader),
            let missing = CellMap(byteCount: byteCount, &reader)
        else { return nil }
        (record.allocation, record.missing) = (allocation, missing)
        var unsummed = allocation
        unsummed.subtract(missing)
        record.unsummed = unsummed.isEmpty ? nil : unsummed
        if format == .summed {
            guard try summing(&record, &reader) else { return nil }
        }
        guard let changes = ChangeRing(byteCount: byteCount, .usual, &reader) else { return nil }
        record.changes = changes
        return record
    }

    private static func summing(
        _ record: inout Record, _ reader: inout ByteReader
    ) throws(ByteReader.Truncated) -> Bool {
        guard let unsummed = CellMap(byteCount: record.byteCount, &reader) else { return false }
        record.unsummed = unsummed.isEmpty ? nil : unsummed
        let count = try reader.u32()
        guard count <= VolumeLimits.damagedBlocksMax else { return false }
        var blocks: [UInt64] = []
        for _ in 0..<count { blocks.append(try reader.u64()) }
        guard let damaged = BlockSet(blocks, of: record.byteCount) else { return false }
        record.damaged = damaged
        return true
    }
}

/// The volumes of this disk can't be told: a replica has to be made anew from a peer.
package enum VolumeRecoveryRefused: Error, Hashable, Sendable {
    case state(DiskError)
    /// This file is there and holds what was never written.
    case damaged(String)
}
