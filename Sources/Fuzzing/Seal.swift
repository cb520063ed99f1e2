internal import Mesh
internal import Record

/// Makes checksums right, wherever the bytes have the shape for it (docs/formats).
enum Seal {
    /// The record that begins at `offset`; gives where it ends, nil where none can begin.
    static func record(_ bytes: inout [UInt8], at offset: Int) -> Int? {
        guard bytes.count - offset >= Entry.headerByteCount else { return nil }
        let count = Int(bytes.load(at: offset + 4, count: 4))
        guard (Entry.headerByteCount...Entry.byteCountMax).contains(count),
            count <= bytes.count - offset
        else { return nil }
        let sum = Checksum.crc32c(bytes, in: offset + 4..<offset + count)
        bytes.store(UInt64(sum), at: offset, count: 4)
        return offset + count
    }

    /// Records one behind the other.
    static func records(_ bytes: inout [UInt8], from offset: Int, before end: Int) {
        var offset = offset
        while offset < end, let next = record(&bytes, at: offset) { offset = next }
    }

    /// The records that an append carries.
    static func letter(_ bytes: inout [UInt8]) {
        guard bytes.count > 62, bytes[1] == 5 else { return }
        records(&bytes, from: 62, before: bytes.count)
    }

    /// The volumes' state, or a manifest.
    static func state(_ bytes: inout [UInt8]) {
        guard bytes.count >= 8 else { return }
        bytes.store(UInt64(bytes.count), at: 4, count: 4)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
    }

    static func opening(_ bytes: inout [UInt8]) {
        guard bytes.count >= 8 else { return }
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
    }
}
