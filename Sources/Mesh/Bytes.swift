/// Little-endian integers read from bytes that may be hostile: every read is checked, and the
/// first short read refuses the whole.
@usableFromInline package struct ByteReader: ~Copyable {
    @usableFromInline package struct Truncated: Error, Hashable {
        package let wanted: Int
        package let remaining: Int
        @usableFromInline init(wanted: Int, remaining: Int) {
            (self.wanted, self.remaining) = (wanted, remaining)
        }
    }

    @usableFromInline let bytes: [UInt8]
    @usableFromInline package internal(set) var offset: Int
    @usableFromInline let end: Int

    @inlinable package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        offset = 0
        end = bytes.count
    }

    /// Reads `range` of `bytes` without copying it.
    @inlinable package init(_ bytes: [UInt8], in range: Range<Int>) {
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
    }

    @inlinable package var remaining: Int { end - offset }

    @inlinable package mutating func u8() throws(Truncated) -> UInt8 { UInt8(try integer(of: 1)) }
    @inlinable package mutating func u16() throws(Truncated) -> UInt16 {
        UInt16(try integer(of: 2))
    }
    @inlinable package mutating func u32() throws(Truncated) -> UInt32 {
        UInt32(try integer(of: 4))
    }
    @inlinable package mutating func u64() throws(Truncated) -> UInt64 { try integer(of: 8) }
    @inlinable package mutating func name<N: Name>(_: N.Type = N.self) throws(Truncated) -> N {
        N(try u64())
    }

    package mutating func take(_ count: Int) throws(Truncated) -> [UInt8] {
        guard count >= 0, count <= remaining else {
            throw Truncated(wanted: count, remaining: remaining)
        }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    @inlinable package mutating func skip(_ count: Int) throws(Truncated) {
        guard count >= 0, count <= remaining else {
            throw Truncated(wanted: count, remaining: remaining)
        }
        offset += count
    }

    @inlinable @inline(__always)
    mutating func integer(of count: Int) throws(Truncated) -> UInt64 {
        guard count <= remaining else { throw Truncated(wanted: count, remaining: remaining) }
        defer { offset += count }
        return bytes.load(at: offset, count: count)
    }
}

extension ArraySlice<UInt8> {
    /// Whether there is nothing but zeros. A sector at a time, which the compiler makes a row of wide
    /// words, since gigabytes of images are looked at that hold little else.
    package var isZero: Bool {
        unsafe withUnsafeBytes { all in
            var at = 0
            while at + 512 <= all.count {
                var bits: UInt64 = 0
                for word in 0..<64 {
                    bits |= unsafe all.loadUnaligned(fromByteOffset: at + word * 8, as: UInt64.self)
                }
                guard bits == 0 else { return false }
                at += 512
            }
            return unsafe all[at...].allSatisfy { $0 == 0 }
        }
    }
}

/// Every letter, entry and record is put together and taken apart with these: `@inlinable`, so that
/// each becomes the one load or store that it is.
extension [UInt8] {
    @inlinable package mutating func append<Word: FixedWidthInteger & UnsignedInteger>(
        littleEndian value: Word
    ) {
        let size = MemoryLayout<Word>.size
        // A collection of bytes to append would cost four times as much as storing the word.
        append(addingCapacity: size) { room in
            unsafe room.withUnsafeMutableBufferPointer { bytes, count in
                unsafe UnsafeMutableRawBufferPointer(bytes)
                    .storeBytes(of: value.littleEndian, as: Word.self)
                count = size
            }
        }
    }

    /// Several words cost little more than one.
    @inlinable package mutating func append<let wordCount: Int>(
        littleEndian words: InlineArray<wordCount, UInt64>
    ) {
        var words = words
        for at in words.indices { words[at] = words[at].littleEndian }
        unsafe words.span.bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }

    /// In one piece: `Array(repeating:count:)` asks the runtime for its type each time.
    package mutating func append(zeros count: Int) {
        append(addingCapacity: count) { room in
            unsafe room.withUnsafeMutableBufferPointer { bytes, initializedCount in
                unsafe bytes.initialize(repeating: 0)
                initializedCount = bytes.count
            }
        }
    }

    @inlinable package mutating func append(name: some Name) { append(littleEndian: name.rawValue) }

    /// Overwrites `count` bytes at `offset`, little-endian.
    @inlinable @inline(__always)
    package mutating func store(_ value: UInt64, at offset: Int, count: Int) {
        invariant(
            offset >= 0 && count >= 0 && count <= 8 && count <= self.count - offset,
            "a store within the bytes")
        unsafe Swift.withUnsafeBytes(of: value.littleEndian) { value in
            unsafe withUnsafeMutableBytes { all in
                guard let to = all.baseAddress, let from = value.baseAddress else { return }
                unsafe (to + offset).copyMemory(from: from, byteCount: count)
            }
        }
    }

    /// Where the last byte that is not zero stands, at `start` or behind it.
    package func lastNonZero(from start: Int) -> Int? {
        var end = count
        while end - 8 >= start, load(at: end - 8, count: 8) == 0 { end -= 8 }
        return self[start..<end].lastIndex { $0 != 0 }
    }

    /// Reads `count` bytes at `offset`, little-endian; out of range is a bug.
    @inlinable @inline(__always)
    package func load(at offset: Int, count: Int) -> UInt64 {
        invariant(
            offset >= 0 && count >= 0 && count <= 8 && count <= self.count - offset,
            "a load within the bytes")
        var value: UInt64 = 0
        unsafe Swift.withUnsafeMutableBytes(of: &value) { value in
            unsafe withUnsafeBytes { all in
                guard let to = value.baseAddress, let from = all.baseAddress else { return }
                unsafe to.copyMemory(from: from + offset, byteCount: count)
            }
        }
        return UInt64(littleEndian: value)
    }
}
