package import Mesh
package import Record

/// One opening of one volume for I/O: only grows, and includes the epoch, so that what a deposed
/// primary left in flight can be told from what its successor wrote (protocol-rules 15).
package struct ExportGeneration: Name {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static let none = ExportGeneration(0)

    package var epoch: Epoch { Epoch(rawValue >> 32) }
    package var opening: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

    /// The `opening`-th opening under `epoch`.
    package init(epoch: Epoch, opening: UInt32) {
        invariant(epoch.rawValue >> 32 == 0, "epoch \(epoch) leaves no room for the opening")
        rawValue = epoch.rawValue << 32 | UInt64(opening)
    }
}

/// A change of a volume's bytes as the payload of an `Entry` of kind `.write`.
///
/// Little-endian, 40 bytes: volume u64 · offset u64 · generation u64 · number u64 · byte count u32 ·
/// operation u8 · flags u8 · zero u16; then the data of a write.
package struct VolumeWrite: Hashable, Sendable {
    package enum Operation: UInt8, Sendable, CaseIterable {
        case write = 1
        case zeroes = 2
        case trim = 3
    }

    package static let headerByteCount = 40
    /// What fits one record; longer requests of clients are split.
    package static let dataByteCountMax = Entry.payloadByteCountMax - headerByteCount

    package let volume: VolumeID
    package let offset: UInt64
    package let byteCount: UInt32
    package let operation: Operation
    /// Zeroes that must stay allocated (NBD_CMD_FLAG_NO_HOLE): a later write finds its space.
    package let keepsAllocated: Bool
    package let generation: ExportGeneration
    /// Counts the writes of a generation from 1: a repeated proposal applies once, and a gap shows
    /// (protocol-rules 16).
    package let number: UInt64
    /// May be a part of a longer array: splitting a request copies nothing.
    package let data: ArraySlice<UInt8>

    package var range: Range<UInt64> { offset..<offset + UInt64(byteCount) }

    package init(
        volume: VolumeID, offset: UInt64, generation: ExportGeneration, number: UInt64,
        data: ArraySlice<UInt8>
    ) {
        invariant(data.count <= Self.dataByteCountMax, "\(data.count) bytes in one record")
        self.volume = volume
        self.offset = offset
        self.generation = generation
        self.number = number
        self.data = data
        byteCount = UInt32(data.count)
        operation = .write
        keepsAllocated = true
    }

    package init(
        zeroing operation: Operation, volume: VolumeID, offset: UInt64, byteCount: UInt32,
        keepsAllocated: Bool, generation: ExportGeneration, number: UInt64
    ) {
        invariant(operation != .write, "a write brings data")
        self.volume = volume
        self.offset = offset
        self.byteCount = byteCount
        self.operation = operation
        self.keepsAllocated = keepsAllocated && operation == .zeroes
        self.generation = generation
        self.number = number
        data = []
    }

    /// The record to be proposed under its generation's epoch.
    package var draft: Draft {
        Draft(.write, epoch: generation.epoch, payload: header, data)
    }

    /// The payload as the log holds it.
    package var encoded: [UInt8] { header + data }

    private var header: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerByteCount)
        bytes.append(name: volume)
        bytes.append(littleEndian: offset)
        bytes.append(name: generation)
        bytes.append(littleEndian: number)
        bytes.append(littleEndian: byteCount)
        bytes.append(operation.rawValue)
        bytes.append(keepsAllocated && operation == .zeroes ? 1 : 0)
        bytes.append(littleEndian: UInt16(0))
        return bytes
    }

    /// Reads what `encoded` wrote; every other byte string is refused.
    package init(parsing entry: Entry) throws(VolumeWriteRefused) {
        let start = Entry.headerByteCount
        let bytes = entry.bytes
        guard bytes.count - start >= Self.headerByteCount else {
            throw .short(bytes.count - start)
        }
        volume = VolumeID(bytes.load(at: start, count: 8))
        offset = bytes.load(at: start + 8, count: 8)
        generation = ExportGeneration(bytes.load(at: start + 16, count: 8))
        number = bytes.load(at: start + 24, count: 8)
        byteCount = UInt32(bytes.load(at: start + 32, count: 4))
        guard let operation = Operation(rawValue: bytes[start + 36]) else {
            throw .unknownOperation(bytes[start + 36])
        }
        self.operation = operation
        let flags = bytes[start + 37]
        guard flags <= (operation == .zeroes ? 1 : 0), bytes.load(at: start + 38, count: 2) == 0
        else { throw .unknownFlags(flags) }
        keepsAllocated = operation == .write || flags == 1
        let dataByteCount = bytes.count - start - Self.headerByteCount
        guard dataByteCount == (operation == .write ? Int(byteCount) : 0) else {
            throw .byteCount(claimed: byteCount, have: dataByteCount)
        }
        guard !offset.addingReportingOverflow(UInt64(byteCount)).overflow else {
            throw .offset(offset)
        }
        data = bytes[(start + Self.headerByteCount)...]
    }
}

/// Why a payload is not a write to a volume.
package enum VolumeWriteRefused: Error, Hashable, Sendable {
    case short(Int)
    case unknownOperation(UInt8)
    case unknownFlags(UInt8)
    case byteCount(claimed: UInt32, have: Int)
    case offset(UInt64)
}
