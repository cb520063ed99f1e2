internal import CCompression

/// How bytes are made fewer before they are sealed.
package struct Codec: Sendable {
    /// Appends the bytes in at most that many others; false, and nothing appended, where they don't fit.
    package var compress: @Sendable (Span<UInt8>, Int, inout [UInt8]) -> Bool
    /// Exactly as many bytes as there were; nil where it is no such thing.
    package var decompress: @Sendable (Span<UInt8>, Int) -> [UInt8]?

    package init(
        compress: @escaping @Sendable (Span<UInt8>, Int, inout [UInt8]) -> Bool,
        decompress: @escaping @Sendable (Span<UInt8>, Int) -> [UInt8]?
    ) {
        (self.compress, self.decompress) = (compress, decompress)
    }

    /// LZ4's block format.
    package static let lz4 = Codec(
        compress: { plain, most, bytes in
            let before = bytes.count
            bytes.append(addingCapacity: most) { room in
                unsafe room.withUnsafeMutableBufferPointer { room, count in
                    count = unsafe plain.withUnsafeBytes { plain in
                        unsafe holdfast_lz4_compress(
                            plain.baseAddress, plain.count, room.baseAddress, most)
                    }
                }
            }
            return bytes.count > before
        },
        decompress: { block, count in
            var isWhole = false
            let plain = [UInt8](capacity: count) { room in
                unsafe room.withUnsafeMutableBufferPointer { room, made in
                    isWhole = unsafe block.withUnsafeBytes { block in
                        unsafe holdfast_lz4_decompress(
                            block.baseAddress, block.count, room.baseAddress, count)
                    }
                    made = isWhole ? count : 0
                }
            }
            return isWhole ? plain : nil
        })
}
