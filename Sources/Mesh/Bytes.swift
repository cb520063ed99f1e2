/// Little-endian integers read from bytes that may be hostile: every read is checked, and the
/// first short read refuses the whole.
package struct ByteReader: ~Copyable {
    package struct Truncated: Error, Hashable {
        package let wanted: Int
        package let remaining: Int
    }

    private let bytes: [UInt8]
    package private(set) var offset: Int
    private let end: Int

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        offset = 0
        end = bytes.count
    }

    /// Reads `range` of `bytes` without copying it.
    package init(_ bytes: [UInt8], in range: Range<Int>) {
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
    }

    package var remaining: Int { end - offset }

    package mutating func u8() throws(Truncated) -> UInt8 { UInt8(try integer(of: 1)) }
    package mutating func u16() throws(Truncated) -> UInt16 { UInt16(try integer(of: 2)) }
    package mutating func u32() throws(Truncated) -> UInt32 { UInt32(try integer(of: 4)) }
    package mutating func u64() throws(Truncated) -> UInt64 { try integer(of: 8) }
    package mutating func name<N: Name>(_: N.Type = N.self) throws(Truncated) -> N { N(try u64()) }

    package mutating func take(_ count: Int) throws(Truncated) -> [UInt8] {
        guard count >= 0, count <= remaining else {
            throw Truncated(wanted: count, remaining: remaining)
        }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    package mutating func skip(_ count: Int) throws(Truncated) {
        guard count >= 0, count <= remaining else {
            throw Truncated(wanted: count, remaining: remaining)
        }
        offset += count
    }

    private mutating func integer(of count: Int) throws(Truncated) -> UInt64 {
        guard count <= remaining else { throw Truncated(wanted: count, remaining: remaining) }
        var value: UInt64 = 0
        for i in 0..<count { value |= UInt64(bytes[offset + i]) << (8 * UInt64(i)) }
        offset += count
        return value
    }
}

extension [UInt8] {
    package mutating func append(littleEndian value: UInt8) { append(value) }
    package mutating func append(littleEndian value: UInt16) { appendBytes(UInt64(value), 2) }
    package mutating func append(littleEndian value: UInt32) { appendBytes(UInt64(value), 4) }
    package mutating func append(littleEndian value: UInt64) { appendBytes(value, 8) }
    package mutating func append(name: some Name) { appendBytes(name.rawValue, 8) }

    private mutating func appendBytes(_ value: UInt64, _ count: Int) {
        for i in 0..<count { append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(i)))) }
    }

    /// Overwrites `count` bytes at `offset`, little-endian.
    package mutating func store(_ value: UInt64, at offset: Int, count: Int) {
        for i in 0..<count {
            self[offset + i] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(i)))
        }
    }

    /// Reads `count` bytes at `offset`, little-endian; out of range is a bug.
    package func load(at offset: Int, count: Int) -> UInt64 {
        var value: UInt64 = 0
        for i in 0..<count { value |= UInt64(self[offset + i]) << (8 * UInt64(i)) }
        return value
    }
}
